"""Measures of vessels, for the whole field and for parts of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .branching import Branching, branchings
from .fractal import box_count
from .grids import Region
from .quantities import Quantity, known
from .tortuosity import SHORTEST, Tortuosity, tortuosity
from .tree import VesselTree

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

PERCENTILES = (5, 25, 75, 95)
_NONE = "no vessel there"


@dataclass(frozen=True, eq=False)
class Vessels:
    """A vessel mask and what all regions ask of it, made once.

    Attributes
    ----------
    mask : ndarray
        (H, W) bool.
    tree : VesselTree
        From `trace_vessels`.
    """

    mask: Mask
    tree: VesselTree

    @cached_property
    def angles(self) -> list[Branching]:
        """Of branch points."""
        return branchings(self.tree)

    @cached_property
    def winding(self) -> Tortuosity:
        """Of segments."""
        return tortuosity(self.tree)

    @cached_property
    def width(self) -> float:
        """Mean width: area over length, in pixels."""
        length = float(self.tree.length.sum())
        return np.count_nonzero(self.mask) / max(length, 1.0)


def measure_vessels(vessels: Vessels, region: Region) -> Iterator[Quantity]:
    """Yield the measures of vessels within a region.

    Parameters
    ----------
    vessels : Vessels
        Mask and tree.
    region : Region
        Where; points of the middle lines count where they lie in it.
    """
    tree = vessels.tree
    area = np.count_nonzero(region.inside)
    covered = np.count_nonzero(vessels.mask & region.inside)
    yield Quantity("area", float(covered), 2, method="pixels counted")
    share = covered / area if area else np.nan
    yield known("density", share, "nothing in view", unit="share", method="pixels")
    inside = region.contains(tree.points)
    length = float(tree.length[inside].sum())
    yield Quantity("skeleton length", length, 1, method="smooth middle lines")
    yield from _calibres(tree, inside)
    yield from _nodes(vessels, region)
    yield from _tortuosities(vessels, inside)
    yield from _dimension(vessels, region)


def _calibres(tree: VesselTree, inside: Mask) -> Iterator[Quantity]:
    usable = inside & np.isfinite(tree.calibre)
    values, weights = tree.calibre[usable], tree.length[usable]
    told: dict[str, float] = dict.fromkeys(_CALIBRES, np.nan)
    if weights.sum() > 0:
        mean = float(np.average(values, weights=weights))
        spread = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
        shares = (50, *PERCENTILES)
        parts = weighted_percentiles(values, weights, shares)
        told = dict(zip(_CALIBRES, (parts[0], mean, spread, *parts[1:]), strict=True))
    for name, value in told.items():
        yield known(name, value, _NONE, power=1, method=tree.method)


_CALIBRES = (
    *("calibre median", "calibre mean", "calibre standard deviation"),
    *(f"calibre {share}th percentile" for share in PERCENTILES),
)


def weighted_percentiles(
    values: Floats, weights: Floats, shares: tuple[float, ...]
) -> list[float]:
    """Return percentiles of values that stand for more or less."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    middle = (total - weights[order] / 2) / total[-1]
    found = np.interp(np.array(shares) / 100, middle, values[order])
    return [float(value) for value in found]


def _nodes(vessels: Vessels, region: Region) -> Iterator[Quantity]:
    skeleton = vessels.tree.skeleton
    degree = skeleton.degree
    here = region.contains(skeleton.nodes)
    kinds = {
        "end points": degree == 1,
        "branch points": degree == 3,
        "crossings": degree > 3,
    }
    for name, chosen in kinds.items():
        count = float(np.count_nonzero(chosen & here))
        yield Quantity(name, count, unit="count", method="pruned skeleton")
    angles = [found.angle for found in vessels.angles if here[found.node]]
    for name, of in (("mean", np.mean), ("median", np.median)):
        value = float(of(angles)) if angles else np.nan
        yield known(
            f"branching angle {name}",
            value,
            "no branch point there whose branches are long enough",
            unit="degree",
            method="between the two daughters",
        )


_TORTUOSITIES = (
    ("tortuosity arc/chord", "ratio", 0, "ratio"),
    ("tortuosity squared curvature", "squared_curvature", -1, ""),
)


def _tortuosities(vessels: Vessels, inside: Mask) -> Iterator[Quantity]:
    """Yield means over segments, weighted by how much of each lies inside."""
    tree = vessels.tree
    count = len(vessels.winding.arc)
    weight = np.bincount(tree.segment[inside], tree.length[inside], count)
    for name, attribute, power, unit in _TORTUOSITIES:
        values = getattr(vessels.winding, attribute)
        there = np.isfinite(values) & (weight > 0)
        value = np.nan
        if there.any():
            value = float(np.average(values[there], weights=weight[there]))
        yield known(
            name,
            value,
            f"no segment of {SHORTEST:g} pixels there",
            power=power,
            unit=unit,
            method="mean over segments, weighted by length",
        )


def _dimension(vessels: Vessels, region: Region) -> Iterator[Quantity]:
    counted = box_count(vessels.mask & region.inside, vessels.width)
    method = "box counting of the mask"
    told = {"fractal dimension": np.nan, "fractal dimension standard error": np.nan}
    if counted is not None:
        sizes = counted.sizes
        method += f", boxes of {sizes[0]} to {sizes[-1]} pixels"
        told = dict(zip(told, counted[:2], strict=True))
    for name, value in told.items():
        yield known(name, value, "too small for four sizes of boxes", method=method)


def measure_segments(vessels: Vessels) -> Iterator[Quantity]:
    """Yield the measures of each segment between two nodes, numbered from 1."""
    tree, winding = vessels.tree, vessels.winding
    count = len(winding.arc)
    usable = np.isfinite(tree.calibre)
    segment, length = tree.segment[usable], tree.length[usable]
    total = np.bincount(segment, length, count)
    summed = np.bincount(segment, length * tree.calibre[usable], count)
    mean = np.where(total > 0, summed / np.maximum(total, 1e-9), np.nan)
    short = f"shorter than {SHORTEST:g} pixels, or a ring"
    for index in range(count):
        number = index + 1
        yield Quantity(
            "length", float(winding.arc[index]), 1, "", "along the segment", "", number
        )
        yield known(
            "calibre mean",
            float(mean[index]),
            "too near to branch points",
            power=1,
            method=tree.method,
            piece=number,
        )
        for name, attribute, power, unit in _TORTUOSITIES:
            yield known(
                name,
                float(getattr(winding, attribute)[index]),
                short,
                power=power,
                unit=unit,
                method="of the segment",
                piece=number,
            )
