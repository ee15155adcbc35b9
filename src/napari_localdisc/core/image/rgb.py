"""Pixel values of any type → RGB between 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.errors import ImageError

from .grid import SMALLEST_SIDE, FloatImage

_BIT_DEPTHS = (8, 10, 12, 14, 16, 24, 32, 48, 64)


NOT_FINITE = (
    "The image holds NaN or infinite values inside the picture: replace them by "
    "numbers first."
)


@dataclass(frozen=True)
class ValueScale:
    """The one rule that turns an image's values into [0, 1], wherever they lie in it.

    Attributes
    ----------
    low, high : float
        What becomes 0 and 1.
    """

    low: float
    high: float

    @classmethod
    def of(cls, dtype: np.dtype[Any], seen: _Range, is_alpha: bool) -> ValueScale:
        """Find the rule for an image's colours or opacities from their range.

        Raises
        ------
        ImageError
            If the values are not finite.
        """
        low, high = seen.low, seen.high
        if dtype.kind == "b":
            return cls(0, 1)
        if dtype == np.uint8:
            return cls(0, 255)
        if dtype.kind == "f":
            if not (np.isfinite(low) and np.isfinite(high)):
                raise ImageError(NOT_FINITE)
            if is_alpha and high > 1:
                return cls(0, float(high))
            if low >= 0 and high <= 1:
                return cls(0, 1)
        elif low >= 0:
            bits = next(bits for bits in _BIT_DEPTHS if int(high) < 1 << bits)
            if 8 < bits < 16 and seen.times_257:
                bits = 16  # an 8-bit image times 257, dark enough to look like fewer
            return cls(0, float((1 << bits) - 1))
        return cls(float(low), float(high))

    def apply(self, array: NDArray[Any]) -> NDArray[np.float32]:
        """Return a new float32 array of the same shape."""
        if self.low == 0:
            # Division, not a product with the reciprocal: 257 v / 65535 is v / 255
            scaled = array.astype(np.float32)
            if self.high != 1:
                scaled /= np.float32(self.high)
            return scaled
        # In double precision: a large offset must not swallow the contrast
        exact = array.astype(np.float64)
        exact -= self.low
        exact /= max(self.high - self.low, np.finfo(np.float64).tiny)
        return exact.astype(np.float32)


@dataclass(frozen=True)
class ColourScale:
    """The rules for an image's colours and for its opacities."""

    colour: ValueScale
    opacity: ValueScale

    def rgb(self, block: NDArray[Any]) -> FloatImage:
        """Turn a part of the image, (h, w[, C]), into (h, w, 3) float32 in [0, 1]."""
        colour, opacity = _split(block)
        scaled = self.colour.apply(colour)
        if opacity.size:
            scaled *= self.opacity.apply(opacity)
        if block.dtype.kind == "f":  # what is missing is black
            np.nan_to_num(scaled, copy=False, nan=0.0)
        if scaled.shape[2] == 1:
            scaled = np.repeat(scaled, 3, axis=2)
        return np.ascontiguousarray(scaled)


class RangeSearch:
    """Finds the `ColourScale` of an image that is seen whole, or block by block."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self.is_needed = dtype not in (np.uint8, np.bool_)
        """Whether the values matter, and not their type alone."""
        self._ranges = _Range(), _Range()

    def see(self, block: NDArray[Any]) -> None:
        """Take a part of the image, (h, w[, C]), into account."""
        if self.is_needed:
            for seen, part in zip(self._ranges, _split(block), strict=True):
                if part.size:
                    seen.add(part)

    def scale(self) -> ColourScale:
        """Return the rule for all that was seen.

        Raises
        ------
        ImageError
            If the values are not finite.
        """
        colour, opacity = self._ranges
        if colour.is_empty and self.is_needed:
            raise ImageError(NOT_FINITE)
        return ColourScale(
            ValueScale.of(self._dtype, colour, is_alpha=False),
            ValueScale.of(self._dtype, opacity, is_alpha=True),
        )


@dataclass
class _Range:
    low: Any = 0
    high: Any = 0
    times_257: bool = True
    """Whether all values are multiples of 257; matters below 14 bits."""
    is_empty: bool = True

    def add(self, values: NDArray[Any]) -> None:
        if values.dtype.kind == "f":
            values = values[~np.isnan(values)]
            if not values.size:
                return
        low, high = values.min(), values.max()
        if values.dtype.kind in "ui" and self.times_257 and 0 <= low <= high < 1 << 14:
            self.times_257 = not (values % 257).any()
        if not self.is_empty:
            low, high = np.minimum(low, self.low), np.maximum(high, self.high)
        self.low, self.high, self.is_empty = low, high, False


def _split(block: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Colours and opacities of (h, w[, C]) pixels; the latter may be empty."""
    planes = block[:, :, None] if block.ndim == 2 else block
    return planes[:, :, :3], planes[:, :, 3:]


def missing(array: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return where an image has no values because the picture ends before: NaN there.

    Parameters
    ----------
    array : ndarray
        (H, W[, C]).

    Returns
    -------
    ndarray or None
        (H, W) bool; None if nothing is missing.

    Raises
    ------
    ImageError
        If values are missing that do not adjoin the border.
    """
    if array.dtype.kind != "f":
        return None
    gone = np.isnan(array) if array.ndim == 2 else np.isnan(array).any(axis=2)
    if not gone.any():
        return None
    names, count = ndimage.label(gone)
    outside = np.zeros(count + 1, bool)
    for side in (names[0], names[-1], names[:, 0], names[:, -1]):
        outside[side] = True
    if gone.all() or not outside[1:].all():
        raise ImageError(NOT_FINITE)
    return np.asarray(gone)


def check_layout(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise an ImageError for an array that is no 2-D image."""
    if dtype.kind not in "buif":
        raise ImageError(
            f"An image must hold real numbers, not values of type {dtype}."
        )
    said = "×".join(str(side) for side in shape)
    if len(shape) < 2:
        raise ImageError(
            f"An image has two dimensions, but this array's shape is ({said})."
        )
    if len(shape) > 3 or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"An array of shape {said} is not a 2-D image: choose one slice of the "
            "stack (for colour the last dimension must be 3 or 4)."
        )
    if min(shape[:2]) < SMALLEST_SIDE:
        raise ImageError(
            f"The image has {shape[0]}×{shape[1]} pixels; at least "
            f"{SMALLEST_SIDE}×{SMALLEST_SIDE} are needed."
        )
