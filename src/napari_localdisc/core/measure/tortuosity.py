"""How much vessels wind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .centreline import squared_curvature
from .tree import VesselTree

Floats = NDArray[np.float64]

SHORTEST = 10.0
"""Pixels; what is shorter has no shape that its pixels would show."""


@dataclass(frozen=True, eq=False)
class Tortuosity:
    """What is told of each segment.

    Attributes
    ----------
    arc : ndarray
        (S,) pixels along it.
    chord : ndarray
        (S,) pixels from its first to its last point.
    ratio : ndarray
        (S,) arc over chord; NaN for rings and segments of less than ten pixels.
    squared_curvature : ndarray
        (S,) ∫ κ² ds in 1 / pixel; NaN for segments of less than ten pixels.
    """

    arc: Floats
    chord: Floats
    ratio: Floats
    squared_curvature: Floats


def tortuosity(tree: VesselTree) -> Tortuosity:
    """Measure each segment between two nodes.

    Arc over chord: Lotmar et al. (Exp. Eye Res. 29, 1979).  Integrated squared
    curvature: Hart et al. (Int. J. Med. Inform. 53, 1999), their τ₃.

    Parameters
    ----------
    tree : VesselTree
        From `trace_vessels`.

    Returns
    -------
    Tortuosity
    """
    curves = tree.curves
    count = len(curves.starts) - 1
    if not count:
        return Tortuosity(*(np.zeros(0) for _ in range(4)))
    arc = np.bincount(tree.segment, tree.length, count).astype(float)
    first, last = (
        curves.points[curves.starts[:-1]],
        curves.points[curves.starts[1:] - 1],
    )
    chord = np.hypot(*(last - first).T)
    bending = np.bincount(tree.segment, squared_curvature(curves) * tree.length, count)
    bending = np.maximum(bending, 0)
    short = arc < SHORTEST
    is_ring = chord < np.minimum(2.0, arc / 4)
    ratio = np.where(short | is_ring, np.nan, arc / np.maximum(chord, 1e-9))
    return Tortuosity(arc, chord, ratio, np.where(short, np.nan, bending))
