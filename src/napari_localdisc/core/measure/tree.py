"""Vessels as curves with a calibre: what all their measures are made of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .calibre import bilinear, reach
from .centreline import Curves, smooth
from .skeleton import Edge, Skeleton, find_skeleton

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Source = Literal["probability", "picture", "mask"]

FIRST_WINDOW, FIRST_DEGREE = 15, 2
"""Points and degree of the curve that says which way is across."""

WINDOW, DEGREE = 31, 4
"""Points and degree of the curve that length, direction and curvature are read from."""

MASK_BLUR = 0.5
"""Standard deviation in pixels by which a mask's stairs are made smooth."""

_ALIKE = 11
"""Points along a vessel whose calibres are averaged."""

_MOST_OFF = 1.5
"""Pixels that the middle between two edges may lie from the skeleton."""


@dataclass(frozen=True, eq=False)
class VesselTree:
    """Vessels as curves, one point about every pixel.

    Attributes
    ----------
    curves : Curves
        The middle lines, a curve a segment.
    segment : ndarray
        (N,) number of each point's segment, from 0.
    length : ndarray
        (N,) pixels of the middle line that a point stands for.
    calibre : ndarray
        (N,) pixels across the vessel; NaN near branch and end points.
    across : ndarray
        (N, 2) unit vectors across the vessel: half a calibre to either side are its
        edges.
    skeleton : Skeleton
        Nodes, and which of them each segment joins.
    source : {"probability", "picture", "mask"}
        What calibres were measured in.
    by_mask : float
        Share of the calibres that the mask alone gave, as ``source`` did not.
    """

    curves: Curves
    segment: NDArray[np.intp]
    length: Floats
    calibre: Floats
    across: Floats
    skeleton: Skeleton
    source: Source
    by_mask: float

    @property
    def points(self) -> Floats:
        """(N, 2) (row, column)."""
        return self.curves.points

    @property
    def method(self) -> str:
        """How calibres were measured."""
        said = {
            "probability": "half level of the probability across the vessel",
            "picture": "full width at half depth of the picture across the vessel",
            "mask": f"half level of the mask blurred by {MASK_BLUR:g} pixel across "
            "the vessel",
        }[self.source]
        share = 100 * self.by_mask
        if self.source == "mask" or share < 0.5:
            return said
        return f"{said}; at {share:.0f} % of the points of the mask"


def trace_vessels(
    mask: Mask,
    probability: NDArray[np.floating] | None = None,
    picture: NDArray[np.floating] | None = None,
) -> VesselTree:
    """Follow vessels along their middle and measure how wide they are.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool.
    probability : ndarray, optional
        (H, W) in [0, 1]; calibres end where it passes 0.5.
    picture : ndarray, optional
        (H, W) brightness; without a probability, calibres end half-way between the
        vessel's and its surroundings' brightness.

    Returns
    -------
    VesselTree

    Notes
    -----
    The skeleton's segments become curves (`smooth`), the curves are moved to the middle
    between the two edges across them, and become smooth again.
    """
    skeleton = find_skeleton(mask)
    paths = skeleton.paths
    is_ring = skeleton.ends[:, 0] < 0
    curves = smooth(paths, FIRST_WINDOW, FIRST_DEGREE, is_ring)
    edge = Edge(mask)
    radius = edge.distance(np.concatenate(paths) if paths else curves.points)
    segment = np.repeat(np.arange(len(paths)), np.diff(curves.starts))
    across = _across(curves)
    fields: list[tuple[Source, NDArray[np.floating]]] = []
    if probability is not None:
        fields.append(("probability", probability))
    elif picture is not None:
        fields.append(("picture", picture))
    blurred = ndimage.gaussian_filter(mask.astype(np.float32), MASK_BLUR, truncate=4)
    fields.append(("mask", blurred))
    far = 1.5 * radius + 2
    sides = np.full((2, len(across)), np.nan)
    near = _near_nodes(skeleton, curves)
    by_mask = 0.0
    for source, values in fields:
        left = np.flatnonzero(np.isnan(sides).any(axis=0))
        if source == "mask" and not near.all():
            by_mask = np.count_nonzero(~near[left]) / np.count_nonzero(~near)
        at, way, limit = curves.points[left], across[left], far[left]
        if source == "picture":
            sides[:, left] = _half_depth(values, at, way, radius[left])
        else:
            sides[:, left] = [reach(values, at, sign * way, limit) for sign in (1, -1)]
    calibre = sides.sum(axis=0)
    off = (sides[0] - sides[1]) / 2
    off[near | ~(np.abs(off) <= _MOST_OFF)] = 0
    moved = curves.points + off[:, None] * across
    parts = np.split(moved, curves.starts[1:-1]) if paths else []
    curves = smooth(parts, WINDOW, DEGREE, is_ring)
    calibre[near] = np.nan
    return VesselTree(
        curves,
        segment,
        _lengths(curves),
        _averaged(calibre, curves.starts),
        _across(curves),
        skeleton,
        fields[0][0],
        by_mask,
    )


def _across(curves: Curves) -> Floats:
    """(N, 2) unit vectors at right angles to the curves."""
    turned = np.stack([-curves.first[:, 1], curves.first[:, 0]], 1)
    return np.asarray(turned / np.maximum(curves.speed, 1e-9)[:, None])


def _lengths(curves: Curves) -> Floats:
    """(N,) half the way to the point before and half the way to the next."""
    steps = np.hypot(*np.diff(curves.points, axis=0).T)
    steps[curves.starts[1:-1] - 1] = 0  # from one curve to the next
    halves = np.zeros(len(curves.points))
    halves[:-1] += steps / 2
    halves[1:] += steps / 2
    return halves


def _near_nodes(skeleton: Skeleton, curves: Curves) -> Mask:
    """(N,) whether a point is so near to a node that what lies across is not it alone.

    Of a segment that is too short for another point to be left, the middle one stays.
    """
    near = np.zeros(len(curves.points), bool)
    steps = np.hypot(*np.diff(curves.points, axis=0).T)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    for index, (one, two) in enumerate(skeleton.ends.tolist()):
        if one < 0:
            continue
        first, last = curves.starts[index], curves.starts[index + 1] - 1
        along = way[first : last + 1] - way[first]
        close = along < skeleton.radius[one] + 1
        close |= along[-1] - along < skeleton.radius[two] + 1
        if close.all():
            close[len(close) // 2] = False
        near[first : last + 1] = close
    return near


def _averaged(calibre: Floats, starts: NDArray[np.intp]) -> Floats:
    """Average calibres along each vessel over those that are known."""
    known = np.isfinite(calibre)
    padded, kept = [], []
    half = _ALIKE // 2
    total, gap = 0, np.full(half, np.nan)
    for first, last in pairwise(starts.tolist()):
        padded += [gap, calibre[first:last]]
        kept.append(np.arange(total + half, total + half + last - first))
        total += half + last - first
    if not padded:
        return calibre
    values = np.concatenate([*padded, gap])
    there = np.isfinite(values)
    kernel = np.ones(_ALIKE)
    count = np.convolve(there, kernel, "same")
    mean = np.convolve(np.where(there, values, 0), kernel, "same") / np.maximum(
        count, 1
    )
    return np.where(known, mean[np.concatenate(kept)], np.nan)


def _half_depth(
    picture: NDArray[np.floating], points: Floats, across: Floats, radius: Floats
) -> Floats:
    """(2, n) ways to where a picture is half-way between a vessel and what is beside.

    The surroundings are the median of five places from one and a half pixels beyond
    the mask's edge; vessels are darker than both sides or brighter than both.
    """
    if not len(points):
        return np.zeros((2, 0))

    def at(way: Floats | float) -> Floats:
        return bilinear(picture, points + np.reshape(way, (-1, 1)) * across)

    core = np.mean([at(share * radius) for share in (-0.3, 0.0, 0.3)], axis=0)
    places = (1.5, 2.0, 2.5, 3.0, 3.5)
    beside = [
        np.median([at(sign * (radius + place)) for place in places], axis=0)
        for sign in (1, -1)
    ]
    sign = np.sign(np.median(np.mean(beside, axis=0) - core)) or 1.0
    inverted = -sign * picture
    ways = [
        reach(
            inverted,
            points,
            direction * across,
            radius + 3.5,
            -sign * (core + side) / 2,
        )
        for direction, side in zip((1, -1), beside, strict=True)
    ]
    return np.array(ways)
