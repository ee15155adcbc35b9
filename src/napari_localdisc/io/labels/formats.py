"""The formats there are, chosen by a file's ending."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import IsOurs, check_replaceable, given_path
from napari_localdisc.core.image.files import expanded
from napari_localdisc.core.image.roles import note_in

from . import coco, dicom_seg, masks, ome_zarr, png, tiff
from .label_map import MAPS, map_path

if TYPE_CHECKING:
    from .label_map import LabelMap


def _a_file_a_map(path: Path, labels: LabelMap) -> list[Path]:
    form = _fitting(path)
    endings = () if form is None else form.endings
    return [map_path(path, at, endings) for at, _ in enumerate(labels.maps)]


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
        (path, labels) → the files that ``write`` is going to write: by default one
        for each map of the labels.
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
    targets: Callable[[Path, LabelMap], list[Path]] = _a_file_a_map
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
        return self.targets not in (_a_file_a_map, _whole)

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
    held = {"check": module.check, "write": module.write}
    if "targets" not in others:
        held = {
            "check": _check_each(module.check),
            "write": _write_each(module.write),
        }
    return Format(key, title, **{**own, **held, **others})


def _check_each(check: Callable[[LabelMap], None]) -> Callable[[LabelMap], None]:
    def checked(labels: LabelMap) -> None:
        for each in labels.maps:
            check(each)

    return checked


def _write_each(
    write: Callable[[Path, LabelMap], list[Path]],
) -> Callable[[Path, LabelMap], list[Path]]:
    """Write one map a file, of which the first says how many there are."""

    def written(path: Path, labels: LabelMap) -> list[Path]:
        paths = _a_file_a_map(path, labels)
        return [
            file
            for target, each in zip(paths, labels.maps, strict=True)
            for file in write(target, each)
        ]

    return written


def _whole(path: Path, labels: LabelMap) -> list[Path]:
    """Name the file that holds each class whole, also where they overlap."""
    return [path]


FORMATS: dict[str, Format] = {
    form.key: form
    for form in (
        _format("png", "PNG with colours", png),
        _format("tiff", "TIFF for ImageJ", tiff),
        _format("ome-tiff", "OME-TIFF", tiff, endings=tiff.OME_ENDINGS),
        _format("ome-zarr", "OME-Zarr label", ome_zarr, needs=("ome_zarr", "ome-zarr")),
        _format("coco", "COCO", coco, targets=_whole),
        _format(
            "masks",
            "One black-and-white PNG per class",
            masks,
            read=png.read,
            targets=masks.targets,
        ),
        _format(
            "dicom-seg",
            "DICOM SEG",
            dicom_seg,
            targets=_whole,
            needs=("highdicom", "dicom"),
        ),
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
        One, with the maps that were written beside it, ``NAME.map2.png``, among its
        ``others``; of a COCO file one per image.

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
        found = form.read(path)
        if form.targets is not _whole:
            others = [form.read(other)[0] for other in _beside(path, form)]
            found = [replace(found[0], others=tuple(others)), *found[1:]]
        return found
    except FileError:
        raise
    # Codecs raise what they like for bytes they did not expect
    except Exception as error:
        reason = f"{error}" or type(error).__name__
        raise FileError(f"{path} cannot be read as {form.title}: {reason}.") from error


def _beside(path: Path, form: Format) -> list[Path]:
    """Return the other maps of a file's labels that are there."""
    note = note_in(path)
    many = None if note is None else note.get(MAPS)
    if not isinstance(many, int) or not 1 < many <= _MOST_MAPS:
        return []
    paths = [map_path(path, at, form.endings) for at in range(1, many)]
    return [each for each in paths if each.exists()]


_MOST_MAPS = 1000


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
    return without_others(list(found))


def _labels_in(folder: Path) -> list[Path]:
    """COCO's ending says too little: such files are named one by one."""
    forms = [form for form in FORMATS.values() if form.key != "coco"]
    found = sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and any(form.fits(path) for form in forms)
    )
    return without_others(found)


def without_others(paths: Sequence[Path]) -> list[Path]:
    """Leave out the maps that belong to another file, which is read with them."""
    maps = {path for path in paths if _NUMBERED.search(path.name)}
    belong: set[Path] = set()
    if maps:
        for path in paths:
            form = FORMATS["ome-zarr"] if path.is_dir() else _fitting(path)
            belong.update(() if form is None else _beside(path, form))
    return [path for path in paths if path not in belong]


_NUMBERED = re.compile(r"\.map\d+\.")
