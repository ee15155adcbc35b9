"""Colours that are the same everywhere: clusters, structures, and their notation."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from .names import plain_name

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

STRUCTURES = {
    "vessel": "#56b4e9",
    "artery": "#d55e00",
    "vein": "#0072b2",
    "optic_disc": "#f0e442",
    "optic_cup": "#8877ff",
    "fovea": "#cc79a7",
    "hard_exudate": "#00ffff",
    "cotton_wool_spot": "#aaaa55",
    "bright_lesion": "#eeddbb",
    "haemorrhage": "#009e73",
    "microaneurysm": "#771177",
    "dark_lesion": "#99ff88",
    "lungs": "#e69f00",
    "right_lung": "#99ff88",
    "left_lung": "#eeddbb",
    "heart": "#dd3355",
    "clavicle": "#8877ff",
}
"""Structure, as `plain_name` has it → its colour wherever it is shown.

All of them are the palette's; those of a retina are seen on its orange as outlines.
"""

_ALSO = {
    "vessels": "vessel",
    "blood_vessel": "vessel",
    "blood_vessels": "vessel",
    "arteries": "artery",
    "veins": "vein",
    "disc": "optic_disc",
    "optic_disk": "optic_disc",
    "cup": "optic_cup",
    "lung": "lungs",
    "exudate": "hard_exudate",
    "exudates": "hard_exudate",
    "hard_exudates": "hard_exudate",
    "soft_exudate": "cotton_wool_spot",
    "soft_exudates": "cotton_wool_spot",
    "cotton_wool_spots": "cotton_wool_spot",
    "haemorrhages": "haemorrhage",
    "hemorrhage": "haemorrhage",
    "hemorrhages": "haemorrhage",
    "microaneurysms": "microaneurysm",
    "clavicles": "clavicle",
}
"""Other names that they go by."""


def known_colour(name: str) -> str | None:
    """Return the colour of a structure that everybody knows; None of another one."""
    plain = plain_name(name)
    return STRUCTURES.get(_ALSO.get(plain, plain))


def structure_colours(names: Iterable[str]) -> dict[str, str]:
    """Return each structure's colour, one that no other of them has.

    Known structures have theirs in every model; others have the next of the palette,
    in the order that they are given in.
    """
    names = list(dict.fromkeys(names))
    colours: dict[str, str] = {}
    for name in names:
        known = known_colour(name)
        if known is not None and known not in colours.values():
            colours[name] = known
    taken = {*colours.values()}
    bright = [colour for colour in PALETTE if colour not in QUIET]
    left = iter([c for c in (*bright, *QUIET) if c not in taken])
    return {name: colours.get(name) or next(left, PALETTE[0]) for name in names}


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
