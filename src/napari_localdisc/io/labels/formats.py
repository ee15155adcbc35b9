"""The formats there are, chosen by a file's ending."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import IsOurs, check_replaceable, given_path
from napari_localdisc.core.image.files import expanded
from napari_localdisc.core.image.roles import note_in

from . import coco, dicom_seg, masks, ome_zarr, png, tiff

if TYPE_CHECKING:
    from .label_map import LabelMap


def _one_file(path: Path, labels: LabelMap) -> list[Path]:
    return [path]


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
        (path, labels that were checked) → files written.
    read : callable
        path → the labels of each image in the file; raises what it likes.
    is_ours : callable
        Whether a file carries our note, so that it may be replaced.
    targets : callable
        (path, labels) → the files that ``write`` is going to write.
    needs : (str, str)
        The library that it is written with, as it is imported, and our extra that
        brings it; empty: what is there in any case.
    """

    key: str
    title: str
    endings: tuple[str, ...]
    check: Callable[[LabelMap], None]
    write: Callable[[Path, LabelMap], list[Path]]
    read: Callable[[Path], list[LabelMap]]
    is_ours: IsOurs
    targets: Callable[[Path, LabelMap], list[Path]] = _one_file
    needs: tuple[str, str] = ("", "")

    @property
    def missing(self) -> str:
        """The command that brings what is missing to write it; empty: nothing is."""
        library, extra = self.needs
        if not library or find_spec(library) is not None:
            return ""
        return f'pip install "napari-localdisc[{extra}]"'

    @property
    def names_by_content(self) -> bool:
        """Whether the names of the files depend on what the labels are."""
        return self.targets is not _one_file

    def fits(self, path: Path) -> bool:
        """Whether a file's name ends as this format's do."""
        return path.name.lower().endswith(self.endings)

    @property
    def filter(self) -> str:
        """What a file dialog shows: the title and the endings."""
        return f"{self.title} ({' '.join(f'*{ending}' for ending in self.endings)})"


def _format(key: str, title: str, module: Any, **others: Any) -> Format:
    own = {
        "endings": module.ENDINGS,
        "read": getattr(module, "read", None),
        "is_ours": module.is_ours,
    }
    return Format(
        key, title, check=module.check, write=module.write, **{**own, **others}
    )


FORMATS: dict[str, Format] = {
    form.key: form
    for form in (
        _format("png", "PNG with colours", png),
        _format("tiff", "TIFF for ImageJ", tiff),
        _format("ome-tiff", "OME-TIFF", tiff, endings=tiff.OME_ENDINGS),
        _format("ome-zarr", "OME-Zarr label", ome_zarr, needs=("ome_zarr", "ome-zarr")),
        _format("coco", "COCO", coco),
        _format(
            "masks",
            "One black-and-white PNG per class",
            masks,
            read=png.read,
            targets=masks.targets,
        ),
        _format("dicom-seg", "DICOM SEG", dicom_seg, needs=("highdicom", "dicom")),
    )
}
"""By key."""


def _fitting(path: Path) -> Format | None:
    """Return the format with the longest ending of a file's name."""
    fitting = [
        (len(ending), form)
        for form in FORMATS.values()
        for ending in form.endings
        if path.name.lower().endswith(ending)
    ]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def format_of(path: str | Path) -> Format:
    """Return the format that a file's name stands for: the longest ending decides.

    Raises
    ------
    FileError
        If there is none.
    """
    form = _fitting(given_path(path))
    if form is None:
        known = ", ".join(form.endings[0] for form in FORMATS.values())
        raise FileError(
            f"{path} has no ending that says in which format to write labels: {known}."
        )
    return form


def write_labels(
    path: str | Path, labels: LabelMap, form: str | None = None
) -> list[Path]:
    """Write labels in the format that the file's name, or ``form``, says.

    Parameters
    ----------
    path : str or Path
        Where to; a file of ours that is there is replaced.
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
        If the format cannot hold the labels or something that is not ours is there
        (nothing is written then), or the file cannot be written.
    """
    path = given_path(path)
    chosen = format_of(path) if form is None else FORMATS[form]
    chosen.check(labels)
    check_targets(chosen.targets(path, labels))
    return chosen.write(path, labels)


def check_targets(paths: Iterable[Path]) -> None:
    """Refuse to write where there is something that is not ours.

    Raises
    ------
    FileError
        Naming it.
    """
    for path in paths:
        check_replaceable(path, format_of(path).is_ours)


def read_labels(path: str | Path) -> list[LabelMap]:
    """Read labels with names, colours and placement.

    Parameters
    ----------
    path : str or Path
        In one of `FORMATS`, also by another program; folders are OME-Zarr.

    Returns
    -------
    list of LabelMap
        One; of a COCO file one per image.

    Raises
    ------
    FileError
        If there is no such file, it cannot be read, or it holds no labels.
    """
    path = given_path(path)
    if not path.exists():
        raise FileError(f"There is no file {path}.")
    form = FORMATS["ome-zarr"] if path.is_dir() else _fitting(path)
    if form is None:
        known = ", ".join(form.title for form in FORMATS.values())
        raise FileError(f"{path} is no file of labels: {known} are read.")
    try:
        return form.read(path)
    except FileError:
        raise
    # Codecs raise what they like for bytes they did not expect
    except Exception as error:
        reason = f"{error}" or type(error).__name__
        raise FileError(f"{path} cannot be read as {form.title}: {reason}.") from error


def read_made_by(path: Path) -> dict[str, Any] | None:
    """Return how a PNG, TIFF or OME-Zarr file was made; None if it is not ours."""
    note = note_in(path)
    made_by = None if note is None else note.get("made_by")
    return made_by if isinstance(made_by, dict) else None


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
    for path in map(given_path, paths):
        files = expanded(path, _labels_in, "file of labels")
        found.update(dict.fromkeys([path] if files is None else files))
    return list(found)


def _labels_in(folder: Path) -> list[Path]:
    """COCO's ending says too little: such files are named one by one."""
    forms = [form for form in FORMATS.values() if form.key != "coco"]
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and any(form.fits(path) for form in forms)
    )
