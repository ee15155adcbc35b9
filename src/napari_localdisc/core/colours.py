"""Colours that are the same everywhere: clusters, structures, and their notation."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

PALETTE = (
    *("#56b4e9", "#d55e00", "#f0e442", "#009e73", "#cc79a7", "#e69f00", "#0072b2"),
    *("#554422", "#eeddbb", "#8877ff", "#99ff88", "#00ffff", "#771177", "#dd3355"),
    *("#772244", "#aaaa55"),
)
"""Colours of labels 1 to 16: those of Okabe and Ito, then further ones.  Each is as far
as possible in CIELAB from those before it, for normal, deuteranopic and protanopic
eyes, so that the first n tell any n clusters apart."""

QUIET = ("#554422", "#aaaa55", "#772244", "#eeddbb")
"""Of them those that a background has first, where structures have the bright ones."""

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


def colour_rows(colours: Mapping[int, str]) -> NDArray[np.float64]:
    """Return (n + 1, 4) RGBA of labels 0 to n from ``#rrggbb`` by label.

    0 is clear, labels between those given are white.
    """
    rows = np.ones((max(colours, default=0) + 1, 4))
    rows[0] = 0
    for label, colour in colours.items():
        rows[label, :3] = from_hex(colour)
    return rows


def to_hex(colour: Iterable[float]) -> str:
    """Return ``#rrggbb`` of red, green and blue in [0, 1]; alpha is left out."""
    red, green, blue, *_ = (round(255 * float(part)) for part in colour)
    return f"#{red:02x}{green:02x}{blue:02x}"
