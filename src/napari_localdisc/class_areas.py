"""How much of a plane a class covers, in pixels and in the layer's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Image

    from .layers import Plane


@dataclass(frozen=True)
class ClassArea:
    """How much of the plane that is shown a class covers.

    Attributes
    ----------
    pixels : int
        Of the image.
    area : float or None
        In square ``unit``; None where the layer's units are pixels.
    unit : str
        Such as ``mm``.
    """

    pixels: int
    area: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        text = f"{self.pixels:,} px"
        return text if self.area is None else f"{text} · {self.area:.3g} {self.unit}²"


def pixel_area(layer: Image, plane: Plane) -> tuple[float | None, str]:
    """Return the area of a plane's pixel in the square of a unit, and the unit.

    None and an empty string where the layer's units are pixels.
    """
    units = [layer.units[axis] for axis in plane.axes]
    if any(str(unit) in ("pixel", "pixels", "") for unit in units):
        return None, ""
    to = [
        float((1 * unit).to(units[1]).magnitude)
        if unit.is_compatible_with(units[1])
        else 0.0
        for unit in layer.units
    ]
    corner = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    sides = []
    for axis in plane.axes:
        step = np.zeros(layer.ndim)
        step[axis] = 1
        sides.append((np.asarray(layer.data_to_world(step)) - corner) * to)
    gram = np.array(sides) @ np.array(sides).T
    return float(np.sqrt(max(np.linalg.det(gram), 0))), f"{units[1]:~}"
