"""Small bright pieces of a picture, and which of them are sharp lesions.

Exudates are steep: high for their area, and yellow, so that green rises with red; and
there are more of them near by.  Reflexes of light, cotton wool spots and the pigment
behind the retina are low and wide.  A piece has log odds by such a rule, which count
beside those that are known of each pixel; clicks on pieces move them, for pieces that
look like those that were clicked.

The constants were chosen on the tuning half of IDRiD; see docs/experiments.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.image.grid import FloatImage, Mask

if TYPE_CHECKING:
    from .meaning import Clicks
    from .spots import Spot

_COARSE, _WINDOW = 384, 1 / 36
"""Longer side, about, of the grid that the background is found on, and the side of its
median's window in parts of it."""

_SMOOTH = 0.5
_LEAST, _CLEAR = 2.0, 4.0
"""Deviations of noise of a piece, and of one that says that there are more about it."""

_CONFIRMED = 0.3
_ABOUT = 1 / 9.5
"""Presence of such a one, and the side of the square that is about a piece."""

_NONE_ABOUT = 1e-4
_AREA, _DENSITY, _RED, _STEEP = 0.3, 0.1, 0.06, 0.1
"""What a lesion's score takes of the logarithms of area and density and of the contrast
in red; and from where on it is one."""

_STEEPNESS = 4.0
_ELSEWHERE = 0.2
_RULE, _NO_PIECE = 0.25, -0.25
"""What of a piece's log odds counts beside what is known of its pixels, and the same of
what is in no piece."""

_SURE = 0.001
"""What is known is at least so far from 0 and from 1."""

_MUCH_MORE, _LEAST_AREA, _NO_PIECE_AREA = 2, 9, 20
"""How much larger than a piece the object about a click is at most; and pixels that any
piece counts as, and that what is in none does."""

_APART = 0.35
"""Highest value of a piece that is none, and 1 minus the least of one that is."""

_SPREADS = (0.25, 0.5, 1.0, 0.75)
"""Differences of peak, area, red and density up to which pieces look alike."""

_CORE, _SKIRT = 0.7, 3
"""A negative click that is lower than this part of a piece's peak takes what is as low,
and so many times as far from it as the core is, which it leaves."""

_Pixel = tuple[int, int]

_MARGIN, _NOISE = 1.0, 0.1
_OTHERS = 0.3


@dataclass(frozen=True)
class Pieces:
    """Connected bright pieces on the working grid.

    Attributes
    ----------
    names : ndarray
        (h, w) int, 0 where there is none.
    looks : ndarray
        (n, 4) float64, row 0 without a meaning: the logarithms of the highest contrast
        and of the area, the mean contrast in red, the logarithm of how much of what is
        about it is seen as a lesion.
    contrast : ndarray
        (h, w) float32 in deviations of noise.
    """

    names: NDArray[np.int32]
    looks: NDArray[np.float64]
    contrast: FloatImage

    @classmethod
    def of(cls, colour: FloatImage, presence: FloatImage, inside: Mask) -> Pieces:
        """Find them in a (3, h, w) picture.

        Where (h, w) ``presence`` is high lesions are likely; none are outside of
        ``inside``.
        """
        red, green = (
            part - behind(part, inside)
            for part in (colour[0], ndimage.gaussian_filter(colour[1], _SMOOTH))
        )
        values = abs(green[inside])
        noise = max(1.4826 * float(np.median(values)) if values.size else 1.0, 1e-4)
        contrast = np.where(inside, green / noise, 0).astype(np.float32)
        names, count = ndimage.label(contrast > _LEAST)
        every = np.arange(count + 1)
        clear = (contrast > _CLEAR) & (presence > _CONFIRMED)
        side = max(3, round(_ABOUT * max(inside.shape)))
        density = ndimage.uniform_filter(clear.astype(np.float32), side)
        looks = np.stack(
            [
                np.log(np.maximum(ndimage.maximum(contrast, names, every), _LEAST)),
                np.log(np.bincount(names.ravel(), minlength=count + 1)),
                np.asarray(ndimage.mean(red / noise, names, every)),
                np.log(
                    np.maximum(ndimage.mean(density, names, every), 0) + _NONE_ABOUT
                ),
            ],
            1,
        )
        return cls(names, looks, contrast)

    def likely(
        self, clicks: Clicks | None = None, known: FloatImage | None = None
    ) -> FloatImage:
        """Return the (h, w) float32 probability of a sharp lesion, as clicks say.

        Where (h, w) ``known`` is given, it is what is known already of what is meant.
        """
        peak, area, red, density = self.looks.T
        score = peak - _AREA * area + _DENSITY * density - _RED * red
        odds = _STEEPNESS * (score - _STEEP)
        if known is None:
            shown = odds[self.names]
        else:
            odds *= _RULE
            odds[0] = _NO_PIECE
            part = np.clip(known, _SURE, 1 - _SURE)
            shown = np.log(part / (1 - part)) + odds[self.names]
        low: list[_Pixel] = []
        if clicks is not None:
            shown, low = self._clicked(clicks, shown)
        sure = 1 / (1 + np.exp(-shown))
        # A cut that is moved a little changes outlines, not what is a lesion
        result = np.where(sure >= 0.5, 1 - 2 * _APART * (1 - sure), 2 * _APART * sure)
        if known is None:
            result[self.names == 0] = _ELSEWHERE
        for pixel in low:
            result[self._skirt(pixel)] = _ELSEWHERE
        return np.asarray(result, np.float32)

    def _level(self, pixel: _Pixel) -> float:
        """Return the highest contrast at a pixel or beside it."""
        rows, columns = (slice(max(0, at - 1), at + 2) for at in pixel)
        return float(self.contrast[rows, columns].max(initial=0))

    def _skirt(self, pixel: _Pixel) -> Mask:
        """(h, w) what is about a pixel in its piece, and as low as it is."""
        within = self.names == self.names[pixel]
        skirt = within & (self.contrast <= self._level(pixel))
        core, places = (np.argwhere(part) for part in (within & ~skirt, skirt))
        if len(core):
            reach = _SKIRT * np.hypot(*(core - pixel).T).min()
            far = places[np.hypot(*(places - pixel).T) > reach]
            skirt[tuple(far.T)] = False
        return np.asarray(skirt, bool)

    def _clicked(
        self, clicks: Clicks, odds: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], list[_Pixel]]:
        """Move (h, w) log odds by clicks; and find those that deny a piece's skirt."""
        low: list[_Pixel] = []
        clicked = self.names[tuple(clicks.pixels.T)]
        whole = clicked > 0
        for number, (row, column) in enumerate(clicks.pixels.tolist()):
            piece = int(clicked[number])
            if not piece or number < clicks.positives:
                continue
            if self._level((row, column)) < _CORE * np.exp(self.looks[piece, 0]):
                low.append((row, column))
                whole[number] = False
        before = odds[tuple(clicks.pixels.T)]
        moved = self._moved(clicked[whole], before[whole], clicks.signs[whole])
        odds = odds + moved[self.names]
        wanted = np.unique(clicked[: clicks.positives])
        wanted = wanted[wanted > 0]
        if len(wanted):  # who clicks on a piece means all of it
            most = np.full(len(self.looks), -np.inf)
            most[wanted] = np.minimum(
                ndimage.maximum(odds, self.names, wanted), _MARGIN
            )
            odds = np.maximum(odds, most[self.names])
        return odds, low

    def peaks(self, pixels: NDArray[np.intp]) -> NDArray[np.float64]:
        """(k,) highest contrast of the piece at each of (k, 2) pixels; 0: none."""
        names = self.names[tuple(pixels.T)]
        return np.where(names > 0, np.exp(self.looks[names, 0]), 0.0)

    def holds(self, spot: Spot, pixel: NDArray[np.intp]) -> bool:
        """Whether the object about a click is not much more than the piece there."""
        piece = int(self.names[tuple(pixel)])
        area = math.exp(self.looks[piece, 1]) if piece else _NO_PIECE_AREA
        return spot.area <= _MUCH_MORE * max(area, _LEAST_AREA)

    def _moved(
        self,
        clicked: NDArray[np.int32],
        odds: NDArray[np.float64],
        signs: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        """Say what clicks on pieces add to the log odds of those that look alike."""
        missing = signs * np.maximum(0, _MARGIN - signs * odds)
        if not missing.any():
            return np.zeros(len(self.looks))
        scaled = self.looks / _SPREADS
        away = np.square(scaled[:, None] - scaled[clicked]).sum(-1)
        alike = _OTHERS * np.exp(-away / 2)
        alike[np.arange(len(alike))[:, None] == clicked] = 1
        kernel = alike[clicked] + _NOISE * np.eye(len(clicked))
        moved = np.asarray(alike @ np.linalg.solve(kernel, missing))
        moved[0] = 0
        return moved


def behind(light: FloatImage, inside: Mask) -> FloatImage:
    """(h, w) what lies behind small things: the median about each pixel."""
    step = max(1, round(max(light.shape) / _COARSE))
    small, seen = (part[::step, ::step] for part in (light, inside))
    if seen.any():
        nearest = ndimage.distance_transform_edt(
            np.logical_not(seen), return_distances=False, return_indices=True
        )
        small = small[tuple(nearest)]
    reach = round(_WINDOW * max(light.shape) / step / 2)
    middle = ndimage.median_filter(small, 2 * reach + 1, mode="nearest")
    at = np.meshgrid(*(np.arange(side) / step for side in light.shape), indexing="ij")
    found = ndimage.map_coordinates(middle, at, order=1, mode="nearest")
    return np.asarray(found, np.float32)
