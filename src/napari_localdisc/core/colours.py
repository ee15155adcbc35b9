"""Colours as ``#rrggbb`` and as numbers; without torch and napari."""

from __future__ import annotations

import re
from collections.abc import Iterable

Rgb = tuple[float, float, float]

STRUCTURE_RGB: Rgb = (0.0, 0.9, 1.0)
"""Of a named structure; a retina does not have it."""


def from_hex(colour: str) -> Rgb:
    """Return red, green and blue in [0, 1] of ``#rrggbb``; alpha after it is left out.

    Raises
    ------
    ValueError
        If it is written otherwise.
    """
    if not re.fullmatch(r"#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?", colour):
        raise ValueError(f"A colour is written as #rrggbb, not {colour!r}.")
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def to_hex(colour: Iterable[float]) -> str:
    """Return ``#rrggbb`` of red, green and blue in [0, 1]; alpha is left out."""
    red, green, blue, *_ = (round(255 * float(part)) for part in colour)
    return f"#{red:02x}{green:02x}{blue:02x}"
