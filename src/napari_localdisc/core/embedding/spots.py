"""The small object that a click lies on: darker or brighter than what surrounds it.

The picture minus its background is cut at ever lower levels; of the connected pieces
that hold the click the one with the steepest border is the object.  Whether it is a
spot, and no stretch of a vessel, is said by how round it is and by how much it stands
out against a ring about it, all around.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.image.grid import FloatImage, Mask

_BACKGROUND = 1 / 18
"""Side of the median's window, in the longer side of the grid."""

_COARSE = 4
_SMOOTH = 0.7
_REACH = 48
"""Pixels from a click within which an object ends."""

_LEVELS = 14
_LOWEST, _LEAST_LEVEL = 0.15, 0.75
"""Lowest level, as a part of the contrast at the click and in deviations of noise."""

_SMALLEST, _LARGEST = 6, 4000
_WHOLE = 20
"""Pixels of an object; smaller ones than the last need a steeper border."""

_RING = 4
_ROUND, _APART = 0.25, 0.35
"""Of a spot, see `Spot`."""

_ROUND_ENOUGH, _APART_ENOUGH = 0.2, 0.2

_NEARER = 2
"""How much nearer to what is denied than to what is wanted a place is that goes."""

_REMEMBERED = 64


@dataclass(frozen=True)
class Spot:
    """An object about a click.

    Attributes
    ----------
    box : tuple of slice
        Rows and columns of the grid that ``mask`` is of.
    mask : ndarray
        bool: the object.
    is_bright : bool
        Whether it is brighter than its surroundings.
    roundness : float
        Its area, by that of a circle about it that holds all of it.
    apartness : float
        1 minus the highest contrast of a ring about it (90 in 100), by its own: 0 for
        the middle of a line, which goes on beyond it.
    """

    box: tuple[slice, slice]
    mask: Mask
    is_bright: bool
    roundness: float
    apartness: float

    @property
    def area(self) -> int:
        """Pixels of the grid."""
        return int(self.mask.sum())

    @property
    def stands_alone(self) -> bool:
        """Whether who clicks on it means it, and nothing that it is a part of."""
        if self.is_bright:  # as no vessel is
            # What is dark all around is the reflex of light on a vessel
            apart = _APART / 2 <= self.apartness <= 1
            return self.roundness >= _ROUND / 2 and apart
        return self.roundness >= _ROUND and self.apartness >= _APART

    def holds(self, pixel: NDArray[np.intp]) -> bool:
        """Whether a pixel of the grid is in ``mask``."""
        row, column = (
            int(at) - part.start for at, part in zip(pixel, self.box, strict=True)
        )
        height, width = self.mask.shape
        return (
            0 <= row < height and 0 <= column < width and bool(self.mask[row, column])
        )

    def without(
        self, denied: NDArray[np.intp], wanted: NDArray[np.intp], reach: float = np.inf
    ) -> NDArray[np.bool_]:
        """Return ``mask`` within reach of a pixel, less what is about denied ones.

        That is what is twice as near to one of (k, 2) such pixels of the grid as to the
        (2,) pixel that is wanted.
        """
        places = np.argwhere(self.mask) + [part.start for part in self.box]
        away = np.square(places - wanted).sum(1)
        kept = away <= reach**2
        for pixel in denied:
            kept &= away < _NEARER**2 * np.square(places - pixel).sum(1)
        result = np.zeros_like(self.mask)
        result[self.mask] = kept
        return result

    @property
    def has_outline(self) -> bool:
        """Whether its outline is good enough to be taken over."""
        return self.roundness >= _ROUND_ENOUGH and self.apartness >= _APART_ENOUGH


class Contrast:
    """How much brighter or darker than its background each pixel of a picture is.

    Parameters
    ----------
    light : ndarray
        (h, w) float32, the green channel on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.
    """

    def __init__(self, light: FloatImage, inside: Mask) -> None:
        self.light, self.inside = light, inside
        self._known: dict[tuple[int, int], Spot | None] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of what it keeps and has made."""
        made = (vars(self).get(name) for name in ("raw", "smooth", "slope"))
        kept = self.light.nbytes + self.inside.nbytes
        return int(kept + sum(part.nbytes for part in made if part is not None))

    @cached_property
    def raw(self) -> FloatImage:
        """(h, w) float32 in deviations of noise; 0 outside the field of view."""
        light, inside = self.light, self.inside
        small, seen = (part[::_COARSE, ::_COARSE] for part in (light, inside))
        if seen.any():
            nearest = ndimage.distance_transform_edt(
                np.logical_not(seen), return_distances=False, return_indices=True
            )
            small = small[tuple(nearest)]
        size = max(3, round(_BACKGROUND * max(light.shape) / _COARSE))
        middle = ndimage.median_filter(small, size, mode="nearest")
        rows, columns = (
            (np.arange(side) + 0.5) / _COARSE - 0.5 for side in light.shape
        )
        at = np.meshgrid(rows, columns, indexing="ij")
        behind = ndimage.map_coordinates(middle, at, order=1, mode="nearest")
        above = np.where(inside, light - behind, 0)
        values = abs(above[inside])
        noise = 1.4826 * float(np.median(values)) if values.size else 1.0
        return (above / max(noise, 1e-4)).astype(np.float32)

    @cached_property
    def smooth(self) -> FloatImage:
        """`raw`, a little blurred."""
        return np.asarray(ndimage.gaussian_filter(self.raw, _SMOOTH))

    @cached_property
    def slope(self) -> FloatImage:
        """(h, w) float32: how steep `smooth` is."""
        return np.asarray(ndimage.gaussian_gradient_magnitude(self.smooth, 1.0))

    def spot(self, row: int, column: int) -> Spot | None:
        """Find the object about a pixel of the grid; None where there is none.

        The last few are remembered.
        """
        known = self._known
        if (row, column) not in known:
            found = self._find(row, column)
            # Replaced as a whole, never changed: threads may ask at the same time
            self._known = dict([*known.items(), ((row, column), found)][-_REMEMBERED:])
            return found
        return known[row, column]

    def _find(self, row: int, column: int) -> Spot | None:
        height, width = self.light.shape
        box = (
            slice(max(0, row - _REACH), min(height, row + _REACH + 1)),
            slice(max(0, column - _REACH), min(width, column + _REACH + 1)),
        )
        at = row - box[0].start, column - box[1].start
        is_bright = bool(self.smooth[row, column] > 0)
        contrast = self.smooth[box] if is_bright else -self.smooth[box]
        near = contrast[max(0, at[0] - 1) : at[0] + 2, max(0, at[1] - 1) : at[1] + 2]
        mask = _steepest(contrast, self.slope[box], at, float(np.median(near)))
        if mask is None:
            return None
        rows, columns = np.nonzero(mask)
        away = np.hypot(rows - rows.mean(), columns - columns.mean()).max()
        inner = ndimage.binary_dilation(mask)
        ring = ndimage.binary_dilation(inner, iterations=_RING - 1) & ~inner
        around = float(np.quantile(contrast[ring], 0.9)) if ring.any() else 0.0
        own = max(float(np.median(contrast[mask])), 1e-6)
        round_ = len(rows) / (np.pi * (away + 0.5) ** 2)
        return Spot(box, mask, is_bright, float(round_), 1 - around / own)


def _steepest(
    contrast: FloatImage, slope: FloatImage, at: tuple[int, int], top: float
) -> NDArray[np.bool_] | None:
    """Choose the piece with the steepest border among those that hold a pixel."""
    best, found = 0.0, None
    lowest = max(_LOWEST * top, _LEAST_LEVEL)
    if top <= lowest:
        return None
    for level in np.linspace(0.95 * top, lowest, _LEVELS):
        above = contrast >= level
        if not above[at]:
            continue
        names, _ = ndimage.label(above)
        piece = names == names[at]
        area = int(piece.sum())
        ends = (piece[0], piece[-1], piece[:, 0], piece[:, -1])
        if area > _LARGEST or any(end.any() for end in ends):
            break
        if area < _SMALLEST:
            continue
        border = piece & ~ndimage.binary_erosion(piece)
        score = float(slope[border].mean()) * min(1, area / _WHOLE) ** 0.25
        if score > best:
            best, found = score, piece
    return None if found is None else ndimage.binary_fill_holes(found)
