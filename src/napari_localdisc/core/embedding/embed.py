"""embed(image, model) → Embedding: the network sees an image once."""

from collections.abc import Callable

import torch
from numpy.typing import ArrayLike

from napari_localdisc.core.image.working import Seen, look
from napari_localdisc.core.model.inference import TILE_SIZE, Inference, Precision
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.model.tiles import run_tiles
from napari_localdisc.core.work import Steps, run

from .clusters import ClusterMaps, in_one_piece
from .embedding import Embedding

_AS_USUAL = Inference()


def embed(
    image: ArrayLike,
    model: Model,
    *,
    tile_size: int = TILE_SIZE,
    flips: int = 1,
    precision: Precision = "auto",
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
    tile_size, flips, precision
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
    """
    how = Inference(tile_size, flips, precision)
    return run(embed_steps(image, model, how), progress, cancel)


def embed_steps(
    image: ArrayLike, model: Model, how: Inference = _AS_USUAL
) -> Steps[Embedding]:
    """Embed an image tile by tile, for workers that show progress and can stop."""
    seen, vectors, maps = yield from _look_steps(image, model, how, embeds=True)
    colour = torch.from_numpy(seen.colour).permute(2, 0, 1).half().contiguous()
    return Embedding(
        vectors.flatten(1),
        maps.cluster_probability,
        maps.field_of_view,
        maps.grid,
        maps.card,
        maps.centres,
        model.hash,
        maps.presence,
        colour.to(vectors.device),
    )


def _look_steps(
    image: ArrayLike, model: Model, how: Inference, embeds: bool
) -> Steps[tuple[Seen, torch.Tensor, ClusterMaps]]:
    card = model.card
    seen = look(image, card.modality, card.working_diameter)
    vectors, probability, presence = yield from run_tiles(
        seen.colour, seen.inside, model, how, embeds=embeds
    )
    named = in_one_piece(card, dict(zip(card.structures, presence, strict=True)))
    places = seen.field_of_view, seen.grid
    return seen, vectors, ClusterMaps(probability, *places, card, model.centres, named)


def map_clusters(
    image: ArrayLike,
    model: Model,
    *,
    tile_size: int = TILE_SIZE,
    flips: int = 1,
    precision: Precision = "auto",
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ClusterMaps:
    """Find clusters and named structures alone, without the embedding.

    The clustering branch is all that is run, which spares a third of the work and
    most of the memory.  Clusters and structures are those of `embed`; parameters and
    errors as well.
    """
    how = Inference(tile_size, flips, precision)
    return run(_look_steps(image, model, how, embeds=False), progress, cancel)[2]
