"""Hard exudates as whole pieces of the picture, each told by what is known of it.

The network is sure of an exudate's middle, and hardly at all of a faint one.  So what
is bright in the picture is taken piece by piece: a piece is one by the mean of its
pixels' presences, which may be low where the photograph has many sure ones, and less so
if a vessel runs there, whose reflex it may be, or the first look sees a cotton wool
spot.  The constants were chosen on the tuning half of IDRiD; see docs/experiments.md.
"""

import numpy as np
from scipy import ndimage

from napari_localdisc.core.image.grid import FloatImage, Mask

from .bright_pieces import behind

EXUDATE, WOOL = "hard exudate", "cotton wool spot"

_SMOOTH = 0.7 / 1152
"""Of the picture, in parts of its longer side."""
_STANDS_OUT = 2.0
"""Deviations of noise that a piece is brighter than what lies behind it."""

_SURE = 0.5
_FEWEST, _LEAST_PRESENCE = 1e-4, 1e-4
_MANY, _VESSEL, _WOOL, _MIDDLE, _STEEPNESS = 1.2, 3.5, 20.0, 14.0, 0.8
"""Of the log odds: what the logarithm of the share of the field of view that is surely
exudate counts, presences of a vessel and of a cotton wool spot, what all are moved by,
and what their sum with the logarithm of the presence is multiplied by."""


def whole_exudates(
    light: FloatImage,
    inside: Mask,
    presence: FloatImage,
    vessel: FloatImage,
    wool: FloatImage,
) -> FloatImage:
    """Return the probability that each pixel belongs to a hard exudate.

    Parameters
    ----------
    light : ndarray
        (h, w) float32, the green channel.
    inside : ndarray
        (h, w) bool, the field of view.
    presence, vessel, wool : ndarray
        (h, w) float32 in [0, 1]: the network's map of hard exudates, vessels and cotton
        wool spots.

    Returns
    -------
    ndarray
        (h, w) float32 in [0, 1]; in pieces their own, elsewhere ``presence``.
    """
    above = light - behind(light, inside)
    above = ndimage.gaussian_filter(above, _SMOOTH * max(light.shape))
    values = abs(above[inside])
    noise = max(1.4826 * float(np.median(values)) if values.size else 1.0, 1e-4)
    pieces, count = ndimage.label((above > _STANDS_OUT * noise) & inside)
    every = np.arange(count + 1)
    seen = np.maximum(ndimage.mean(presence, pieces, every), _LEAST_PRESENCE)
    share = float((presence > _SURE).sum()) / max(int(inside.sum()), 1)
    odds = np.log(seen) + _MANY * np.log(share + _FEWEST) + _MIDDLE
    odds -= _VESSEL * np.asarray(ndimage.maximum(vessel, pieces, every))
    odds -= _WOOL * np.asarray(ndimage.mean(wool, pieces, every))
    odds[seen <= _LEAST_PRESENCE] = -np.inf
    likely = 1 / (1 + np.exp(-_STEEPNESS * odds))
    return np.where(pieces > 0, likely[pieces], presence).astype(np.float32)
