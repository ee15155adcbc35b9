"""Optic disc and cup."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from skimage.draw import polygon2mask

from .grids import Sector
from .landmarks import Eye
from .quantities import Quantity, known

Mask = NDArray[np.bool_]

_CUT_OFF = "the disc is cut off by the edge of what is in view"


def whole_disc(disc: Mask, cup: Mask | None, vessels: Mask | None) -> Mask:
    """Return the disc with its cup and the vessels that run over it.

    Labels hold one class a pixel, so that a cup or a vessel takes its place from the
    disc: vessels belong to it within the convex hull of the rest.

    Parameters
    ----------
    disc : ndarray
        (H, W) bool.
    cup, vessels : ndarray, optional
        The same.

    Returns
    -------
    ndarray
        (H, W) bool.
    """
    own = disc if cup is None else disc | cup
    if vessels is None or not own.any():
        return own
    rows, columns = np.nonzero(own.any(axis=1))[0], np.nonzero(own.any(axis=0))[0]
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    crop = own[window]
    try:
        points = np.argwhere(crop)
        hull = points[ConvexHull(points).vertices]
    except QhullError:  # on one line
        return own
    whole = own.copy()
    whole[window] |= polygon2mask(crop.shape, hull) & vessels[window]
    return whole


def measure_disc(
    disc: Mask, cup: Mask | None, view: Mask, eye: Eye | None
) -> Iterator[Quantity]:
    """Yield measures of the disc and, where there is one, of the cup and the rim.

    Parameters
    ----------
    disc : ndarray
        (H, W) bool, with the cup: from `whole_disc`.
    cup : ndarray, optional
        (H, W) bool.
    view : ndarray
        (H, W) bool: what can be seen.
    eye : {"left", "right"}, optional
        Tells nasal from temporal.
    """
    reason = _CUT_OFF if _is_cut(disc, view) else ""
    tall, wide = _extents(disc)
    if not tall:
        return
    said = "first to last row", "first to last column"
    yield known("vertical diameter", tall, "", power=1, method=said[0])
    yield known("horizontal diameter", wide, "", power=1, method=said[1])
    if cup is None:
        return
    inner = cup & disc
    cup_tall, cup_wide = _extents(inner)
    area, cup_area = np.count_nonzero(disc), np.count_nonzero(inner)
    yield Quantity("cup area", float(cup_area), 2, method="pixels counted")
    yield Quantity("cup vertical diameter", cup_tall, 1, method=said[0])
    yield Quantity("cup horizontal diameter", cup_wide, 1, method=said[1])
    for name, value in (
        ("vertical cup-to-disc ratio", cup_tall / tall),
        ("horizontal cup-to-disc ratio", cup_wide / wide),
        ("area cup-to-disc ratio", cup_area / area),
    ):
        told = np.nan if reason else value
        yield known(name, told, reason, unit="ratio", method="cup over disc")
    rim = disc & ~cup
    yield Quantity("rim area", float(area - cup_area), 2, method="pixels counted")
    for sector, mask in _sectors(disc, eye).items():
        covered = float(np.count_nonzero(rim & mask))
        told = np.nan if reason else covered
        method = "pixels counted, 90° about the disc's centre"
        yield known(f"rim area {sector}", told, reason, power=2, method=method)


def _extents(mask: Mask) -> tuple[float, float]:
    """Return how many rows and columns it spans."""
    spans = []
    for axis in (1, 0):
        found = np.flatnonzero(mask.any(axis=axis))
        spans.append(float(np.ptp(found) + 1) if len(found) else 0.0)
    return spans[0], spans[1]


def _is_cut(mask: Mask, view: Mask) -> bool:
    """Tell whether it touches the edge of what can be seen."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return False
    padded = np.pad(view, 1)
    return not all(
        padded[rows + down, columns + right].all()
        for down, right in ((0, 1), (2, 1), (1, 0), (1, 2))
    )


def _sectors(disc: Mask, eye: Eye | None) -> dict[str, Mask]:
    rows, columns = np.nonzero(disc)
    centre = float(rows.mean()), float(columns.mean())
    sides = {"left": 180.0, "right": 0.0}
    if eye is not None:
        nasal = 0.0 if eye == "right" else 180.0
        sides = {"nasal": nasal, "temporal": 180.0 - nasal}
    directions = {"superior": 90.0, "inferior": 270.0} | sides
    far = float(np.hypot(*disc.shape))
    return {
        name: Sector(centre, 0, far, middle, 90).pixels(disc.shape)
        for name, middle in directions.items()
    }
