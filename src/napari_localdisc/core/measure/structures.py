"""What the names of classes mean to the measures."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from napari_localdisc.core.names import plain_name, stem_of

Role = Literal[
    "vessel",
    "artery",
    "vein",
    "disc",
    "cup",
    "lesion",
    "lungs",
    "right lung",
    "left lung",
    "heart",
    "other",
]

_NAMES: dict[str, tuple[str, ...]] = {
    "vessel": ("vessel", "vessels", "blood_vessel", "blood_vessels"),
    "artery": ("artery", "arteries", "arteriole", "arterioles"),
    "vein": ("vein", "veins", "venule", "venules"),
    "disc": ("optic_disc", "disc", "optic_disk", "disk", "optic_nerve_head"),
    "cup": ("optic_cup", "cup"),
    "lungs": ("lung", "lungs"),
    "right lung": ("right_lung", "lung_right"),
    "left lung": ("left_lung", "lung_left"),
    "heart": ("heart",),
}
_LESIONS = (
    *("lesion", "exudate", "haemorrhage", "hemorrhage", "aneurysm", "drusen"),
    *("cotton_wool", "neovascular"),
)


def role_of(name: str) -> Role:
    """Return what a class is to the measures, by its name."""
    plain = plain_name(name)
    for role, names in _NAMES.items():
        if plain in names:
            return role  # type: ignore[return-value]
    return "lesion" if any(word in plain for word in _LESIONS) else "other"


KNOWN = frozenset(
    (
        *(name for names in _NAMES.values() for name in names),
        *("bright_lesion", "dark_lesion", "lesion", "lesions", "drusen"),
        *(f"{kind}exudate{s}" for kind in ("", "hard_", "soft_") for s in ("", "s")),
        *(f"{name}{s}" for name in ("haemorrhage", "hemorrhage") for s in ("", "s")),
        *("microaneurysm", "microaneurysms", "cotton_wool_spot", "cotton_wool_spots"),
        *("neovascularisation", "clavicle", "clavicles", "fovea"),
    )
)
"""Names of structures that end the names of files of masks."""


def split_name(path: PurePath) -> tuple[str, str | None]:
    """Return the image that a mask belongs to by its name, and its structure.

    The longest ending that is a structure's name counts; of any other file its own
    name and None.
    """
    stem = stem_of(path)
    places = (place for place, letter in enumerate(stem) if letter == "_" and place)
    for place in places:
        if plain_name(stem[place + 1 :]) in KNOWN:
            return stem[:place], plain_name(stem[place + 1 :])
    return stem, None
