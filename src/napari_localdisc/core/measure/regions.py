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
        pixels = np.argwhere(self.mask)
        return find_shapes(pixels, self.names[self.mask] - 1, self.count)

    @cached_property
    def whole(self) -> Shapes:
        """Size and shape of all of them together."""
        pixels = np.argwhere(self.mask)
        return find_shapes(pixels, np.zeros(len(pixels), np.intp), 1)


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


def find_shapes(
    pixels: NDArray[np.intp], owner: NDArray[np.integer], count: int
) -> Shapes:
    """Measure sets of pixels.

    As scikit-image's ``regionprops``, but all at once.

    Parameters
    ----------
    pixels : ndarray
        (N, 2) int (row, column), row by row.
    owner : ndarray
        (N,) int, 0 to ``count`` − 1: the set that each belongs to; none is empty.
    count : int
        Sets.

    Returns
    -------
    Shapes
    """
    area = np.bincount(owner, minlength=count).astype(float)
    centre = np.stack(
        [np.bincount(owner, axis, count) / area for axis in pixels.T.astype(float)], 1
    )
    down, right = (pixels - centre[owner]).T
    tall, wide, both = (
        np.bincount(owner, product, count) / area
        for product in (down * down, right * right, down * right)
    )
    half = np.hypot((tall - wide) / 2, both)
    large, small = (tall + wide) / 2 + half, (tall + wide) / 2 - half
    ratio = np.divide(small, large, out=np.ones(count), where=large > 0)
    eccentricity = np.sqrt(np.clip(1 - ratio, 0, 1))
    order = np.argsort(owner, kind="stable")
    mine, ordered = owner[order], pixels[order]
    # Of each row the first and the last pixel: the others are not on the hull
    new = np.ones(len(mine) + 1, bool)
    new[1:-1] = (np.diff(mine) != 0) | (np.diff(ordered[:, 0]) != 0)
    ends = np.flatnonzero(new[:-1] | new[1:])
    parts = np.searchsorted(mine[ends], np.arange(1, count))
    groups = np.split(ends, parts) if count else []
    hulls = [_hull_area(ordered[group]) for group in groups]
    solidity = np.minimum(area / np.array(hulls), 1)
    return Shapes(area, centre, eccentricity, solidity)


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
    owner, rings = [], []
    for contour in contours:
        row, column = contour[0]
        low = padded[int(np.floor(row)), int(np.floor(column))]
        high = padded[int(np.ceil(row)), int(np.ceil(column))]
        owner.append(max(int(low), int(high)))
        ring = contour[:-1]
        rings.append(
            np.take(ring, np.arange(-WINDOW, len(ring) + WINDOW), 0, mode="wrap")
        )
    curves = smooth(rings, WINDOW, DEGREE)
    for index, label in enumerate(owner):
        first, last = curves.starts[index] + WINDOW, curves.starts[index + 1] - WINDOW
        ring = curves.points[first : last + 1]
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
