"""How large a layer's pixels are."""

import numpy as np
from napari.layers import Layer

from .plane import Plane


def pixel_sides_mm(layer: Layer, plane: Plane) -> tuple[float, float] | None:
    """Return height and width of a plane's pixels in millimetres.

    Parameters
    ----------
    layer : Layer
        Its scale, shear, affine and units count.
    plane : Plane
        Of the layer.

    Returns
    -------
    tuple of float or None
        None where the layer's units are no lengths.
    """
    units = layer.units
    if not all(units[axis].is_compatible_with("millimeter") for axis in plane.axes):
        return None
    to = [
        float((1 * unit).to("millimeter").magnitude)
        if unit.is_compatible_with("millimeter")
        else 0.0
        for unit in units
    ]
    corner = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    sides = []
    for axis in plane.axes:
        step = np.zeros(layer.ndim)
        step[axis] = 1
        way = (np.asarray(layer.data_to_world(step)) - corner) * to
        sides.append(float(np.hypot.reduce(way)))
    return sides[0], sides[1]


def pixel_side_mm(layer: Layer, plane: Plane) -> float | None:
    """Return the side of a plane's pixels in millimetres where they are square."""
    sides = pixel_sides_mm(layer, plane)
    if sides is None or not 0 < max(sides) < 1.005 * min(sides):
        return None
    return sides[0]


def pixel_area(layer: Layer, plane: Plane) -> tuple[float | None, str]:
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
