"""What a model finds, as masks that are fit to be measured.

A probability of one half is where a structure is more likely than not, pixel by pixel.
Of vessels that leaves out the thin ones, whose probability is low all along, and of the
heart the border that it shares with the lungs, which is neither.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .chest import two_lungs
from .structures import role_of

Mask = NDArray[np.bool_]
Floats = NDArray[np.floating]

HALF = 0.5

LOCAL, AROUND = 0.02, 2 / 540
"""A vessel is also where its probability is .02 above the mean around: a Gaussian of
2/540 of the field of view's diameter.  Chosen on DRIVE's training images."""

SPECK = 20 / 540**2
"""Smallest piece of vessels, in squares of the field of view's diameter."""

SURE, GAP, UPPER = 0.9, 0.03, 0.7
"""Probability from which a lung is no border any more, the share of the chest's width
by which a heart may be apart from it and still reaches it, and the share of the heart's
rows, from above, that say how wide it is: below, it lies in front of the diaphragm,
where no border is seen.  Chosen on every other JSRT image."""


def found_masks(probabilities: Mapping[str, Floats], view: Mask) -> dict[str, Mask]:
    """Cut a model's probabilities for measuring.

    Parameters
    ----------
    probabilities : mapping of str to ndarray
        (H, W) in [0, 1] by structure.
    view : ndarray
        (H, W) bool: what can be seen.

    Returns
    -------
    dict
        (H, W) bool by structure.
    """
    masks: dict[str, Mask] = {}
    for name, values in probabilities.items():
        is_vessel = role_of(name) in ("vessel", "artery", "vein")
        masks[name] = find_vessels(values, view) if is_vessel else values >= HALF
    lungs = [own for name, own in probabilities.items() if role_of(name) == "lungs"]
    for name, values in probabilities.items():
        if role_of(name) == "heart" and lungs:
            masks[name] = find_heart(values, lungs[0])
    return masks


def find_vessels(probability: Floats, view: Mask) -> Mask:
    """Find vessels, thin ones as well: above one half, or above what is around them.

    Parameters
    ----------
    probability : ndarray
        (H, W) in [0, 1].
    view : ndarray
        (H, W) bool.

    Returns
    -------
    ndarray
        (H, W) bool.
    """
    spans = [np.flatnonzero(view.any(axis=axis)) for axis in (0, 1)]
    diameter = max(
        (float(np.ptp(span)) + 1 for span in spans if len(span)), default=1.0
    )
    around = ndimage.gaussian_filter(
        np.asarray(probability, np.float32), AROUND * diameter, truncate=3
    )
    mask = (probability >= HALF) | (probability - around > LOCAL)
    mask &= view
    names, _ = ndimage.label(mask, np.ones((3, 3)))
    large = np.bincount(names.ravel()) >= SPECK * diameter**2
    large[0] = False
    return np.asarray(large[names])


def find_heart(probability: Floats, lungs: Floats) -> Mask:
    """Find a heart that reaches the lungs beside it.

    The largest piece above one half; row by row, in its upper seven tenths, on to
    where a lung is sure, if that is at most a thirtieth of the chest's width away.
    Farther down it is no wider than there.

    Parameters
    ----------
    probability, lungs : ndarray
        (H, W) in [0, 1] of heart and lungs.

    Returns
    -------
    ndarray
        (H, W) bool.
    """
    names, count = ndimage.label(probability >= HALF, np.ones((3, 3)))
    if not count:
        return np.zeros(lungs.shape, bool)
    areas = np.bincount(names.ravel())
    areas[0] = 0
    heart: Mask = names == areas.argmax()
    sides = two_lungs(lungs >= HALF)
    if sides is None:
        return heart
    right, left = (side & (lungs >= SURE) for side in sides)
    across = np.flatnonzero((lungs >= HALF).any(axis=0))
    gap = GAP * (across[-1] - across[0] + 1)
    middle = int(np.nonzero(heart)[1].mean())
    rows = np.flatnonzero(heart.any(axis=1))
    upper = rows[: int(np.ceil(UPPER * len(rows)))]
    for row in upper:
        own = np.flatnonzero(heart[row])
        before = np.flatnonzero(right[row, :middle])
        after = np.flatnonzero(left[row, middle:]) + middle
        if len(before) and 0 < own[0] - before[-1] <= gap:
            heart[row, before[-1] + 1 : own[0]] = True
        if len(after) and 0 < after[0] - own[-1] <= gap:
            heart[row, own[-1] + 1 : after[0]] = True
    heart[upper[-1] + 1 :, ~heart[upper].any(axis=0)] = False
    return heart
