"""Fractal dimension by counting boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

SMALLEST, WIDTHS = 4, 3.0
"""Side of the smallest boxes: 4 pixels, or three times the lines' width where that is
more; below, it is the pixels or the lines' width that is counted."""

LARGEST_SHARE = 1 / 6
"""Side of the largest boxes, as a share of the longer side of what is measured."""

FEWEST_SIZES = 4
_SIZES_AN_OCTAVE = 2
_SHIFTS = 5


class BoxCount(NamedTuple):
    """A fractal dimension and how well its line fits.

    Attributes
    ----------
    dimension : float
        Slope of log(boxes) over −log(side).
    error : float
        Standard error of the slope.
    sizes, counts : ndarray
        Sides in pixels and boxes of each.
    """

    dimension: float
    error: float
    sizes: NDArray[np.intp]
    counts: NDArray[np.float64]


def box_count(mask: Mask, width: float = 1.0) -> BoxCount | None:
    """Count the boxes that hold something of a mask, for boxes of many sizes.

    Sides grow by √2 to a sixth of the longer side of what the mask spans.  A grid lies
    in 5 × 5 places for each size and the mean number counts, so that a turn or a shift
    changes little.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool.
    width : float
        Of its lines, in pixels.

    Returns
    -------
    BoxCount or None
        None where fewer than four sizes fit.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    crop = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].view(np.uint8)
    smallest = max(SMALLEST, WIDTHS * width)
    octaves = np.log2(max(crop.shape) * LARGEST_SHARE / smallest)
    steps = np.arange(int(max(octaves, 0) * _SIZES_AN_OCTAVE + 1e-9) + 1)
    sizes = np.unique(np.rint(smallest * 2.0 ** (steps / _SIZES_AN_OCTAVE)).astype(int))
    if len(sizes) < FEWEST_SIZES:
        return None
    counts = np.array([_mean_count(crop, int(size)) for size in sizes])
    (slope, _), covariance = np.polyfit(np.log(sizes), np.log(counts), 1, cov=True)
    return BoxCount(-float(slope), float(np.sqrt(covariance[0, 0])), sizes, counts)


def _mean_count(crop: NDArray[np.uint8], size: int) -> float:
    shifts = np.unique(np.arange(_SHIFTS) * size // _SHIFTS)
    total = 0.0
    for down in shifts:
        tall = np.maximum.reduceat(
            crop, _starts(crop.shape[0], size, int(down)), axis=0
        )
        flipped = np.ascontiguousarray(tall.T)
        for right in shifts:
            starts = _starts(crop.shape[1], size, int(right))
            hit = np.maximum.reduceat(flipped, starts, axis=0)
            total += float(np.count_nonzero(hit))
    return total / len(shifts) ** 2


def _starts(length: int, size: int, shift: int) -> NDArray[np.intp]:
    """Return where boxes begin along an axis: the first one is cut by the shift."""
    inner = np.arange(size - shift if shift else 0, length, size)
    return inner if inner.size and inner[0] == 0 else np.append(0, inner)
