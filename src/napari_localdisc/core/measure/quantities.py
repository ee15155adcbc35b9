"""What is measured: a number, its dimension and, where it is missing, the reason."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A number that was measured, in pixels.

    Attributes
    ----------
    measure : str
        What it is called.
    value : float or None
        None: it is missing.
    power : int
        Of the length in its unit: 1 for lengths, 2 for areas, −1 for curvatures.
    unit : str
        Of a value without a length in it.
    method : str
        How it was measured.
    reason : str
        Why it is missing.
    piece : int, optional
        Which piece or segment, where it is of one; by default of all of them.
    """

    measure: str
    value: float | None
    power: int = 0
    unit: str = ""
    method: str = ""
    reason: str = ""
    piece: int | None = None


def known(
    measure: str,
    value: float,
    reason: str,
    *,
    power: int = 0,
    unit: str = "",
    method: str = "",
    piece: int | None = None,
) -> Quantity:
    """Return a quantity that is missing, for a reason, where its value is NaN."""
    number = None if math.isnan(value) else float(value)
    said = reason if number is None else ""
    return Quantity(measure, number, power, unit, method, said, piece)
