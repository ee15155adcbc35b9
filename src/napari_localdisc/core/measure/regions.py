"""Size, shape and brightness of whatever is labelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from skimage.measure import find_contours

from .centreline import smooth
from .grids import Region
from .quantities import Quantity, known

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

WINDOW, DEGREE = 11, 2
"""Points and degree of the curve that an outline's length is read from."""

_EIGHT = np.ones((3, 3))
_SIDES = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
_CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True, eq=False)
class Pieces:
    """A class's mask and its connected pieces (8 neighbours).

    Attributes
    ----------
    mask : ndarray
        (H, W) bool.
    """

    mask: Mask

    @cached_property
    def names(self) -> NDArray[np.int32]:
        """(H, W) number of each pixel's piece, 0 outside."""
        return np.asarray(self._labelled[0])

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._labelled[1])

    @cached_property
    def _labelled(self) -> tuple[NDArray[np.int32], int]:
        names, count = ndimage.label(self.mask, _EIGHT)
        return names, int(count)

    @property
    def areas(self) -> Floats:
        """(n,) pixels of each."""
        return self.shapes.area

    @property
    def centres(self) -> Floats:
        """(n, 2) centres of mass (row, column)."""
        return self.shapes.centre

    @cached_property
    def perimeters(self) -> Floats:
        """(n,) length of each one's outlines, those of its holes as well, in pixels."""
        return outlines(self.names, self.count)

    @cached_property
    def shapes(self) -> Shapes:
        """Size and shape of each piece."""
        runs = self._runs
        return find_shapes(runs, self.names[runs.row, runs.first] - 1, self.count)

    @cached_property
    def whole(self) -> Shapes:
        """Size and shape of all of them together."""
        runs = self._runs
        return find_shapes(runs, np.zeros(len(runs.row), np.intp), 1)

    @cached_property
    def _runs(self) -> Runs:
        padded = np.pad(self.mask, ((0, 0), (1, 1)))
        begins = np.nonzero(padded[:, 1:-1] & ~padded[:, :-2])
        ends = np.nonzero(padded[:, 1:-1] & ~padded[:, 2:])
        return Runs(begins[0], begins[1], ends[1])


class Runs(NamedTuple):
    """Pixels next to each other in a row.

    Attributes
    ----------
    row, first, last : ndarray
        (R,) int: row, and columns of the outermost pixels.
    """

    row: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]


class Shapes(NamedTuple):
    """What moments and hulls tell of n sets of pixels.

    Attributes
    ----------
    area : ndarray
        (n,) pixels.
    centre : ndarray
        (n, 2) centres of mass (row, column).
    eccentricity : ndarray
        (n,) of the ellipse with the same second moments: 0 for a circle.
    solidity : ndarray
        (n,) area over that of the convex hull through the middles of the pixels'
        sides, 1 at most.
    """

    area: Floats
    centre: Floats
    eccentricity: Floats
    solidity: Floats


def find_shapes(runs: Runs, owner: NDArray[np.integer], count: int) -> Shapes:
    """Measure sets of pixels.

    As scikit-image's ``regionprops``, but all at once.

    Parameters
    ----------
    runs : Runs
        Of all pixels.
    owner : ndarray
        (R,) int, 0 to ``count`` − 1: the set that each belongs to; none is empty.
    count : int
        Sets.

    Returns
    -------
    Shapes
    """

    def summed(values: Floats) -> Floats:
        return np.bincount(owner, values, count).astype(float)

    long = (runs.last - runs.first + 1).astype(float)
    area = summed(long)
    rows = summed(long * runs.row) / area
    columns = summed(long * (runs.first + runs.last) / 2) / area
    down, right = runs.row - rows[owner], runs.first - columns[owner]
    steps = long * (long - 1) / 2  # 0 + 1 + … + (long − 1)
    tall = summed(long * down**2) / area
    wide = right**2 * long + 2 * right * steps + steps * (2 * long - 1) / 3
    wide = summed(wide) / area
    both = summed(down * (long * right + steps)) / area
    half = np.hypot((tall - wide) / 2, both)
    large, small = (tall + wide) / 2 + half, (tall + wide) / 2 - half
    ratio = np.divide(small, large, out=np.ones(count), where=large > 0)
    eccentricity = np.sqrt(np.clip(1 - ratio, 0, 1))
    order = np.argsort(owner, kind="stable")
    parts = np.searchsorted(owner[order], np.arange(1, count))
    ends = np.stack([runs.row, runs.first, runs.row, runs.last], 1)[order]
    groups = np.split(ends, parts) if count else []
    hulls = np.array([_hull_area(group.reshape(-1, 2)) for group in groups])
    solidity = np.minimum(area / hulls, 1)
    return Shapes(area, np.stack([rows, columns], 1), eccentricity, solidity)


def _hull_area(pixels: NDArray[np.intp]) -> float:
    middles = (pixels[:, None] + _SIDES).reshape(-1, 2)
    return float(ConvexHull(middles).volume)


def outlines(names: NDArray[np.integer], count: int) -> Floats:
    """Measure the outlines of labelled pieces that do not touch each other.

    Marching squares half-way between pixels, then a parabola fitted around each point
    (11 points, Savitzky and Golay), so that the stairs of the pixels do not count.

    Parameters
    ----------
    names : ndarray
        (H, W) int, 0 outside.
    count : int
        The largest label.

    Returns
    -------
    ndarray
        (count,) pixels.
    """
    padded = np.pad(names, 1)
    contours = find_contours((padded > 0).astype(np.uint8), 0.5, "high")
    lengths = np.zeros(count + 1)
    if not contours:
        return lengths[1:]
    owner = []
    for contour in contours:
        row, column = contour[0]
        low = padded[int(np.floor(row)), int(np.floor(column))]
        high = padded[int(np.ceil(row)), int(np.ceil(column))]
        owner.append(max(int(low), int(high)))
    curves = smooth(contours, WINDOW, DEGREE, np.ones(len(contours), bool))
    for index, label in enumerate(owner):
        ring = curves.points[curves.starts[index] : curves.starts[index + 1]]
        lengths[label] += np.hypot(*np.diff(ring, axis=0).T).sum()
    return lengths[1:]


def measure_class(
    pieces: Pieces, region: Region, picture: NDArray[Any] | None
) -> Iterator[Quantity]:
    """Yield area, share and brightness of a class within a region."""
    here = pieces.mask & region.inside
    covered = np.count_nonzero(here)
    area = np.count_nonzero(region.inside)
    yield Quantity("area", float(covered), 2, method="pixels counted")
    share = covered / area if area else np.nan
    yield known(
        "share covered", share, "nothing in view", unit="share", method="pixels"
    )
    if picture is not None:
        yield from _intensities(picture[here])


def _intensities(values: NDArray[Any], piece: int | None = None) -> Iterator[Quantity]:
    names = [f"mean {channel}" for channel in _CHANNELS]
    if values.ndim == 1:
        names, values = ["mean intensity"], values[:, None]
    for name, channel in zip(names, values.T, strict=False):
        mean = float(channel.mean(dtype=float)) if len(channel) else np.nan
        yield known(
            name, mean, "none there", unit="value", method="the picture's", piece=piece
        )


def measure_shape(pieces: Pieces) -> Iterator[Quantity]:
    """Yield the shape of a class as a whole: all its pieces together."""
    if not pieces.count:
        return
    yield Quantity("pieces", float(pieces.count), unit="count", method="8 neighbours")
    yield from _shape(pieces.whole, 0, float(pieces.perimeters.sum()), None)


def measure_pieces(pieces: Pieces, picture: NDArray[Any] | None) -> Iterator[Quantity]:
    """Yield size, shape and brightness of each piece, numbered from 1."""
    boxes = ndimage.find_objects(pieces.names)
    for index, (box, area) in enumerate(zip(boxes, pieces.areas, strict=True)):
        number = index + 1
        yield Quantity("area", float(area), 2, "", "pixels counted", "", number)
        perimeter = float(pieces.perimeters[index])
        yield from _shape(pieces.shapes, index, perimeter, number)
        if picture is not None:
            values = picture[box][pieces.names[box] == number]
            yield from _intensities(values, number)


def _shape(
    shapes: Shapes, index: int, perimeter: float, piece: int | None
) -> Iterator[Quantity]:
    row, column = shapes.centre[index]
    diameter = np.sqrt(4 * shapes.area[index] / np.pi)
    moments = "second moments"
    for name, value, power, unit, method in (
        ("perimeter", perimeter, 1, "", "smooth outline"),
        ("equivalent diameter", diameter, 1, "", "circle of the same area"),
        ("eccentricity", shapes.eccentricity[index], 0, "ratio", moments),
        ("solidity", shapes.solidity[index], 0, "ratio", "area over convex hull"),
        ("centroid row", row, 0, "pixel", "centre of mass"),
        ("centroid column", column, 0, "pixel", "centre of mass"),
    ):
        yield Quantity(name, float(value), power, unit, method, "", piece)
