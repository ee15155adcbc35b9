"""The optic cup said by shape and brightness: the pale middle of the optic disc.

A pixel of the disc belongs to the cup if it is bright enough for how far out it lies:
vessels are closed first, and what is at the rim has to be brighter than what is in the
middle.  How large cups usually are is said by one number; brightness moves it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .blobs import diameter_of, seen_disc

_CHANNELS = np.array([0, 0.7, 0.3], np.float32)
_VESSEL, _BLUR, _ROUND = 0.12, 0.08, 0.15
"""Widest vessel that is closed, and blurs of the light and of the outline, in radii of
the disc."""

_USUAL = 0.7
"""Radius of a cup whose brightness says nothing, in radii of the disc."""

_BRIGHTNESS, _LEVEL = 1.0, 0.2
"""Weight of brightness, and where in its range within the disc it says nothing."""

_SLOPE = 0.25
_FAINTEST = 0.02


def cup_map(
    rgb: NDArray[np.float32],
    inside: NDArray[np.bool_],
    presence: Mapping[str, NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Find the cup of the optic disc that is seen.

    Parameters
    ----------
    rgb : ndarray
        (h, w, 3) float32 in [0, 1] on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.
    presence : mapping
        (h, w) float32 in [0, 1] of the optic disc.

    Returns
    -------
    ndarray
        (h, w) float32 in [0, 1], to be cut at a half; 0 all over without a disc.
    """
    shown = np.zeros(inside.shape, np.float32)
    whole = seen_disc(presence["optic disc"], inside)
    if whole is None:
        return shown
    (box,) = ndimage.find_objects(whole.astype(np.uint8))
    room = 3
    part = tuple(
        slice(max(0, side.start - room), side.stop + room) for side in box or ()
    )
    disc, radius = whole[part], diameter_of(whole) / 2
    light = _light(rgb[part], radius)
    low, high = np.percentile(light[disc], (10, 95))
    level = low + _LEVEL * (high - low)
    bright = np.clip((light - level) / (high - low + _FAINTEST), -0.5, 0.5)
    score = 2 * _BRIGHTNESS * bright + (_USUAL - _out(disc)) / (2 * _SLOPE)
    cup = ndimage.binary_fill_holes(ndimage.binary_opening(disc & (score > 0)))
    names, count = ndimage.label(cup)
    if count:
        cup = names == np.bincount(names.ravel())[1:].argmax() + 1
    blurred = ndimage.gaussian_filter(cup.astype(np.float32), _ROUND * radius)
    shown[part] = blurred * disc
    return shown


def _light(rgb: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """Brightness without vessels."""
    reach = max(1, round(_VESSEL * radius))
    foot = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    closed = ndimage.grey_closing(rgb @ _CHANNELS, footprint=foot)
    return np.asarray(ndimage.gaussian_filter(closed, _BLUR * radius), np.float32)


def _out(disc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far out each pixel lies: 0 in the middle, 1 at the disc's edge."""
    rows, columns = np.nonzero(disc)
    to_edge = ndimage.distance_transform_edt(disc)
    grid = np.indices(disc.shape)
    away = np.hypot(grid[0] - rows.mean(), grid[1] - columns.mean())
    return np.asarray(away / (away + to_edge + 1e-6))
