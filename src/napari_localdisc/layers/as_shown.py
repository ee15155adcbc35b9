"""Grey layers that are shown otherwise than their numbers are: inverted, windowed.

A network sees the numbers, a user the picture on the screen; where the two differ much
the user is asked which one is meant.
"""

from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

_SAMPLES = 512
"""Pixels along a side that a layer's range is told from."""

_CUT = 0.2
"""Share of pixels outside the contrast limits from which these are far off."""

_FLAT = 0.25
"""Share of the contrast limits' range that is used, below which these are far off."""


def is_inverted(layer: Image) -> bool:
    """Whether a grey layer is shown dark where its numbers are large."""
    if layer.rgb:
        return False
    ends = np.asarray(layer.colormap.map(np.array([0.0, 1.0])))[:, :3]
    is_grey = bool((np.ptp(ends, axis=1) < 0.02).all())
    return is_grey and float(ends[0, 0]) > float(ends[1, 0]) + 0.5


def has_far_limits(layer: Image) -> bool:
    """Whether contrast limits hide much of a grey layer, or show little of it."""
    values = _sample(layer)
    if layer.rgb or values.size == 0 or values.dtype.kind not in "uif":
        return False
    low, high = layer.contrast_limits
    cut = float(((values < low) | (values > high)).mean())
    first, last = (float(end) for end in np.percentile(values, (0.5, 99.5)))
    return cut > _CUT or 0 < last - first < _FLAT * (high - low)


def range_of(layer: Image) -> tuple[float, float]:
    """Return the smallest and the largest number, told from some pixels."""
    values = _sample(layer)
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _sample(layer: Image) -> NDArray[Any]:
    """Return some of a layer's finite numbers; none of what is not in memory."""
    data = layer.data
    if not isinstance(data, np.ndarray):
        return np.empty(0, np.uint8)
    steps = tuple(slice(None, None, -(-side // _SAMPLES)) for side in data.shape)
    values = data[steps]
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()


def as_shown(
    data: NDArray[Any], limits: tuple[float, float], *, inverted: bool
) -> NDArray[np.unsignedinteger]:
    """Turn grey numbers into those of the picture on the screen.

    Parameters
    ----------
    data : ndarray
        Real numbers.
    limits : tuple of float
        Contrast limits.
    inverted : bool
        Whether large numbers are shown dark.

    Returns
    -------
    ndarray
        Of the same shape, uint8 of uint8, else uint16: 0 is black.  NaN becomes black.
    """
    low, high = limits
    dtype, full = (np.uint8, 255) if data.dtype == np.uint8 else (np.uint16, 65535)
    shown = data.astype(np.float64)
    outside = ~np.isfinite(shown)
    shown = ((shown - low) / max(high - low, np.finfo(float).tiny)).clip(0, 1)
    if inverted:
        shown = 1 - shown
    shown[outside] = 0
    return np.asarray(np.rint(shown * full).astype(dtype))
