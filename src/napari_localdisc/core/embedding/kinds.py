"""Which kind of what is meant: exudate or cotton wool spot, optic disc or its cup.

Clicks on bright lesions, and on the disc, say so by where they lie.  The constants were
chosen on the tuning halves of IDRiD and Drishti-GS1; see docs/experiments.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.image.grid import FloatImage

from .meaning import Clicks

_WIDE, _STEEP = 150, 15.0
"""Pixels of the working grid of what is too wide for most exudates, and deviations of
noise that these rise by."""

_WIDE_AND_LOW, _SEEN_WOOL, _SURELY = 0.5, 0.3, 0.9
"""Presence of cotton wool that something wide and low stands for; the least that means
it; and that of an exudate that is sure."""

_RIM_DEPTH, _BORDER_DEPTH, _TWO_SIDES = 0.19, 0.08, math.pi / 3
"""Depths in the optic disc: of its rim, and up to which its border is; and the angle,
seen from its middle, from which two places lie on two sides."""


def means_wool(
    clicks: Clicks,
    exudate: NDArray[np.float32],
    wool: NDArray[np.float32],
    peaks: NDArray[np.float64],
) -> bool:
    """Say whether clicks on bright lesions mean cotton wool spots, and no exudates.

    Cotton wool is wide and low, exudates are steep; the first click says which is
    meant, as later ones correct.  But once most of several lie on steep exudates, these
    are.

    Parameters
    ----------
    clicks : Clicks
        Of which the k positive ones count.
    exudate, wool : ndarray
        (k,) presence of both at each.
    peaks : ndarray
        (k,) highest contrast of the bright piece there, in deviations of noise; 0 where
        there is none.
    """
    steep = (peaks >= _STEEP) & (exudate > _SURELY)
    half = np.arange(1, len(steep) + 1) / 2
    if (steep.cumsum() > np.maximum(1, half)).any():
        return False
    first = clicks.spots[0] if clicks.spots else None
    wide = first is not None and first.is_bright and first.area > _WIDE
    seen = max(float(wool[0]), _WIDE_AND_LOW if wide and peaks[0] < _STEEP else 0)
    return seen > max(float(exudate[0]), _SEEN_WOOL)


def means_cup(clicks: Clicks, depth: FloatImage) -> bool:
    """Say whether clicks on the optic disc mean its cup.

    Errors of the disc lie along its border.  Who clicks in it first and denies its rim
    on two sides means the cup, unless more clicks want the disc's border.

    Parameters
    ----------
    clicks : Clicks
        That mean the disc, or what is a part of it.
    depth : ndarray
        (h, w) float32 in [0, 1], see `Candidate`.
    """
    wanted, unwanted = np.split(depth[tuple(clicks.pixels.T)], [clicks.positives])
    if wanted[0] < _BORDER_DEPTH:
        return False
    denied = clicks.pixels[clicks.positives :][unwanted >= _RIM_DEPTH]
    if len(denied) < 2 or (wanted < _BORDER_DEPTH).sum() > len(denied):
        return False
    sides = denied - np.argwhere(depth > 0).mean(0)
    angles = np.arctan2(*sides.T)
    apart = abs((angles[:, None] - angles + math.pi) % (2 * math.pi) - math.pi)
    return bool(apart.max() > _TWO_SIDES)
