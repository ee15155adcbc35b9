"""Pixels, disc diameters and millimetres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .quantities import Quantity

PIXEL, DISC, MILLIMETRE = "pixel", "disc diameter", "mm"
_POWERS = {1: "", 2: "²", -1: "⁻¹", -2: "⁻²"}

USUAL_DISC_MM = 1.8
"""Vertical diameter of an optic disc as it is usually taken: 1.8 mm."""


class Length(NamedTuple):
    """A unit of length.

    Attributes
    ----------
    name : str
        What it is called.
    pixels : float
        How long it is.
    source : str
        Where that comes from; empty for pixels.
    """

    name: str
    pixels: float
    source: str = ""


@dataclass(frozen=True)
class Units:
    """The units of length that are known of an image, pixels first."""

    lengths: tuple[Length, ...] = (Length(PIXEL, 1.0),)

    @classmethod
    def of(
        cls,
        mm_per_pixel: float | None = None,
        disc_pixels: float | None = None,
        disc_mm: float | None = None,
    ) -> Units:
        """Find them.

        Parameters
        ----------
        mm_per_pixel : float, optional
            From a scale or a spacing; goes before the disc.
        disc_pixels : float, optional
            Diameter of the disc.
        disc_mm : float, optional
            What its diameter is taken for.
        """
        lengths = [Length(PIXEL, 1.0)]
        if disc_pixels:
            lengths.append(Length(DISC, disc_pixels))
        if mm_per_pixel:
            lengths.append(Length(MILLIMETRE, 1 / mm_per_pixel, "mm by the scale"))
        elif disc_pixels and disc_mm:
            source = f"mm by a disc taken as {disc_mm:g} mm"
            lengths.append(Length(MILLIMETRE, disc_pixels / disc_mm, source))
        return cls(tuple(lengths))

    @property
    def millimetre(self) -> float | None:
        """Pixels in a millimetre, where that is known."""
        found = [length for length in self.lengths if length.name == MILLIMETRE]
        return found[0].pixels if found else None

    def of_quantity(
        self, quantity: Quantity
    ) -> Iterator[tuple[float | None, str, str]]:
        """Yield value, unit and method in each unit that a quantity may have."""
        if not quantity.power:
            yield quantity.value, quantity.unit, quantity.method
            return
        for length in self.lengths:
            value = quantity.value
            if value is not None:
                value /= length.pixels**quantity.power
            unit = length.name + _POWERS[quantity.power]
            method = "; ".join(filter(None, (quantity.method, length.source)))
            yield value, unit, method
