"""What we write beside the labels, as JSON: so that a file comes back as it was.

Formats have fields of their own for colours, names and pixel sizes, which other
programs read.  They round, or leave something out; the note does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .label_map import LabelMap

KEY = "localdisc"
NOTE_VERSION = 1


def note_of(labels: LabelMap) -> dict[str, Any]:
    """Return what a file must say of labels, as plain values."""
    classes: dict[str, dict[str, Any]] = {}
    for value, name in labels.names.items():
        classes.setdefault(str(int(value)), {})["name"] = name
    for value, colour in labels.colours.items():
        classes.setdefault(str(int(value)), {})["colour"] = _floats(colour)
    note: dict[str, Any] = {"note": NOTE_VERSION, "classes": classes}
    if labels.default_colour is not None:
        note["default_colour"] = _floats(labels.default_colour)
    optional = {
        "placement": dict(labels.placement),
        "name": labels.name,
        "image": labels.image,
        "made_by": dict(labels.made_by),
    }
    note |= {key: value for key, value in optional.items() if value}
    note["shape"] = list(labels.shape)
    return note


def note_text(labels: LabelMap) -> str:
    """Return the note as ASCII JSON under our key."""
    return json.dumps({KEY: note_of(labels)})


def parse_note(text: Any) -> dict[str, Any] | None:
    """Return the note in a text; None if there is none."""
    try:
        note = json.loads(text)[KEY]
    except (ValueError, KeyError, TypeError):
        return None
    return note if isinstance(note, dict) else None


def fields_of(note: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a note into keyword arguments of `LabelMap`; damaged parts are left out."""
    fields: dict[str, Any] = {"names": {}, "colours": {}}
    classes = note.get("classes")
    for key, said in (classes if isinstance(classes, dict) else {}).items():
        if isinstance(said, dict) and key.lstrip("-").isdigit():
            if isinstance(said.get("name"), str):
                fields["names"][int(key)] = said["name"]
            if isinstance(said.get("colour"), list) and len(said["colour"]) == 4:
                fields["colours"][int(key)] = tuple(said["colour"])
    if isinstance(note.get("default_colour"), list):
        fields["default_colour"] = tuple(note["default_colour"])
    for key in ("placement", "name", "image", "made_by"):
        if key in note:
            fields[key] = note[key]
    return fields


def shape_of(note: Mapping[str, Any], size: int) -> tuple[int, ...] | None:
    """Return the noted shape, if it fits a number of pixels."""
    shape = note.get("shape")
    if not isinstance(shape, list) or not all(isinstance(n, int) for n in shape):
        return None
    product = 1
    for side in shape:
        product *= side
    return tuple(shape) if product == size else None


def _floats(colour: Any) -> list[float]:
    return [float(part) for part in colour]
