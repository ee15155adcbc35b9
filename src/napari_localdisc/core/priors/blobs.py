"""The one connected piece of a map that a structure is."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_ABOUT = 1 / 48
"""Reach of vessels about a piece, in diameters of the field of view."""

_SOFT = 1 / 72
"""Width of the rim where presence falls, likewise."""

_LEAST, _LARGEST = 0.07, 0.3
"""Diameters of an optic disc that are believed, likewise."""


def seen_disc(
    presence: NDArray[np.float32],
    inside: NDArray[np.bool_],
    vessel: NDArray[np.float32] | None = None,
) -> NDArray[np.bool_] | None:
    """Return the optic disc of a map of its presence, holes filled.

    Parameters
    ----------
    presence : ndarray
        (h, w) float32 in [0, 1].
    inside : ndarray
        (h, w) bool, the field of view.
    vessel : ndarray, optional
        (h, w) float32 in [0, 1], presence of vessels, which meet on the disc.

    Returns
    -------
    ndarray or None
        (h, w) bool: the piece with most presence, and most vessels about it; None
        where there is none of a disc's size.
    """
    names, count = ndimage.label((presence >= 0.5) & inside)
    if not count:
        return None
    numbers = np.arange(1, count + 1)
    mass = ndimage.sum_labels(presence, names, numbers)
    if vessel is not None and count > 1:
        near = ndimage.gaussian_filter(vessel, _ABOUT * max(inside.shape))
        mass = mass * ndimage.mean(near, names, numbers)
    disc: NDArray[np.bool_] = ndimage.binary_fill_holes(names == mass.argmax() + 1)
    diameter = diameter_of(disc) / max(inside.shape)
    return disc if _LEAST < diameter < _LARGEST else None


def diameter_of(mask: NDArray[np.bool_]) -> float:
    """Return the diameter in pixels of a circle of a mask's area."""
    return float(2 * np.sqrt(np.count_nonzero(mask) / np.pi))
