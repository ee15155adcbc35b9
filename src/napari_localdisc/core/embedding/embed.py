"""embed(image, model) → Embedding: the network sees an image once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, NamedTuple

import torch
from numpy.typing import ArrayLike

from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.grid import FloatImage, Mask, WorkingGrid
from napari_localdisc.core.image.working import as_rgb, spread_tones, working_image
from napari_localdisc.core.model.tiles import Maps, run_tiles
from napari_localdisc.core.work import run_steps

from .clusters import ClusterMaps
from .embedding import Embedding

if TYPE_CHECKING:
    from napari_localdisc.core.model.inference import Precision
    from napari_localdisc.core.model.model import Model

SURROUND = 32
"""Pixels around a fundus image's grid that are as if outside the field of view: the
network has learnt what the border of an array looks like, and should not see one."""

TILE_SIZE = 1024
"""Working grids up to this size go through the network in one piece."""

_CANCELLED = "Embedding the image was cancelled."


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
    tile_size : int
        Largest piece, in working pixels, that goes through the network at once; less
        memory if smaller, at least 272.
    flips : {1, 2, 4}
        Mirrored copies that are averaged: better and slower.
    precision : {"auto", "float32", "bfloat16"}
        ``"auto"``: bfloat16 where the processor multiplies it in hardware.
    progress : callable, optional
        Called with (tiles done, tiles in all) after each tile.
    cancel : callable, optional
        Asked before each tile; true stops the work.

    Returns
    -------
    Embedding

    Raises
    ------
    ImageError
        If the image cannot be used; the message says why.
    Cancelled
        If ``cancel`` said so.
    """
    steps = embed_steps(
        image, model, tile_size=tile_size, flips=flips, precision=precision
    )
    return run_steps(steps, progress, cancel, _CANCELLED)


def embed_steps(
    image: ArrayLike,
    model: Model,
    *,
    tile_size: int = TILE_SIZE,
    flips: int = 1,
    precision: Precision = "auto",
) -> Generator[tuple[int, int], None, Embedding]:
    """Embed an image step by step, for workers that show progress and can be stopped.

    Parameters are those of `embed`.

    Yields
    ------
    done, total : int
        After each tile.

    Returns
    -------
    Embedding
        As the generator's value.
    """
    seen = _look(image, model)
    vectors, probability, presence = yield from _run(
        seen, model, tile_size, flips, precision, embeds=True
    )
    return Embedding(
        vectors.flatten(1),
        probability,
        seen.field_of_view,
        seen.grid,
        model.card,
        model.centres,
        model.hash,
        dict(zip(model.card.structures, presence, strict=True)),
        _picture(seen).to(vectors.device),
    )


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

    Returns
    -------
    ClusterMaps
    """
    steps = _cluster_steps(image, model, tile_size, flips, precision)
    return run_steps(steps, progress, cancel, _CANCELLED)


def _cluster_steps(
    image: ArrayLike, model: Model, tile_size: int, flips: int, precision: Precision
) -> Generator[tuple[int, int], None, ClusterMaps]:
    seen = _look(image, model)
    _, probability, presence = yield from _run(
        seen, model, tile_size, flips, precision, embeds=False
    )
    return ClusterMaps(
        probability,
        seen.field_of_view,
        seen.grid,
        model.card,
        model.centres,
        dict(zip(model.card.structures, presence, strict=True)),
    )


class _Seen(NamedTuple):
    """An image as the network's input is made of it."""

    colour: FloatImage
    inside: Mask
    field_of_view: Mask
    grid: WorkingGrid


def _picture(seen: _Seen) -> torch.Tensor:
    """(3, h, w) float16, as `Embedding` keeps it."""
    return torch.from_numpy(seen.colour).permute(2, 0, 1).half().contiguous()


def _look(image: ArrayLike, model: Model) -> _Seen:
    card = model.card
    rgb = as_rgb(image)
    field_of_view = find_field_of_view(rgb, card.modality)
    grid = WorkingGrid.around(field_of_view, card.working_diameter)
    colour, inside = working_image(rgb, field_of_view, grid)
    if card.modality == "frame":
        colour = spread_tones(colour, inside)
    return _Seen(colour, inside, field_of_view, grid)


def _run(
    seen: _Seen,
    model: Model,
    tile_size: int,
    flips: int,
    precision: Precision,
    *,
    embeds: bool,
) -> Generator[tuple[int, int], None, Maps]:
    return run_tiles(
        seen.colour,
        seen.inside,
        model,
        margin=SURROUND if model.card.modality == "fundus" else 0,
        tile_size=tile_size,
        flips=flips,
        precision=precision,
        embeds=embeds,
    )
