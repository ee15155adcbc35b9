"""How many single objects, as lesions are, a map finds, and how many false ones.

The free-response ROC: of all images together, by a threshold of the map.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]

THRESHOLDS = np.array(
    [*np.arange(0.05, 0.9, 0.05), 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999]
)
MOST_FALSE = 5.0
"""False ones in an image, in the mean, that are put up with."""

_TOUCHING = np.ones((3, 3), bool)


class Found(NamedTuple):
    """What is found of one image's objects at each threshold.

    Attributes
    ----------
    hits, false : ndarray
        (T,) int: objects of the reference that are touched, and connected pieces that
        touch none.
    objects : int
        Of the reference.
    """

    hits: NDArray[np.intp]
    false: NDArray[np.intp]
    objects: int


def found_objects(score: NDArray[np.floating], reference: Mask) -> Found:
    """Count what each of `THRESHOLDS` finds of an (H, W) reference mask's objects."""
    names, count = ndimage.label(reference, _TOUCHING)
    hits, false = np.zeros((2, len(THRESHOLDS)), np.intp)
    for number, threshold in enumerate(THRESHOLDS):
        found = score >= threshold
        pieces, total = ndimage.label(found, _TOUCHING)
        hits[number] = len(np.unique(names[found & reference]))
        false[number] = total - len(np.unique(pieces[found & reference]))
    return Found(hits, false, count)


def sensitivity(images: Sequence[Found], most_false: float = MOST_FALSE) -> float:
    """Share of all images' objects that is found with so few false ones an image.

    NaN where no threshold has so few.
    """
    false = np.mean([found.false for found in images], axis=0)
    hits = np.sum([found.hits for found in images], axis=0)
    few = false <= most_false
    total = sum(found.objects for found in images)
    return float(hits[few].max()) / total if few.any() and total else float("nan")
