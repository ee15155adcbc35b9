"""Heart and lungs on a frontal radiograph of the chest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .quantities import Quantity, known

Mask = NDArray[np.bool_]

_EIGHT = np.ones((3, 3))

SPECK = 0.02
"""Pieces below this share of a structure's pixels are taken for noise."""


def two_lungs(lungs: Mask) -> tuple[Mask, Mask] | None:
    """Split lungs into the right one and the left one, as radiographs show them.

    The patient's right lung is on the left of the picture.  The two largest pieces are
    taken, or, of one piece that spans both, its halves by the column in which it has
    fewest pixels near its middle.

    Parameters
    ----------
    lungs : ndarray
        (H, W) bool.

    Returns
    -------
    tuple of ndarray or None
        (H, W) bool each, right and left; None where there are none.
    """
    names, count = ndimage.label(lungs, _EIGHT)
    if not count:
        return None
    areas = np.bincount(names.ravel())
    areas[0] = 0
    order = np.argsort(areas)[::-1]
    columns = np.arange(lungs.shape[1])
    if count > 1 and areas[order[1]] > 0.2 * areas[order[0]]:
        pair = [names == order[0], names == order[1]]
        middles = [np.average(columns, weights=mask.sum(axis=0)) for mask in pair]
        right, left = (pair[k] for k in np.argsort(middles))
        return right, left
    mask = names == order[0]
    filled = np.flatnonzero(mask.any(axis=0))
    first, last = filled[0], filled[-1]
    third = (last - first) // 3
    inner = slice(first + third, last - third + 1)
    cut = int(np.argmin(mask.sum(axis=0)[inner])) + inner.start
    return mask & (columns < cut), mask & (columns >= cut)


def measure_heart(heart: Mask, right: Mask, left: Mask) -> Iterator[Quantity]:
    """Yield the widths of heart and chest and the cardiothoracic ratio.

    The heart's width is from its first to its last column, the chest's the widest row
    from the outer edge of one lung to that of the other (Danzer, Am. J. Med. Sci. 157,
    1919, who took the inner edge of the ribs).  Pieces of less than a fiftieth of a
    structure are left out.

    Parameters
    ----------
    heart, right, left : ndarray
        (H, W) bool.
    """
    width, thorax = (
        float("nan") if line is None else line[2] - line[1] + 1
        for line in (heart_line(heart), chest_line(right, left))
    )
    no_heart, no_lungs = "no heart is labelled", "no row holds both lungs"
    said = "first to last column"
    yield known("heart width", width, no_heart, power=1, method=said)
    said = "widest row from lung to lung"
    yield known("chest width", thorax, no_lungs, power=1, method=said)
    reason = no_heart if np.isnan(width) else no_lungs
    said = "heart's width over chest's width"
    yield known(
        "cardiothoracic ratio", width / thorax, reason, unit="ratio", method=said
    )


def measure_lungs(right: Mask, left: Mask) -> Iterator[Quantity]:
    """Yield areas of both lungs and how alike they are."""
    areas = float(np.count_nonzero(right)), float(np.count_nonzero(left))
    for side, area in zip(("right", "left"), areas, strict=True):
        yield Quantity(f"{side} lung area", area, 2, method="pixels counted")
    total, smaller, larger = sum(areas), min(areas), max(areas)
    none = "no lung is labelled"
    share = areas[1] / total if total else np.nan
    yield known("left share of the area", share, none, unit="share", method="pixels")
    ratio = smaller / larger if larger else np.nan
    said = "smaller over larger lung"
    yield known("symmetry", ratio, none, unit="ratio", method=said)


Line = tuple[float, float, float]
"""Row, first and last column."""


def heart_line(heart: Mask) -> Line | None:
    """Return the line that a heart's width is read from, at its middle row."""
    rows, columns = np.nonzero(_without_specks(heart))
    if not len(rows):
        return None
    return float(rows.mean()), float(columns.min()), float(columns.max())


def chest_line(right: Mask, left: Mask) -> Line | None:
    """Return the line that a chest's width is read from: the widest row."""
    right, left = _without_specks(right), _without_specks(left)
    rows = np.flatnonzero(right.any(axis=1) & left.any(axis=1))
    if not len(rows):
        return None
    first = right[rows].argmax(axis=1)
    last = left.shape[1] - 1 - left[rows, ::-1].argmax(axis=1)
    at = int((last - first).argmax())
    return float(rows[at]), float(first[at]), float(last[at])


def _without_specks(mask: Mask) -> Mask:
    names, count = ndimage.label(mask, _EIGHT)
    if count < 2:
        return mask
    areas = np.bincount(names.ravel())
    areas[0] = 0
    large = areas >= SPECK * areas.sum()
    return np.asarray(large[names])
