"""What each file of a folder is: an image, a mask of one, or something that we made.

Names say what belongs together: ``NAME_<structure>`` is a mask of ``NAME``.  As
``visit_2`` may be both a second visit and a mask, pixels decide where names do not: a
mask has few values, or is grey where its image is in colour.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.names import NOTE_KEY, NOTE_NAMESPACE, plain_name, stem_of
from napari_localdisc.core.validation import read_json

from .dicom import SUFFIXES as DICOM_SUFFIXES
from .dicom import is_dicom, is_segmentation

Pixels = Callable[[Path], NDArray[Any]]
"""Reads enough of a file to tell a picture from a mask."""

_FEW_VALUES = 16
_NEAR, _MOST = 24, 0.97
"""A mask saved with losses has most values that near (of 255) to black or white."""


@dataclass
class Roles:
    """What the files of a folder are.

    Attributes
    ----------
    images : list of Path
        In the order given.
    masks : dict of Path to dict of str to Path
        Image → structure → mask.
    remarks : list of str
        What could have been understood otherwise, and what was left out: sentences.
    conflicts : list of str
        What masks cannot be used for: two for one structure, or one for two images.
    """

    images: list[Path] = field(default_factory=list)
    masks: dict[Path, dict[str, Path]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def add_mask(self, image: Path, structure: str, mask: Path) -> None:
        """Take a file for a mask, unless the image has one of the structure already."""
        own = self.masks.setdefault(image, {})
        for known, path in own.items():
            if plain_name(known) == plain_name(structure):
                self.conflicts.append(
                    f"{path} and {mask} are both masks of {structure!r} in "
                    f"{image.name}: leave one of them."
                )
                return
        own[structure] = mask


def sort_roles(files: Iterable[Path], pixels: Pixels) -> Roles:
    """Tell images from masks and from what we made.

    Parameters
    ----------
    files : iterable of Path
        Of one folder, or of several: only files of one folder belong together.
    pixels : callable
        Called for what names and heads of files do not decide.

    Returns
    -------
    Roles
        Our own results are neither images nor masks; labels that a hand made are masks.
    """
    files = list(dict.fromkeys(files))
    roles = Roles()
    images: dict[tuple[Path, str], list[Path]] = {}
    belong: dict[Path, list[Path]] = {}
    # Shorter names first: owners are known before what they own
    for path in sorted(files, key=lambda path: (len(_stem(path)), path.name)):
        owners = [
            images[path.parent, stem]
            for stem in prefixes(_stem(path))
            if (path.parent, stem) in images
        ]
        note = note_in(path) if owners or _may_hold_note(path) else None
        if note is not None and _is_result(note):
            roles.remarks.append(
                f"{path.name} was made by this program and is left out."
            )
        elif owners and (
            note is not None or _looks_like_mask(path, owners[0][0], pixels)
        ):
            belong[path] = [same[0] for same in owners]
            if len(owners[0]) > 1:
                both = " and ".join(image.name for image in owners[0])
                roles.conflicts.append(
                    f"{path} may be a mask of {both}: give one of them another name."
                )
        elif note is not None:
            roles.remarks.append(
                f"{path.name} holds labels of no image here and is left out."
            )
        else:
            images.setdefault((path.parent, _stem(path)), []).append(path)
            if owners:
                roles.remarks.append(
                    f"{path.name} is taken for an image of its own, not for a mask of "
                    f"{owners[0][0].name}: its pixels are those of a picture."
                )
    known = {path for same in images.values() for path in same}
    roles.images = [path for path in files if path in known]
    for path in files:
        if path in belong:
            image, *others = belong[path]
            structure = _structure(path, image)
            roles.add_mask(image, structure, path)
            if others:
                roles.remarks.append(
                    f"{path.name} is taken for the mask {structure!r} of {image.name}, "
                    f"not for {_structure(path, others[0])!r} of {others[0].name}."
                )
    return roles


def _structure(mask: Path, image: Path) -> str:
    return _stem(mask)[len(_stem(image)) + 1 :]


def _stem(path: Path) -> str:
    """Return a name without its ending; letters with accents are written one way."""
    return unicodedata.normalize("NFC", stem_of(path))


def prefixes(stem: str) -> list[str]:
    """Return what may be the image's stem of a mask's, longest first."""
    places = [place for place, letter in enumerate(stem) if letter == "_"]
    return [stem[:place] for place in reversed(places)]


# What we made


def _is_result(note: dict[str, Any]) -> bool:
    """Whether what a note is about was computed, and not drawn by a hand."""
    made_by = note.get("made_by")
    return "classes" not in note or (isinstance(made_by, dict) and "made" in made_by)


def check_no_result(path: Path) -> None:
    """Raise a FileError for a file that was computed by this package."""
    note = note_in(path)
    if note is not None and _is_result(note):
        raise FileError(
            f"{path} was made by this program: it is a result, and no image to work on."
        )


_SEGMENTED = {"classes": {}, "made_by": {"made": "segmentation"}}
"""What DICOM SEG says, in the words of our notes."""


def _may_hold_note(path: Path) -> bool:
    return path.suffix.lower() in (".png", ".tif", ".tiff", ".zarr", *DICOM_SUFFIXES)


def note_in(path: Path) -> dict[str, Any] | None:
    """Return the note that this package writes into its files; None if there is none.

    Pixels are not read.
    """
    try:
        if path.is_dir():
            return _zarr_note(path)
        if is_dicom(path):
            return _SEGMENTED if is_segmentation(path) else None
        with path.open("rb") as stream:
            head = stream.read(8)
        if head == b"\x89PNG\r\n\x1a\n":
            return _png_note(path)
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff_note(path)
    # Readers raise what they like for what is damaged; reading it says what is wrong
    except Exception:
        return None
    return None


def _parsed(text: Any) -> dict[str, Any] | None:
    try:
        note = read_json(text)[NOTE_KEY]
    except (ValueError, KeyError, TypeError):
        return None
    return note if isinstance(note, dict) else None


def _png_note(path: Path) -> dict[str, Any] | None:
    from PIL import Image

    with Image.open(path) as file:
        return _parsed(file.info.get(NOTE_KEY))


def _tiff_note(path: Path) -> dict[str, Any] | None:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if file.is_imagej:
            return _parsed((file.imagej_metadata or {}).get("Info"))
        said = file.pages.first.description
        if not file.is_ome or NOTE_NAMESPACE not in said:
            return _parsed(said)
    from xml.etree import ElementTree

    for element in ElementTree.fromstring(said).iter():
        is_comment = element.tag.rsplit("}", 1)[-1] == "CommentAnnotation"
        if is_comment and element.get("Namespace") == NOTE_NAMESPACE:
            return _parsed("".join(element.itertext()).strip())
    return None


def _zarr_note(path: Path) -> dict[str, Any] | None:
    import zarr

    attributes: Any = dict(zarr.open_group(path, mode="r").attrs)
    note = attributes.get("ome", attributes).get("image-label", {}).get(NOTE_KEY)
    return note if isinstance(note, dict) else None


# What others made


def _looks_like_mask(path: Path, image: Path, pixels: Pixels) -> bool:
    """Whether pixels are those of a mask of an image, as a file's name says."""
    try:
        kind, its = _kind(path), _kind(image)
        if kind == "bits" or (kind, its) == ("grey", "colour"):
            return True
        return _has_few_values(pixels(path))
    # What cannot be read is what its name says: no picture is lost that way
    except (FileError, OSError, ValueError):
        return True


def _kind(path: Path) -> str:
    """Return “bits”, “grey” or “colour” by what stands before the pixels, else “”."""
    from PIL import Image

    from .tiff import is_tiff, tiff_kind

    if path.is_dir():
        return ""
    if is_tiff(path):
        return tiff_kind(path)
    try:
        with Image.open(path) as file:
            mode = file.mode
    except OSError:  # DICOM, for one
        return ""
    if mode == "1":
        return "bits"
    return "grey" if mode[0] in "LIF" and mode != "LAB" else "colour"


def _has_few_values(pixels: Any) -> bool:
    if pixels.ndim == 3:
        flat = pixels.reshape(-1, pixels.shape[2])
        if (flat[:, :1] == flat[:, :3]).all():
            return _has_few_values(pixels[:, :, 0])
        return len(np.unique(flat[:: max(1, len(flat) // 200_000)], axis=0)) <= (
            _FEW_VALUES
        )
    values = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
    if len(np.unique(values)) <= _FEW_VALUES:
        return True
    values = values.astype(np.float64)
    low, high = values.min(), values.max()
    near = (high - low) * _NEAR / 255
    return bool(((values <= low + near) | (values >= high - near)).mean() >= _MOST)
