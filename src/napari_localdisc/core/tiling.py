"""Tiles with an overlap so wide that no seam can be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import LocalDiscError
from .network import STRIDE

if TYPE_CHECKING:
    from .images import Mask

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

    window: tuple[slice, slice]
    core: tuple[slice, slice]

    @property
    def kept(self) -> tuple[slice, slice]:
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
    """Cover the field of view with tiles.

    Parameters
    ----------
    inside : ndarray
        (h, w) bool: the field of view on the working grid.  Tiles that fill nothing
        of it are left out.
    tile_size : int
        Largest side of a window in pixels, overlap included; at least 272.

    Returns
    -------
    list of Tile
        In reading order.

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
    rows, columns = (_split(padded_size(side), tile_size) for side in inside.shape)
    return [
        Tile((window_rows, window_columns), (core_rows, core_columns))
        for window_rows, core_rows in rows
        for window_columns, core_columns in columns
        if inside[core_rows, core_columns].any()
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
