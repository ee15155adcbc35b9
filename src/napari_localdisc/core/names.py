"""Names: of kinds of images, and of structures however a user spells them."""

from collections.abc import Iterable
from pathlib import PurePath
from typing import Literal

Modality = Literal["fundus", "frame"]
"""Whether an image has a round field of view in a dark frame, or fills the frame."""

NOTE_KEY, NOTE_NAMESPACE = "localdisc", "napari-localdisc"
"""Under which our files say what they are: in text and JSON, and in OME's XML."""


LESIONS = ("lesion", "exudate", "cotton wool spot", "haemorrhage", "microaneurysm")
"""What is many and may be small."""


def is_lesion(name: str) -> bool:
    """Say whether a structure's name is one of lesions."""
    return any(kind.replace(" ", "_") in plain_name(name) for kind in LESIONS)


def brightness(name: str) -> bool | None:
    """Say whether a lesion is brighter than its surroundings; None: no lesion."""
    if not is_lesion(name):
        return None
    dark = ("dark", "haemorrhage", "microaneurysm")
    return not any(kind in plain_name(name) for kind in dark)


def plain_name(name: str) -> str:
    """Return a name in lower case with ``_`` for blanks and hyphens: fit for files."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def find_name(known: Iterable[str], name: str) -> str | None:
    """Return the known name that is ``name`` up to case, blanks, ``-`` and ``_``."""
    plain = plain_name(name)
    return next((own for own in known if plain_name(own) == plain), None)


def stem_of(path: PurePath) -> str:
    """Return a file's name without its ending, of two parts for OME."""
    for ending in (".ome.zarr", ".ome.tiff", ".ome.tif", path.suffix):
        if ending and path.name.lower().endswith(ending.lower()):
            return path.name[: -len(ending)]
    return path.name
