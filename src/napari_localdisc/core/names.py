"""Names: of kinds of images, and of structures however a user spells them."""

from collections.abc import Container, Iterable
from typing import Literal

Modality = Literal["fundus", "frame"]
"""Whether an image has a round field of view in a dark frame, or fills the frame."""


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


def owner(stem: str, stems: Container[str]) -> str | None:
    """Return the image that a mask named ``IMAGE_<structure>`` belongs to, if any.

    Parameters
    ----------
    stem : str
        A file's name without its ending.
    stems : container of str
        Those of all files beside it.  The shortest that begins the name is the owner.
    """
    ends = (place for place, letter in enumerate(stem) if letter == "_")
    return next((stem[:end] for end in ends if stem[:end] in stems), None)
