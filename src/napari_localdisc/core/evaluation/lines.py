"""How well a mask of lines, as vessels are, agrees with a reference mask of them."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

Mask = NDArray[np.bool_]

THIN = 3.0 / 576
"""Width of a thin line, in parts of the field of view's longer side."""


def centreline_dice(predicted: Mask, reference: Mask) -> float:
    """Harmonic mean of how much of either's centre lines lies in the other's mask.

    clDice of Shit et al. (CVPR 2021).

    Parameters
    ----------
    predicted, reference : ndarray
        (H, W) bool.

    Returns
    -------
    float
        In [0, 1]; 1 where both are empty.
    """
    if not (predicted.any() or reference.any()):
        return 1.0
    precision = _share(skeletonize(predicted), reference)
    sensitivity = _share(skeletonize(reference), predicted)
    total = precision + sensitivity
    return 2 * precision * sensitivity / total if total else 0.0


def thin_recall(predicted: Mask, reference: Mask, size: int) -> float:
    """Share of thin lines' centre lines that is found.

    Parameters
    ----------
    predicted, reference : ndarray
        (H, W) bool.
    size : int
        Longer side of the field of view in pixels; see `THIN`.

    Returns
    -------
    float
        In [0, 1]; NaN where the reference has no thin line.
    """
    # A line of n pixels is n / 2 + 0.5 from its middle to the next pixel outside
    depth = ndimage.distance_transform_edt(np.pad(reference, 1))[1:-1, 1:-1]
    thin = skeletonize(reference) & (2 * depth - 1 <= max(1.0, THIN * size))
    return _share(thin, predicted) if thin.any() else math.nan


def _share(lines: Mask, mask: Mask) -> float:
    count = np.count_nonzero(lines)
    return np.count_nonzero(lines & mask) / count if count else 0.0
