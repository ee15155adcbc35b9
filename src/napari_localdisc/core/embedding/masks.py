"""What is done to a mask before it becomes labels: pieces chosen, outline rounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.image.grid import Mask

from .similarity import connected_to

SMOOTHING = 0.75
"""Standard deviation of the Gaussian that rounds outlines, in working pixels: what is
narrower than the network can see goes, and thin vessels stay."""

_EIGHT = np.ones((3, 3), dtype=bool)


def refine(
    mask: Mask,
    points: ArrayLike,
    connected: bool = False,
    sigma: Sequence[float] | None = None,
    minimum_size: int = 0,
) -> Mask:
    """Round the outline of a mask and choose among its pieces, in this order.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool.
    points : array_like
        (k, 2) points (row, column) in pixels of the mask.
    connected : bool
        Keep only pieces (8-connected) that hold one of the points.
    sigma : sequence of float, optional
        Rows and columns over which the outline is rounded; see `smooth`.
    minimum_size : int
        Pixels below which a piece is left out.

    Returns
    -------
    ndarray
        (H, W) bool.

    Raises
    ------
    PromptError
        If the minimum size is negative.
    """
    if minimum_size < 0:
        raise PromptError(f"A piece cannot have {minimum_size} pixels: 0 keeps all.")
    if sigma is not None:
        mask = smooth(mask, sigma)
    if connected:
        mask = connected_to(mask, points)
    return without_small(mask, minimum_size) if minimum_size > 1 else mask


def smooth(mask: Mask, sigma: Sequence[float]) -> Mask:
    """Round an outline: the mask is blurred by a Gaussian and cut at a half.

    Straight edges stay where they are; corners, spurs and holes that are small against
    ``sigma`` (rows, columns; in pixels) go.
    """
    box = _bounding_box(mask, [int(np.ceil(4 * side)) + 1 for side in sigma])
    result = np.zeros_like(mask)
    if box is not None:
        blurred = ndimage.gaussian_filter(
            mask[box].astype(np.float32), sigma, mode="nearest"
        )
        result[box] = blurred >= 0.5
    return result


def without_small(mask: Mask, minimum_size: int) -> Mask:
    """Leave out 8-connected pieces of fewer pixels than ``minimum_size``."""
    names, _ = ndimage.label(mask, _EIGHT)
    large = np.bincount(names.ravel()) >= minimum_size
    large[0] = False
    return np.asarray(large[names])


def _bounding_box(mask: Mask, margin: Sequence[int]) -> tuple[slice, slice] | None:
    sides: list[NDArray[np.intp]] = [
        np.flatnonzero(mask.any(axis=1)),
        np.flatnonzero(mask.any(axis=0)),
    ]
    if sides[0].size == 0:
        return None
    rows, columns = (
        slice(max(0, int(side[0]) - room), int(side[-1]) + 1 + room)
        for side, room in zip(sides, margin, strict=True)
    )
    return rows, columns
