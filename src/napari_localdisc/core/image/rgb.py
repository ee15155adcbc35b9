"""Pixel values of any type → numbers between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import ImageError

_BIT_DEPTHS = (8, 10, 12, 14, 16, 24, 32, 48, 64)


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
    def of(
        cls,
        dtype: np.dtype[Any],
        low: float,
        high: float,
        times_257: Callable[[], bool],
        *,
        is_alpha: bool = False,
    ) -> ValueScale:
        """Find the rule for an image whose values lie between ``low`` and ``high``.

        Parameters
        ----------
        dtype : dtype
            Of the image.
        low, high : float
            Its least and its largest value.
        times_257 : callable
            Asked whether all values are multiples of 257, where that matters.
        is_alpha : bool
            Whether the values are opacities.

        Raises
        ------
        ImageError
            If the values are not finite.
        """
        if dtype.kind == "b":
            return cls(0, 1)
        if dtype == np.uint8:
            return cls(0, 255)
        if dtype.kind == "f":
            if not (np.isfinite(low) and np.isfinite(high)):
                raise ImageError(
                    "The image holds NaN or infinite values: replace them by numbers "
                    "first."
                )
            if is_alpha and high > 1:
                return cls(0, float(high))
            if low >= 0 and high <= 1:
                return cls(0, 1)
        elif low >= 0:
            return cls(0, _full_scale(int(high), times_257))
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


def _full_scale(high: int, times_257: Callable[[], bool]) -> float:
    bits = next(bits for bits in _BIT_DEPTHS if high < 1 << bits)
    if 8 < bits < 16 and times_257():
        bits = 16  # an 8-bit image times 257, dark enough to look like fewer bits
    return float((1 << bits) - 1)
