"""Sessions: what was done in a viewer, in one file that appears whole or not at all.

A session file is a zip archive: ``session.json`` describes everything, and each array
is a ``.npy`` file of its own, so that labels can be got out with nothing but Python.
No pickle is written or read.
"""

import contextlib
import json
import os
import platform
import re
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from filelock import FileLock
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import given_path, new_file

from .labels.label_map import plain
from .session_entries import About, Image, Labels, validated

SUFFIX = ".localdisc"
FORMAT_VERSION = 2
DOCUMENT = "session.json"

Json = Any
"""What JSON can hold."""


@dataclass(frozen=True, eq=False)
class SavedLabels:
    """A labels layer.

    Attributes
    ----------
    name : str
        The layer's name.
    data : ndarray
        Integers, of the layer's number of dimensions.
    placement : dict
        scale, translate, rotate, shear, affine, units and axis_labels, as lists.
    colours : dict of str to list
        Label (or ``"null"`` for all others) → RGBA in [0, 1]; empty: napari's own.
    looks : dict
        opacity, visible, blending.
    made_by : dict
        How we made it; empty if we did not.
    """

    name: str
    data: NDArray[Any]
    placement: Mapping[str, Json] = field(default_factory=dict)
    colours: Mapping[str, Json] = field(default_factory=dict)
    looks: Mapping[str, Json] = field(default_factory=dict)
    made_by: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SavedImage:
    """An image layer: where its pixels are, and what was done on it.

    Attributes
    ----------
    name : str
        The layer's name.
    path : str or None
        Its file, if it came from one.
    reader : str or None
        The plugin that read the file.
    sample : list or None
        Plugin and key, if it is sample data.
    content_hash : str or None
        Of all its pixels; None if they are not in memory.
    shape : list of int
        Of the layer's data.
    dtype : str
        Of the layer's data.
    rgb : bool
        Whether the last axis holds colours.
    pixels : ndarray or None
        The data itself, where no file has it.
    placement : dict
        As of `SavedLabels`.
    annotation : dict
        `ImageAnnotation.to_json`: prompts, thresholds, classes, what was done.
    labels : int or None
        Which of the session's labels hold the classes of this image.
    groups : list
        ``[group, labels]`` of classes that may overlap those.
    strokes : list
        ``[plane, labels]`` for each plane that was painted on to learn from.
    by_hand : list
        ``[plane, runs]`` for each plane whose labels were painted or rubbed out by
        hand, see `ByHand.to_runs`.
    looks : dict
        opacity, visible, blending, contrast_limits, gamma; empty: not known.
    """

    name: str
    path: str | None
    reader: str | None
    sample: Json
    content_hash: str | None
    shape: list[int]
    dtype: str
    rgb: bool
    pixels: NDArray[Any] | None = None
    placement: Mapping[str, Json] = field(default_factory=dict)
    annotation: Mapping[str, Json] = field(default_factory=dict)
    labels: int | None = None
    groups: Sequence[Json] = ()
    strokes: Sequence[Json] = ()
    by_hand: Sequence[Json] = ()
    looks: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Session:
    """What was done in one viewer.

    Attributes
    ----------
    model : str or None
        Name of the model.
    model_hash : str or None
        Of its weights, where they were used.
    structures : int
        In how many structures images are shown.
    chosen : int or None
        The image that is worked on.
    images : tuple of SavedImage
        Images on which something was done, and the chosen one.
    labels : tuple of SavedLabels
        All labels layers of the viewer.
    saved_at : str
        When, ISO 8601 with time zone.
    faults : tuple of str
        What was damaged in the file that it was read from: sentences.
    magnification : float or None
        How much larger than usual images are seen; None: as vessels tell.
    order : list
        ``["images" or "labels", index]`` of each of these layers, undermost first.
    """

    model: str | None = None
    model_hash: str | None = None
    structures: int = 8
    chosen: int | None = None
    images: tuple[SavedImage, ...] = ()
    labels: tuple[SavedLabels, ...] = ()
    saved_at: str = ""
    faults: tuple[str, ...] = ()
    magnification: float | None = None
    order: Sequence[Json] = ()


_ARRAYS = {"images": "pixels", "labels": "data"}
"""Of a session, what holds an array, and under which name."""
_LONGEST_DOCUMENT = 1 << 28
"""Bytes of a session's description."""


def write_session(
    session: Session, path: str | Path, *, mode: int | None = None
) -> Path:
    """Write a session; the file appears whole or not at all.

    Parameters
    ----------
    session : Session
        What to save.
    path : str or Path
        Its name gets the ending ``.localdisc`` unless it has it.
    mode : int, optional
        Permissions; by default those of the file that is there, else the umask's.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileError
        If it cannot be written there.
    """
    path = given_path(path)
    if path.suffix != SUFFIX:
        path = path.with_name(path.name + SUFFIX)
    arrays: dict[str, NDArray[Any]] = {}
    about = {key: value for key, value in vars(session).items() if key != "faults"}
    document = {
        **about,
        "format": FORMAT_VERSION,
        **{
            kind: [
                _described(saved, name, f"{kind}/{index}.npy", arrays)
                for index, saved in enumerate(getattr(session, kind))
            ]
            for kind, name in _ARRAYS.items()
        },
    }
    with (
        new_file(path, is_ours, mode=mode) as temporary,
        zipfile.ZipFile(
            temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1
        ) as archive,
    ):
        archive.writestr(DOCUMENT, json.dumps(plain(document), indent=1))
        for name, array in arrays.items():
            with archive.open(name, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return path


def is_ours(path: Path) -> bool:
    """Whether a file is a session, of whatever version."""
    try:
        with zipfile.ZipFile(path) as archive:
            return DOCUMENT in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def read_session(path: str | Path) -> Session:
    """Read a session.

    Parameters
    ----------
    path : str or Path
        What `write_session` wrote.

    Returns
    -------
    Session
        What could be read: a damaged detail costs that detail, which ``faults`` name.

    Raises
    ------
    FileError
        If there is no such file, or it is damaged or no session.
    """
    path = given_path(path)
    if not path.is_file():
        raise FileError(f"There is no session file {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_size(archive)
            document = json.loads(archive.read(DOCUMENT))
            if document.pop("format") > FORMAT_VERSION:
                raise FileError(
                    f"{path} was written by a later version: install a newer "
                    "napari-localdisc."
                )
            return _session(document, archive)
    except FileError:
        raise
    # Damaged archives and documents raise errors of many kinds
    except Exception as error:
        raise FileError(
            f"{path} is damaged or not a session of napari-localdisc ({error})."
        ) from error


def _session(document: dict[str, Json], archive: zipfile.ZipFile) -> Session:
    faults: list[str] = []
    entries = {kind: document.pop(kind) for kind in _ARRAYS}
    about = validated(document, About, "the session", faults)
    labels: list[SavedLabels] = []
    at: dict[int | None, int] = {}
    for index, entry in enumerate(_list(entries["labels"], "labels", faults)):
        said = validated(entry, Labels, _called("labels", entry, index), faults)
        array = _array(said, "data", archive, faults)
        if array is not None and (array.dtype.kind not in "biu" or array.ndim < 2):
            faults.append(f"The labels “{said['name']}” are no labels: left out.")
        elif array is not None:
            at[index] = len(labels)
            labels.append(SavedLabels(**{**said, "data": array}))
        elif said["data"] is None:
            faults.append(f"The labels “{said['name']}” have no file: left out.")
    images: list[SavedImage] = []
    for index, entry in enumerate(_list(entries["images"], "images", faults)):
        said = validated(entry, Image, _called("the image", entry, index), faults)
        said["pixels"] = _array(said, "pixels", archive, faults)
        lost = said["labels"] is not None and said["labels"] not in at
        said["labels"] = at.get(said["labels"])
        strokes = [[plane, at[own]] for plane, own in said["strokes"] if own in at]
        groups = [[group, at[own]] for group, own in said["groups"] if own in at]
        lost = lost or len(groups) < len(said["groups"])
        if lost or len(strokes) < len(said["strokes"]):
            faults.append(f"Labels or strokes of “{said['name']}” are not there.")
        said |= {"strokes": strokes, "groups": groups}
        images.append(SavedImage(**said))
    if about["chosen"] is not None and about["chosen"] >= len(images):
        about["chosen"] = None
    there: dict[str, dict[Any, int]] = {
        "images": {number: number for number in range(len(images))},
        "labels": dict(at),
    }
    about["order"] = [
        [kind, there[kind][index]]
        for kind, index in about["order"]
        if index in there[kind]
    ]
    return Session(
        **about, images=tuple(images), labels=tuple(labels), faults=tuple(faults)
    )


def _list(entries: Json, what: str, faults: list[str]) -> list[Json]:
    if isinstance(entries, list):
        return entries
    faults.append(f"The {what} of the session are damaged: left out.")
    return []


def _called(what: str, entry: Json, index: int) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"{what} “{name[:100]}”" if isinstance(name, str) else f"{what} {index + 1}"


def _array(
    said: Mapping[str, Json], name: str, archive: zipfile.ZipFile, faults: list[str]
) -> NDArray[Any] | None:
    """Read an array; where it is damaged, say so."""
    if said[name] is None:
        return None
    try:
        with archive.open(said[name]) as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            file.read()  # to its end, so that its checksum is looked at
    # zipfile, zlib and numpy raise errors of many kinds for what is damaged
    except Exception as error:
        reason = f"{error}".partition("\n")[0] or type(error).__name__
        faults.append(f"The pixels of “{said['name']}” are left out: {reason}.")
        return None
    return np.asarray(array)


def _check_size(archive: zipfile.ZipFile) -> None:
    """Raise a ValueError for what memory does not hold: few bytes unpack to many."""
    if archive.getinfo(DOCUMENT).file_size > _LONGEST_DOCUMENT:
        raise ValueError("its description is too long")
    size = sum(member.file_size for member in archive.infolist())
    if size > psutil.virtual_memory().available:
        raise ValueError(f"it unpacks to {size >> 20:,} MB, more than memory holds")


def _described(
    saved: SavedImage | SavedLabels,
    name: str,
    member: str,
    arrays: dict[str, NDArray[Any]],
) -> dict[str, Json]:
    """Return all but the array, whose place the name of its file takes."""
    values = dict(vars(saved))
    array = values[name]
    if array is not None:
        arrays[member] = array
        values[name] = member
    return values


_HOST = re.sub(r"[^\w-]", "_", platform.node().partition(".")[0])
# Versions before this one named process and start instead of the host
_AUTOSAVE = re.compile(rf"autosave-(\w+@(?P<host>.+)|\d+-\d+-\w+){re.escape(SUFFIX)}")


def autosave_folder() -> Path:
    """Return the user's folder of sessions; ``LOCALDISC_SESSIONS`` overrides it."""
    import platformdirs

    default = platformdirs.user_state_path("napari-localdisc", appauthor=False)
    return given_path(os.environ.get("LOCALDISC_SESSIONS") or default / "sessions")


class Autosave:
    """The file of a session that goes on; nothing is there before it is written.

    Parameters
    ----------
    folder : Path, optional
        By default `autosave_folder`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        name = f"autosave-{uuid.uuid4().hex}@{_HOST}{SUFFIX}"
        self.path = (folder or autosave_folder()) / name
        self._lock = _lock_of(self.path)

    def write(self, session: Session) -> None:
        """Write the session as it is now; see `write_session`."""
        # Where nothing can be locked the file is written, but not offered by itself
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._lock.is_locked:
                self._lock.acquire(timeout=0)
        write_session(session, self.path, mode=0o600)

    def end(self) -> None:
        """Remove the file: the session ended in an orderly way."""
        self._lock.release()
        remove_autosave(self.path)


def remove_autosave(path: Path) -> None:
    """Remove an autosaved session, if it is there."""
    for file in (path, Path(_lock_of(path).lock_file)):
        with contextlib.suppress(OSError):  # it is not there, or nothing can be
            file.unlink()


class Crashed(NamedTuple):
    """A session that was not closed."""

    path: Path
    saved_at: datetime
    """When it was saved last, in local time."""


def crashed_sessions(folder: Path | None = None) -> list[Crashed]:
    """Find the sessions of this computer whose process is no more, the newest first."""
    found = []
    place = folder or autosave_folder()
    _remove_lone_locks(place)
    for path in place.glob(f"autosave-*{SUFFIX}"):
        name = _AUTOSAVE.fullmatch(path.name)
        # Nobody here can tell whether another computer's session goes on
        if name is None or name["host"] not in (None, _HOST):
            continue
        with contextlib.suppress(OSError):  # locked, or somebody removes it now
            if name["host"] is not None:
                _lock_of(path).acquire(timeout=0).lock.release()
            saved = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
            found.append(Crashed(path, saved))
    return sorted(found, key=lambda crashed: crashed.saved_at, reverse=True)


def _remove_lone_locks(folder: Path) -> None:
    """Remove the locks of processes that were killed before they saved anything."""
    for file in folder.glob(f"autosave-*{SUFFIX}.lock"):
        path = file.with_suffix("")
        name = _AUTOSAVE.fullmatch(path.name)
        if name is None or name["host"] != _HOST or path.exists():
            continue
        with contextlib.suppress(OSError), _lock_of(path).acquire(timeout=0):
            if not path.exists():
                file.unlink()


def _lock_of(path: Path) -> FileLock:
    """Return the lock that a session's process holds for as long as it lives.

    The system's own lock, not filelock's soft one, which a killed process leaves
    behind.  That it may not reach over a network does not matter: it is asked for on
    the computer that the file's name tells, and there it holds.
    """
    return FileLock(f"{path}.lock", thread_local=False)
