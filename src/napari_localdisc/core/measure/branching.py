"""Angles at which vessels branch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tree import VesselTree

Floats = NDArray[np.float64]

FROM, LEAST = 1.2, 10.0
"""A direction is that of the points between 1.2 times the branch point's radius, plus
a pixel, and as far again or 10 pixels, whichever is more."""

_FEWEST_POINTS = 5


class Branching(NamedTuple):
    """A branch point of three segments.

    Attributes
    ----------
    node : int
        Its number in the skeleton.
    angle : float
        Degrees between the two daughters.
    ways : ndarray
        (2, 2) unit vectors (row, column) along the daughters.
    """

    node: int
    angle: float
    ways: Floats


def branchings(tree: VesselTree) -> list[Branching]:
    """Measure the angle between the daughters of every branch point.

    The daughters are the two of its three segments that are nearest to each other in
    direction: vessels do not turn back.  A segment's direction is that of a line
    fitted to its middle (least squares across the line) a little away from the branch
    point, where it is not yet pulled towards the others.

    Parameters
    ----------
    tree : VesselTree
        From `trace_vessels`.

    Returns
    -------
    list of Branching
        Those whose segments are all long enough to have a direction.
    """
    skeleton, starts = tree.skeleton, tree.curves.starts
    ways: dict[int, list[Floats | None]] = {}
    for index, pair in enumerate(skeleton.ends.tolist()):
        line = tree.points[starts[index] : starts[index + 1]]
        for node, points in zip(pair, (line, line[::-1]), strict=True):
            if node >= 0:
                way = _direction(points, float(skeleton.radius[node]))
                ways.setdefault(node, []).append(way)
    found = []
    for node in sorted(ways):
        three = [way for way in ways[node] if way is not None]
        if len(three) == len(ways[node]) == 3:
            pairs = (
                np.stack([three[one], three[two]])
                for one, two in ((0, 1), (0, 2), (1, 2))
            )
            nearest = max(pairs, key=lambda pair: float(pair[0] @ pair[1]))
            angle = np.degrees(np.arccos(np.clip(nearest[0] @ nearest[1], -1, 1)))
            found.append(Branching(node, float(angle), nearest))
    return found


def _direction(points: Floats, radius: float) -> Floats | None:
    """Return the unit vector along points that lead away from a node."""
    away = np.hypot(*(points - points[0]).T)
    begin = FROM * radius + 1
    end = begin + max(begin, LEAST)
    inside = np.flatnonzero((away >= begin) & (away <= end))
    if len(inside) < _FEWEST_POINTS:
        return None
    # Of a segment that comes back, the part that leaves
    breaks = np.flatnonzero(np.diff(inside) > 1)
    if len(breaks):
        inside = inside[: breaks[0] + 1]
        if len(inside) < _FEWEST_POINTS:
            return None
    chosen = points[inside]
    _, _, axes = np.linalg.svd(chosen - chosen.mean(axis=0), full_matrices=False)
    way: Floats = axes[0]
    return way if way @ (chosen[-1] - chosen[0]) > 0 else -way
