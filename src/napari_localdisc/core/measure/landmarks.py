"""Disc, fovea and side of the eye: what regions and units are laid out by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .units import Units

Mask = NDArray[np.bool_]
Point = tuple[float, float]
Eye = Literal["left", "right"]

FOVEA_DISTANCE = (1.8, 3.2)
"""Disc diameters between disc and fovea where it is looked for; 2.5 is usual."""

FOVEA_ANGLE = 25.0
"""Degrees that the line to the fovea may differ from the horizontal."""

_FOVEA_BLUR = 0.2
_LEAST_SEEN = 0.3


@dataclass(frozen=True)
class Disc:
    """Where an optic disc lies.

    Attributes
    ----------
    centre : tuple of float
        (row, column) in pixels.
    diameter : float
        Of the circle of the same area, in pixels.
    source : str
        How it is known.
    """

    centre: Point
    diameter: float
    source: str = "given"

    @classmethod
    def of(cls, mask: Mask) -> Disc | None:
        """Find it from its mask: the largest piece; None where that is empty."""
        names, count = ndimage.label(mask, np.ones((3, 3)))
        if not count:
            return None
        areas = np.bincount(names.ravel())
        areas[0] = 0
        largest = names == areas.argmax()
        row, column = ndimage.center_of_mass(largest)
        diameter = float(np.sqrt(4 * areas.max() / np.pi))
        return cls((float(row), float(column)), diameter, "from its labels")


@dataclass(frozen=True)
class Landmarks:
    """What is known of an image beside its labels.

    Attributes
    ----------
    units : Units
        Of length.
    view_name : str
        What the whole of what can be seen is called.
    disc : Disc, optional
        The optic disc.
    fovea : tuple of float, optional
        (row, column) in pixels.
    eye : {"left", "right"}, optional
        Which eye it is.
    fovea_source : str
        How the fovea is known.
    """

    units: Units = field(default_factory=Units)
    view_name: str = "image"
    disc: Disc | None = None
    fovea: Point | None = None
    eye: Eye | None = None
    fovea_source: str = ""

    no_fovea = "the fovea is not known: give its place, or a picture and a disc"
    no_disc = "the optic disc is not known: label it, or give its place and diameter"


def eye_of(disc: Point, fovea: Point) -> Eye:
    """Return which eye has its disc on that side of the fovea, upright pictures given.

    A right eye's disc lies to the right of its fovea.
    """
    return "right" if disc[1] > fovea[1] else "left"


def find_fovea(
    picture: NDArray[np.floating], view: Mask, disc: Disc, eye: Eye | None = None
) -> Point | None:
    """Find the fovea: the darkest spot at its usual distance from the disc.

    1.8 to 3.2 disc diameters from the disc's centre, within 25° of the horizontal, on
    the side of which more is in view unless the eye is known; the picture is averaged
    with a Gaussian of a fifth of the disc's diameter and divided by its average over a
    whole diameter.

    Parameters
    ----------
    picture : ndarray
        (H, W) brightness; of colour photographs the green channel.
    view : ndarray
        (H, W) bool.
    disc : Disc
        The optic disc.
    eye : {"left", "right"}, optional
        Which eye it is.

    Returns
    -------
    tuple of float or None
        (row, column); None where too little of those places is in view.
    """
    size = disc.diameter
    step = max(1, int(size * _FOVEA_BLUR / 3))  # coarser pixels show the same
    small = _block_mean(picture * view, step)
    seen = _block_mean(view.astype(np.float32), step)
    even = _smoothed(small, seen, size / step)
    flat = _smoothed(small, seen, size * _FOVEA_BLUR / step) / np.maximum(even, 1e-6)
    rows, columns = np.indices(small.shape) * step + (step - 1) / 2
    down, right = rows - disc.centre[0], columns - disc.centre[1]
    away = np.hypot(down, right) / size
    level = np.abs(np.degrees(np.arctan2(down, np.abs(right)))) <= FOVEA_ANGLE
    may_be = (away >= FOVEA_DISTANCE[0]) & (away <= FOVEA_DISTANCE[1]) & level
    # A left eye's fovea is to the right of its disc
    sides: dict[Eye, Mask] = {"left": right > 0, "right": right < 0}
    visible: dict[Eye, float] = {
        side: float((seen * (may_be & there)).sum()) for side, there in sides.items()
    }
    more: Eye = "left" if visible["left"] > visible["right"] else "right"
    chosen: Eye = more if eye is None else eye
    whole = (FOVEA_DISTANCE[1] ** 2 - FOVEA_DISTANCE[0] ** 2) * np.pi
    whole *= size**2 * 2 * FOVEA_ANGLE / 360 / step**2
    if visible[chosen] < _LEAST_SEEN * whole:
        return None
    candidates = np.where(may_be & sides[chosen] & (seen > 0.9), flat, np.inf)
    at = np.unravel_index(int(candidates.argmin()), candidates.shape)
    return (
        (float(rows[at]), float(columns[at])) if np.isfinite(candidates[at]) else None
    )


def _block_mean(values: NDArray[np.floating], step: int) -> NDArray[np.float32]:
    tall, wide = (side - side % step for side in values.shape)
    blocks = values[:tall, :wide].reshape(tall // step, step, wide // step, step)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _smoothed(
    values: NDArray[np.float32], seen: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    weight = ndimage.gaussian_filter(seen, sigma, truncate=2.5)
    total = ndimage.gaussian_filter(values, sigma, truncate=2.5)
    return np.asarray(total / np.maximum(weight, 1e-3))
