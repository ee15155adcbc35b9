"""embed(image, model) → Embedding: the network sees an image once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from .contrast import network_input
from .errors import Cancelled
from .images import (
    FloatImage,
    Mask,
    WorkingGrid,
    as_rgb,
    find_field_of_view,
    working_image,
)
from .pixel_embedding import Embedding
from .runtime import FastNetwork, Precision
from .tiling import padded_size, plan_tiles

if TYPE_CHECKING:
    from .models import Model, ModelCard

__all__ = ["TILE_SIZE", "Embedding", "embed", "embed_steps"]

SURROUND = 32
"""Pixels around a fundus image's grid that are as if outside the field of view: the
network has learnt what the border of an array looks like, and should not see one."""

TILE_SIZE = 1024
"""Working grids up to this size go through the network in one piece."""


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
    while True:
        if cancel is not None and cancel():
            steps.close()
            raise Cancelled("Embedding the image was cancelled.")
        try:
            done, total = next(steps)
        except StopIteration as finished:
            embedding: Embedding = finished.value
            return embedding
        if progress is not None:
            progress(done, total)


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
    card = model.card
    rgb = as_rgb(image)
    field_of_view = find_field_of_view(rgb, card.modality)
    grid = WorkingGrid.around(field_of_view, card.working_diameter)
    colour, inside = working_image(rgb, field_of_view, grid)
    del rgb
    margin = SURROUND if card.modality == "fundus" else 0
    surrounded = np.pad(inside, margin)
    tiles = plan_tiles(surrounded, tile_size)
    network = FastNetwork(model.network, precision, flips)
    x = _padded_input(colour, inside, model, margin)
    channels = list(card.structures.values())
    vectors, probability, presence = _allocate(
        card, (surrounded.shape[0], surrounded.shape[1]), x.device
    )
    for done, tile in enumerate(tiles, 1):
        window = x[(slice(None), slice(None), *tile.window)]
        core = (slice(None), *tile.core)
        network.fill(
            window,
            tile.kept,
            vectors[core],
            probability[core],
            presence[core] if channels else None,
            channels,
        )
        yield done, len(tiles)
    rows, columns = (slice(margin, margin + side) for side in grid.shape)
    vectors, probability, presence = (
        values[:, rows, columns].contiguous()
        for values in (vectors, probability, presence)
    )
    return Embedding(
        vectors.flatten(1),
        probability,
        field_of_view,
        grid,
        card,
        model.centres,
        model.hash,
        dict(zip(card.structures, presence, strict=True)),
    )


@torch.no_grad()
def _padded_input(
    colour: FloatImage, inside: Mask, model: Model, margin: int
) -> Tensor:
    """(1, C, h', w') input on the model's device, padded as if outside the image."""
    height, width = inside.shape
    x = network_input(
        torch.from_numpy(colour).permute(2, 0, 1)[None].to(model.device),
        torch.from_numpy(inside)[None, None].to(model.device, torch.float32),
        model.card.working_diameter,
        model.card.in_channels,
    )
    right, bottom = (
        padded_size(side + 2 * margin) - side - margin for side in (width, height)
    )
    padding = (margin, right, margin, bottom)
    return F.pad(x, padding)


def _allocate(
    card: ModelCard, shape: tuple[int, int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Make room for vectors, probabilities and the presence of named structures.

    What no tile fills stays neutral.
    """
    # numpy asks for huge pages, which spares most of the page faults
    vectors, probability, presence = (
        torch.from_numpy(np.empty((channels, *shape), np.float32)).to(device)
        for channels in (card.embedding_dim, card.clusters, len(card.structures))
    )
    vectors.zero_()[0] = 1
    return vectors, probability.fill_(1 / card.clusters), presence.zero_()
