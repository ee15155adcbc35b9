"""embed(image, model) → Embedding: the network sees an image once."""

import warnings
from collections.abc import Callable
from typing import TypeVar

from numpy.typing import ArrayLike
from torch import Tensor

from napari_localdisc.core.errors import MisfitWarning
from napari_localdisc.core.image.working import Picture, Seen
from napari_localdisc.core.model.inference import TILE_SIZE, Inference, Precision
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.model.tiles import run_tiles
from napari_localdisc.core.work import Steps, run

from .closer import CloserLook
from .clusters import ClusterMaps, kept_colour
from .embedding import Embedding
from .magnification import first_look, suggested

_AS_USUAL = Inference()

Maps = TypeVar("Maps", bound=ClusterMaps)


def embed(
    image: ArrayLike,
    model: Model,
    *,
    tile_size: int = TILE_SIZE,
    flips: int = 1,
    precision: Precision = "auto",
    magnification: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Embedding:
    """Embed an image: the only step that takes time, done once per image.

    Parameters
    ----------
    image : array_like
        (H, W), (H, W, 3) or (H, W, 4) of any real dtype; see `as_rgb`.
    model : Model
        From `load_model`.
    tile_size, flips, precision, magnification
        As of `Inference`.
    progress : callable, optional
        Called with (tiles done, tiles in all) after each tile.
    cancel : callable, optional
        Asked before each tile; true stops the work.

    Raises
    ------
    ImageError
        If the image cannot be used; the message says why.
    Cancelled
        If ``cancel`` said so.

    Warns
    -----
    MisfitWarning
        If the image is of another kind than the model's: see ``ClusterMaps.misfit``.
    """
    how = Inference(tile_size, flips, precision, magnification)
    return _checked(run(embed_steps(image, model, how), progress, cancel))


def _checked(maps: Maps) -> Maps:
    """Warn where the image is of another kind than the model's."""
    if maps.misfit:
        warnings.warn(maps.misfit, MisfitWarning, stacklevel=3)
    return maps


def embed_steps(
    image: ArrayLike, model: Model, how: Inference = _AS_USUAL
) -> Steps[Embedding]:
    """Embed an image tile by tile, for workers that show progress and can stop."""
    vectors, maps = yield from _look_steps(image, model, how, embeds=True)
    embedding = Embedding(
        vectors.flatten(1),
        maps.cluster_probability,
        maps.field_of_view,
        maps.grid,
        maps.card,
        maps.centres,
        model.hash,
        maps.presence,
        maps.colour,
    )
    with_closer_look(embedding, image, model, how)
    return embedding


def _look_steps(
    image: ArrayLike, model: Model, how: Inference, embeds: bool
) -> Steps[tuple[Tensor, ClusterMaps]]:
    card = model.card
    picture = Picture.of(image, card.modality)

    def seen_at(magnification: float) -> Seen:
        return picture.seen(round(card.working_diameter * magnification))

    size = how.magnification or 1.0
    seen = seen_at(size)
    if how.magnification is not None or "vessel" not in card.structures:
        return (yield from _mapped(seen, model, how, embeds))
    first = first_look(seen.colour, seen.inside)
    if first != size:
        seen = seen_at(first)
    found = yield from _mapped(seen, model, how, embeds)
    maps = found[1]
    vessel = maps.presence["vessel"].float().cpu().numpy()
    better = suggested(vessel, maps.inside, first)
    if better == first:
        return found
    return (yield from _mapped(seen_at(better), model, how, embeds))


def _mapped(
    seen: Seen, model: Model, how: Inference, embeds: bool
) -> Steps[tuple[Tensor, ClusterMaps]]:
    card = model.card
    vectors, probability, presence = yield from run_tiles(
        seen.colour, seen.inside, model, how, embeds=embeds
    )
    maps = ClusterMaps(
        probability,
        seen.field_of_view,
        seen.grid,
        card,
        model.centres,
        dict(zip(card.structures, presence, strict=True)),
        kept_colour(seen.colour, probability.device),
    )
    return vectors, maps


def map_clusters(
    image: ArrayLike,
    model: Model,
    *,
    tile_size: int = TILE_SIZE,
    flips: int = 1,
    precision: Precision = "auto",
    magnification: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ClusterMaps:
    """Find clusters and named structures alone, without the embedding.

    The clustering branch is all that is run, which spares a third of the work and
    most of the memory.  Clusters and structures are those of `embed`; parameters and
    errors as well.
    """
    how = Inference(tile_size, flips, precision, magnification)
    steps = _look_steps(image, model, how, embeds=False)
    maps = run(steps, progress, cancel)[1]
    with_closer_look(maps, image, model, how)
    return _checked(maps)


def with_closer_look(
    maps: ClusterMaps, image: ArrayLike, model: Model, how: Inference
) -> None:
    """Let small lesions be looked at closer, once one is asked of an image's maps."""
    closer = CloserLook(image, model, how, maps.magnification, maps.grid.shape)
    if closer.structures:
        maps.closer = closer
