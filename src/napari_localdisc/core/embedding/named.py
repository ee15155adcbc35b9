"""Which clusters have a name; found out without importing torch."""

from napari_localdisc.core.colours import structure_colours
from napari_localdisc.core.model.card import MOST, ModelCard
from napari_localdisc.core.priors.derived import derived_from, every_structure


def region_leaves(card: ModelCard) -> dict[str, int]:
    """Return the structures that are clusters of their own, and which ones.

    Those that the card names have its channels; those that follow from others come
    after the last channel.
    """
    rows = derived_from(card.structures).values()
    follow = [row.name for row in rows if row.is_region]
    return card.structures | {
        name: leaf for leaf, name in enumerate(follow, card.clusters)
    }


def cluster_names(card: ModelCard, n: int) -> dict[int, str]:
    """Name the labels that ``Embedding.clusters(n)`` gives, those that have a name.

    Parameters
    ----------
    card : ModelCard
        The embedding's model's.
    n : int
        As for ``Embedding.clusters``.

    Returns
    -------
    dict
        Label → structure; what is missing is background.
    """
    leaves: dict[int, str] = {}
    for name, leaf in region_leaves(card).items():
        leaves.setdefault(leaf, name)
    # Label 2 is the background, which has no name
    labels = {at + 1 + (at > 0): name for at, name in enumerate(leaves.values())}
    return {label: name for label, name in labels.items() if label <= n}


def card_colours(card: ModelCard) -> dict[str, str]:
    """Return structure → colour of all that can be asked for: ``#rrggbb``."""
    regions = cluster_names(card, MOST).values()  # the first to have what is left
    return structure_colours([*regions, *every_structure(card.structures)])
