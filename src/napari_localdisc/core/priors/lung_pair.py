"""Where things are between a pair of lungs: what heart and clavicles are said by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

_OUTWARDS = 1.3
"""The weight of rows, where columns have 1, by which the corner of the lung on the
image's right is its lowest and innermost pixel: the heart pushes it outwards."""


@dataclass(frozen=True)
class LungPair:
    """Both lungs of a frontal radiograph and the places that others are found by.

    Attributes
    ----------
    left, right : ndarray
        (h, w) bool: the lungs on the image's left and right, which are the patient's
        right and left.
    corners : ndarray
        (2, 2) row, column: where each lung's inner border meets the diaphragm.
    apex : float
        Row of the higher apex.
    """

    left: Mask
    right: Mask
    corners: Floats
    apex: float

    @property
    def height(self) -> float:
        """Rows from the apex to the inner corners."""
        return float(self.corners[:, 0].mean() - self.apex)


def lung_pair(lungs: Mask) -> LungPair | None:
    """Tell the two lungs of a (h, w) bool mask apart: its two largest pieces.

    None where there are not two, or where one is under a quarter of the other.
    """
    names, count = ndimage.label(lungs)
    if count < 2:
        return None
    areas = np.bincount(names.ravel())
    areas[0] = 0
    second, first = np.argsort(areas)[-2:]
    if areas[second] < areas[first] / 4:
        return None
    pieces = [names == first, names == second]
    left, right = sorted(pieces, key=lambda piece: np.nonzero(piece)[1].mean())
    corners = [
        _lowest(left, np.array([1.0, 1.0])),
        _lowest(right, np.array([_OUTWARDS, -1.0])),
    ]
    apex = float(np.flatnonzero((left | right).any(1))[0])
    pair = LungPair(left, right, np.array(corners, np.float64), apex)
    return pair if pair.height > 1 else None


def _lowest(lung: Mask, direction: Floats) -> Floats:
    """Return the lung's pixel that lies furthest in a direction: row, column."""
    places = np.argwhere(lung)
    return np.asarray(places[(places @ direction).argmax()], np.float64)
