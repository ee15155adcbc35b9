"""Central retinal artery and vein equivalents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .grids import ZONE_EDGES
from .landmarks import Disc
from .tree import VesselTree

ARTERY, VEIN = 0.88, 0.95
"""Branching coefficients (Knudtson et al., Curr. Eye Res. 27, 2003)."""

VESSELS = 6
"""How many of the widest vessels are taken."""

CIRCLES = 8
"""Rings that zone B is cut into."""


def equivalent(calibres: Sequence[float], coefficient: float) -> float:
    """Join vessels two by two, the widest with the narrowest, until one is left.

    Two of calibres a and b become one of c √(a² + b²); of an odd number the middle one
    waits for the next round (Knudtson et al., Curr. Eye Res. 27, 143–149, 2003).

    Parameters
    ----------
    calibres : sequence of float
        In any unit, at least one.
    coefficient : float
        `ARTERY` or `VEIN`.

    Returns
    -------
    float
        In the same unit.
    """
    left = sorted(calibres)
    while len(left) > 1:
        half = len(left) // 2
        joined = [
            coefficient * float(np.hypot(left[k], left[-1 - k])) for k in range(half)
        ]
        left = sorted(joined + left[half : len(left) - half])
    return left[0]


def zone_equivalent(
    tree: VesselTree, disc: Disc, coefficient: float
) -> tuple[float, str]:
    """Return the equivalent of the six widest vessels in zone B.

    The zone is cut into eight rings, so that a vessel that branches within it counts
    as one before and as two after.  In each ring a vessel's calibre is the mean over
    what of it lies there, where it crosses half of the ring at least.  The equivalents
    of the rings are averaged.

    Parameters
    ----------
    tree : VesselTree
        Of arteries, or of veins.
    disc : Disc
        The optic disc.
    coefficient : float
        `ARTERY` or `VEIN`.

    Returns
    -------
    value : float
        In pixels; NaN where it is missing.
    reason : str
        Why it is missing.
    """
    inner, outer = ((0.5 + edge) * disc.diameter for edge in ZONE_EDGES["zone B"])
    away = np.hypot(*(tree.points - disc.centre).T)
    wide = (outer - inner) / CIRCLES
    found, most = [], 0
    for ring in range(CIRCLES):
        low = inner + ring * wide
        here = np.flatnonzero((away >= low) & (away < low + wide))
        crossing = []
        # What leaves the ring and comes back is told apart by its place on the curve
        for part in np.split(here, np.flatnonzero(np.diff(here) > 1) + 1):
            for piece in np.split(
                part, np.flatnonzero(np.diff(tree.segment[part])) + 1
            ):
                known = piece[np.isfinite(tree.calibre[piece])]
                if len(known) and np.ptp(away[piece]) >= wide / 2:
                    crossing.append(float(tree.calibre[known].mean()))
        most = max(most, len(crossing))
        if len(crossing) >= VESSELS:
            found.append(equivalent(sorted(crossing)[-VESSELS:], coefficient))
    if 2 * len(found) < CIRCLES:
        return np.nan, (
            f"{VESSELS} vessels must cross zone B, and {most} were found at most"
        )
    return float(np.mean(found)), ""
