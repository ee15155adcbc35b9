"""The formats there are, chosen by a file's ending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_localdisc.core.errors import FileError

from . import class_masks, coco, ome_zarr_labels, png, tiff

if TYPE_CHECKING:
    from .label_map import LabelMap


@dataclass(frozen=True)
class Format:
    """A file format for labels.

    Attributes
    ----------
    key : str
        What it is called on the command line.
    title : str
        What it is called in menus.
    endings : tuple of str
        Endings of file names, the usual one first.
    check : callable
        Raises a FileError for labels that it cannot hold.
    write : callable
        (path, labels) → files written.
    """

    key: str
    title: str
    endings: tuple[str, ...]
    check: Callable[[LabelMap], None]
    write: Callable[[Path, LabelMap], list[Path]]

    def fits(self, path: Path) -> bool:
        """Whether a file's name ends as this format's do."""
        return path.name.lower().endswith(self.endings)


FORMATS: dict[str, Format] = {
    form.key: form
    for form in (
        Format("png", "PNG with colours", (".png",), png.check, png.write),
        Format("tiff", "TIFF for ImageJ", (".tif", ".tiff"), tiff.check, tiff.write),
        Format("ome-tiff", "OME-TIFF", tiff.OME_ENDINGS, tiff.check, tiff.write),
        Format(
            "ome-zarr",
            "OME-Zarr label",
            ome_zarr_labels.ENDINGS,
            ome_zarr_labels.check,
            ome_zarr_labels.write,
        ),
        Format("coco", "COCO", (".json",), coco.check, coco.write),
        Format(
            "masks",
            "One black-and-white PNG per class",
            (class_masks.ENDING,),
            class_masks.check,
            class_masks.write,
        ),
    )
}
"""By key."""


def format_of(path: str | Path) -> Format:
    """Return the format that a file's name stands for: the longest ending decides.

    Raises
    ------
    FileError
        If there is none.
    """
    path = Path(path)
    fitting = [
        (len(ending), form)
        for form in FORMATS.values()
        for ending in form.endings
        if path.name.lower().endswith(ending)
    ]
    if not fitting:
        known = ", ".join(form.endings[0] for form in FORMATS.values())
        raise FileError(
            f"{path} has no ending that says in which format to write labels: {known}."
        )
    return max(fitting, key=lambda pair: pair[0])[1]


def write_labels(
    path: str | Path, labels: LabelMap, form: str | None = None
) -> list[Path]:
    """Write labels in the format that the file's name, or ``form``, says.

    Parameters
    ----------
    path : str or Path
        Where to; replaced if it is there.
    labels : LabelMap
        What.
    form : str, optional
        One of `FORMATS`, whatever the name ends with.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    FileError
        If the format cannot hold the labels (nothing is written then), or the file
        cannot be written.
    """
    path = Path(path)
    chosen = format_of(path) if form is None else FORMATS[form]
    chosen.check(labels)
    return chosen.write(path, labels)
