"""How wide a vessel is: across it, between the two places where it ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

STEP = 0.25
"""Pixels between two looks at a profile."""

HALF = 0.5
"""Level at which a vessel ends."""


def reach(
    picture: NDArray[np.floating],
    points: Floats,
    across: Floats,
    limit: Floats,
    level: Floats | float = HALF,
) -> Floats:
    """Go from points in a direction until values fall below a level.

    Parameters
    ----------
    picture : ndarray
        (H, W) values, interpolated bilinearly; 0 beyond the image.
    points : ndarray
        (n, 2) where to begin, inside.
    across : ndarray
        (n, 2) unit vectors.
    limit : ndarray
        (n,) how far to go at most.
    level : ndarray or float
        (n,) or one for all.

    Returns
    -------
    ndarray
        (n,) pixels; NaN where values stay above the level, or begin below it.
    """
    found = np.full(len(points), np.nan)
    levels = np.broadcast_to(np.asarray(level, float), found.shape)
    value = bilinear(picture, points)
    active = np.flatnonzero(value >= levels)
    before = value[active]
    steps = 0
    while len(active):
        steps += 1
        far = steps * STEP
        value = bilinear(picture, points[active] + far * across[active])
        wanted = levels[active]
        out = value < wanted
        drop = np.maximum(before - value, 1e-12)
        share = (before - wanted) / drop
        found[active[out]] = (far - STEP + STEP * share)[out]
        stay = ~out & (far < limit[active])
        active, before = active[stay], value[stay]
    return found


def bilinear(picture: NDArray[np.floating], points: Floats) -> Floats:
    """(n,) values of a picture between its pixels; 0 beyond it."""
    return np.asarray(
        ndimage.map_coordinates(
            picture, points.T, order=1, mode="constant", output=np.float64
        )
    )
