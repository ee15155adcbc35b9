"""Fractal dimension by counting boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMALLEST = 4
"""Side in pixels of the smallest boxes: below, a line of pixels is what is counted."""

LARGEST_SHARE = 1 / 8
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


def box_count(points: NDArray[np.intp]) -> BoxCount | None:
    """Count the boxes that hold points, for boxes of many sizes.

    Sides grow by √2 from 4 pixels to an eighth of the longer side of the points'
    bounding box.  A grid lies in 5 × 5 places for each size and the mean number counts,
    so that a turn or a shift changes little.

    Parameters
    ----------
    points : ndarray
        (n, 2) int pixels (row, column).

    Returns
    -------
    BoxCount or None
        None where fewer than four sizes fit.
    """
    if len(points) < 2:
        return None
    points = points - points.min(axis=0)
    extent = int(points.max()) + 1
    octaves = np.log2(max(extent * LARGEST_SHARE, 1) / SMALLEST)
    steps = np.arange(int(max(octaves, 0) * _SIZES_AN_OCTAVE + 1e-9) + 1)
    sizes = np.unique(np.round(SMALLEST * 2.0 ** (steps / _SIZES_AN_OCTAVE)).astype(int))
    if len(sizes) < FEWEST_SIZES or octaves < 0:
        return None
    counts = np.array([_mean_count(points, int(size)) for size in sizes])
    (slope, _), covariance = np.polyfit(np.log(sizes), np.log(counts), 1, cov=True)
    return BoxCount(-float(slope), float(np.sqrt(covariance[0, 0])), sizes, counts)


def _mean_count(points: NDArray[np.intp], size: int) -> float:
    shifts = np.unique(np.arange(_SHIFTS) * size // _SHIFTS)
    wide = int(points[:, 1].max() + size) // size + 1
    tall = int(points[:, 0].max() + size) // size + 1
    columns = [(points[:, 1] + shift) // size for shift in shifts]
    total = 0
    for shift in shifts:
        rows = (points[:, 0] + shift) // size * wide
        for column in columns:
            hit = np.zeros(tall * wide, bool)
            hit[rows + column] = True
            total += np.count_nonzero(hit)
    return total / len(shifts) ** 2
