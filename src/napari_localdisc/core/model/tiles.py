"""Tiles through the network; where a device runs out of memory the work goes on."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.image.contrast import as_batch, network_input
from napari_localdisc.core.image.grid import FloatImage, Mask, Window
from napari_localdisc.core.work import Steps

from .card import ModelCard
from .inference import FastNetwork, Inference, Maps
from .model import Model
from .network import STRIDE

SURROUND = 32
"""Pixels around a fundus image's grid that are as if outside the field of view: the
network has learnt what the border of an array looks like, and should not see one."""


def margin_of(card: ModelCard) -> int:
    """Pixels added on all sides of the working grid."""
    return SURROUND if card.modality == "fundus" else 0


def run_tiles(
    colour: FloatImage,
    inside: Mask,
    model: Model,
    how: Inference,
    *,
    embeds: bool = True,
) -> Steps[Maps]:
    """Run the network over the working grid, on the model's device.

    Where the device's memory does not suffice, smaller tiles are tried, then the
    processor; a warning says so.

    Parameters
    ----------
    colour : ndarray
        (h, w, 3) float32 on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.
    model : Model
        The model.
    how : Inference
        Size of the tiles, mirrored copies, precision.
    embeds : bool
        Whether the vectors are wanted; else the clustering branch alone is run.

    Yields
    ------
    done, total : int
        After each tile; begins anew after running out of memory.

    Returns
    -------
    tuple of Tensor
        As the generator's value, without the margin.

    Raises
    ------
    LocalDiscError
        If the tiles are too small, or memory does not suffice for anything.
    """
    attempts = plan_attempts(model.device, how.tile_size)
    for number, (device, size) in enumerate(attempts, 1):
        attempt = replace(how, tile_size=size)
        try:
            return (yield from _run(colour, inside, model, device, attempt, embeds))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if number == len(attempts):
                raise LocalDiscError(
                    "There is not enough memory for even the smallest tile: close "
                    "other programs, or choose a smaller image."
                ) from error
        # Outside of the handler: its error would keep the tensors alive
        if device.type in ("cuda", "mps"):
            getattr(torch, device.type).empty_cache()
        following, smaller = attempts[number]
        way = (
            f"in tiles of {smaller} pixels"
            if following == device
            else "on the processor, which is slower"
        )
        warnings.warn(
            f"The device {device} ran out of memory: the image is embedded {way}.",
            stacklevel=2,
        )
    raise AssertionError("there is at least one attempt")


def plan_attempts(
    device: torch.device, tile_size: int
) -> list[tuple[torch.device, int]]:
    """List what to try: the device with ever smaller tiles, then the processor."""
    sizes = [tile_size]
    while sizes[-1] > SMALLEST_TILE:
        sizes.append(max(SMALLEST_TILE, padded_size(sizes[-1] // 2)))
    attempts = [(device, size) for size in sizes]
    if device.type != "cpu":
        attempts += [(torch.device("cpu"), size) for size in sizes]
    return attempts


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether an error of torch means that a device's memory is used up."""
    kind = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    # MPS and the processor's allocator raise plain RuntimeErrors
    signs = ("out of memory", "DefaultCPUAllocator")
    return isinstance(error, kind) or any(sign in str(error) for sign in signs)


def _run(
    colour: FloatImage,
    inside: Mask,
    model: Model,
    device: torch.device,
    how: Inference,
    embeds: bool,
) -> Steps[Maps]:
    card, network, margin = model.card, model.network, margin_of(model.card)
    tiles = plan_tiles(np.pad(inside, margin), how.tile_size)
    if device != model.device:
        network = copy.deepcopy(network).to(device)
    fast = FastNetwork(network, how.precision, how.flips)
    x = _padded_input(colour, inside, card, margin, device)
    channels = list(card.structures.values())
    dimension = card.embedding_dim if embeds else 0
    vectors, probability, presence = (
        # numpy asks for huge pages, which spares most of the page faults
        torch.from_numpy(np.empty((count, *inside.shape), np.float32)).to(device)
        for count in (dimension, card.clusters, len(channels))
    )
    if len(tiles) < len(cover(tuple(x.shape[2:]), how.tile_size)):
        # What no tile fills is neutral
        vectors.zero_()[:1] = 1
        probability.fill_(1 / len(probability))
        presence.zero_()
    for done, tile in enumerate(tiles, 1):
        window = x[(slice(None), slice(None), *tile.window)]
        kept, filled = _without_margin(tile, margin, inside.shape)
        core = (slice(None), *filled)
        maps = vectors[core], probability[core], presence[core]
        fast.fill(window, kept, maps, channels)
        yield done, len(tiles)
    return vectors, probability, presence


def _without_margin(
    tile: Tile, margin: int, shape: tuple[int, ...]
) -> tuple[Window, Window]:
    """Return what is kept of a tile's window, and where it goes in the grid."""
    kept, filled = [], []
    for part, core, side in zip(tile.kept, tile.core, shape, strict=True):
        start, stop = max(core.start, margin), min(core.stop, margin + side)
        offset = part.start - core.start
        kept.append(slice(start + offset, stop + offset))
        filled.append(slice(start - margin, stop - margin))
    return (kept[0], kept[1]), (filled[0], filled[1])


@torch.no_grad()
def _padded_input(
    colour: FloatImage,
    inside: Mask,
    card: ModelCard,
    margin: int,
    device: torch.device,
) -> Tensor:
    """(1, C, h', w') input on the device, padded as if outside the image."""
    height, width = inside.shape
    rgb, seen = as_batch(colour, inside, device)
    ring = card.surround_pixels
    x = network_input(
        rgb.contiguous(),
        seen,
        card.working_diameter,
        card.in_channels,
        surround=ring,
        margin=(margin if ring else 0,) * 4,
    )
    shape = (padded_size(side + 2 * margin) for side in (height, width))
    padded = torch.empty(
        (1, card.in_channels, *shape),
        device=device,
        memory_format=torch.channels_last,  # as the network wants it
    ).zero_()
    start = 0 if ring else margin
    padded[..., start : start + x.shape[2], start : start + x.shape[3]] = x
    return padded


HALO = 128
"""Overlap in working pixels.

An output pixel depends on input pixels up to 122 away when tiles start at multiples of
16: 2 in the branches, 4, 8 and 16 in the decoder, 48 at stride 16, and 42 on the way
down, plus 2 for the rows that share a pooled pixel.  With 128 tiles are exact.
"""

SMALLEST_TILE = 2 * HALO + STRIDE


@dataclass(frozen=True)
class Tile:
    """A tile: what the network reads, and the part of it that is kept.

    Attributes
    ----------
    window : tuple of slice
        Rows and columns of the padded working grid that the network reads.
    core : tuple of slice
        Rows and columns of the padded working grid that the tile fills.
    """

    window: Window
    core: Window

    @property
    def kept(self) -> Window:
        """The core's rows and columns within the window."""
        rows, columns = (
            slice(core.start - window.start, core.stop - window.start)
            for core, window in zip(self.core, self.window, strict=True)
        )
        return rows, columns


def padded_size(size: int) -> int:
    """Round up to a multiple of the network's stride."""
    return -(-size // STRIDE) * STRIDE


def plan_tiles(inside: Mask, tile_size: int) -> list[Tile]:
    """Cover an (h, w) field of view with tiles, in reading order.

    Those that fill nothing of it are left out.  ``tile_size`` is as for `cover`.
    """
    return [tile for tile in cover(inside.shape, tile_size) if inside[tile.core].any()]


def cover(shape: tuple[int, ...], tile_size: int) -> list[Tile]:
    """Cover a whole (h, w) working grid with tiles.

    ``tile_size`` is the largest side of a window in pixels, overlap included; at
    least 272.

    Raises
    ------
    LocalDiscError
        If ``tile_size`` is too small.
    """
    if tile_size < SMALLEST_TILE:
        raise LocalDiscError(
            f"Tiles of {tile_size} pixels are too small for the network's field of "
            f"view: choose at least {SMALLEST_TILE}."
        )
    rows, columns = (_split(padded_size(side), tile_size) for side in shape)
    return [
        Tile((window_rows, window_columns), (core_rows, core_columns))
        for window_rows, core_rows in rows
        for window_columns, core_columns in columns
    ]


def _split(size: int, tile_size: int) -> list[tuple[slice, slice]]:
    """Cut one axis into (window, core) pairs with equal cores."""
    if size <= tile_size:
        whole = slice(0, size)
        return [(whole, whole)]
    largest = (tile_size - 2 * HALO) // STRIDE * STRIDE
    core = padded_size(-(-size // -(-size // largest)))
    pairs = []
    for start in range(0, size, core):
        stop = min(start + core, size)
        window = slice(max(start - HALO, 0), min(stop + HALO, size))
        pairs.append((window, slice(start, stop)))
    return pairs
