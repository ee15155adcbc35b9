"""The formats there are, chosen by a file's ending."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_localdisc.core.errors import FileError

from . import coco, masks, ome_zarr, png, tiff
from .label_map import LabelMap
from .png import _read_png
from .tiff import _read_tiff


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
            ome_zarr.ENDINGS,
            ome_zarr.check,
            ome_zarr.write,
        ),
        Format("coco", "COCO", (".json",), coco.check, coco.write),
        Format(
            "masks",
            "One black-and-white PNG per class",
            (masks.ENDING,),
            masks.check,
            masks.write,
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


def read_labels(path: str | Path) -> list[LabelMap]:
    """Read labels with names, colours and placement.

    Parameters
    ----------
    path : str or Path
        PNG (palette or grey), TIFF, an OME-Zarr label image, or COCO JSON.

    Returns
    -------
    list of LabelMap
        One; of a COCO file one per image.

    Raises
    ------
    FileError
        If there is no such file, it cannot be read, or it holds no labels.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    if path.is_dir():
        return [ome_zarr.read(path)]
    if suffix == ".json":
        return coco.read(path)
    reader = {".png": _read_png, ".tif": _read_tiff, ".tiff": _read_tiff}.get(suffix)
    if reader is None:
        raise FileError(
            f"{path} is no file of labels: PNG, TIFF, OME-Zarr and COCO JSON are read."
        )
    try:
        array, fields = reader(path)
    except FileError:
        raise
    # Codecs raise what they like for bytes they did not expect
    except Exception as error:
        raise FileError(f"{path} cannot be read: {error}.") from error
    fields.setdefault("name", path.stem)
    return [LabelMap(array, **fields)]


def find_labels(paths: Iterable[str | Path]) -> list[Path]:
    """Return the files of labels that files, folders and patterns stand for.

    Parameters
    ----------
    paths : iterable of str or Path
        As for `find_images`; folders that end with ``.zarr`` are files here.

    Returns
    -------
    list of Path
        Each once, in the order given.

    Raises
    ------
    FileError
        If a folder or a pattern holds nothing that can be read.
    """
    found: dict[Path, None] = {}
    for given in map(Path, paths):
        if given.is_dir() and given.suffix != ".zarr":
            inside = sorted(path for path in given.iterdir() if _may_be_labels(path))
            if not inside:
                raise FileError(f"The folder {given} holds no file of labels.")
            found.update(dict.fromkeys(inside))
        elif given.exists() or not glob.has_magic(str(given)):
            found[given] = None
        else:
            matches = sorted(Path(m) for m in glob.glob(str(given), recursive=True))
            if not matches:
                raise FileError(f"No file matches {given}.")
            found.update(dict.fromkeys(matches))
    return list(found)


def _may_be_labels(path: Path) -> bool:
    suffixes = (".png", ".tif", ".tiff", ".zarr")
    return path.suffix.lower() in suffixes and not path.name.startswith(".")
