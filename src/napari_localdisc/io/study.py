"""A study: the images of a folder, what was found in them and what people made of it.

One SQLite file beside the images, so that it can be sent to the next person together
with them.  Images are named by their place relative to the file; everything else is in
it: masks proposed by a model, those of each grader with state, note and time, tables
of measures, small pictures, and what accepted masks taught.

Every call opens the file, does one transaction and closes it: a program may be killed
at any time, threads may call at once, and two windows may have a study open.
"""

from __future__ import annotations

import getpass
import hashlib
import io
import json
import os
import sqlite3
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import psutil
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    TypeAdapter,
    ValidationError,
)

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import given_path
from napari_localdisc.core.names import find_name, stem_of
from napari_localdisc.core.validation import first_fault, read_json

from .visits import Eye, Origin, check_pattern, origin_of

Mask = NDArray[np.bool_]
Masks = dict[str, Mask]
State = Literal["new", "proposed", "corrected", "accepted", "rejected"]
STATES: tuple[State, ...] = ("new", "proposed", "corrected", "accepted", "rejected")
Kind = Literal["fundus", "chest", "any"]

FILE_NAME = "study.sqlite"
FORMAT_VERSION = 1
_APPLICATION = 0x4C644373
"""Tells our SQLite files from others, as SQLite keeps it in a file's head."""

_SECONDS = 30.0
"""To wait for another program that writes."""

THUMBNAIL = 96
"""Longer side of small pictures, in pixels."""

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE images (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    patient TEXT NOT NULL, eye TEXT NOT NULL, visit TEXT NOT NULL,
    height INTEGER, width INTEGER, certainty REAL, proposed_by TEXT, thumbnail BLOB);
CREATE TABLE masks (
    image INTEGER NOT NULL REFERENCES images, grader TEXT NOT NULL,
    structure TEXT NOT NULL, height INTEGER NOT NULL, width INTEGER NOT NULL,
    pixels BLOB NOT NULL, PRIMARY KEY (image, grader, structure));
CREATE TABLE gradings (
    image INTEGER NOT NULL REFERENCES images, grader TEXT NOT NULL,
    state TEXT NOT NULL, note TEXT NOT NULL, seconds REAL NOT NULL,
    changed TEXT NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (image, grader));
CREATE TABLE graders (
    name TEXT PRIMARY KEY, image INTEGER REFERENCES images, opened TEXT NOT NULL);
CREATE TABLE measures (
    image INTEGER NOT NULL REFERENCES images, grader TEXT NOT NULL,
    made_of TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (image, grader));
CREATE TABLE lessons (
    image INTEGER NOT NULL REFERENCES images, grader TEXT NOT NULL,
    structure TEXT NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY (image, grader, structure));
"""
_TABLES = {
    made.split()[2]: " ".join(made.split())
    for made in _SCHEMA.split(";")
    if made.strip()
}
"""Name → how it is made, on one line."""

_LARGEST_CELL = 1 << 28
"""Bytes of the largest mask, picture or lesson that is read."""

_LARGEST_LESSON = 1 << 22
"""Bytes of its arrays: 1,600 pixels as a network of 1,024 numbers sees them."""

_Name = Annotated[str, Field(max_length=1000)]
_Path = Annotated[str, Field(min_length=1, max_length=4096, pattern="^[^\0]+$")]
_Side = Annotated[int, Field(ge=1, le=1 << 20)]
_Count = Annotated[int, Field(ge=0)]
_Cells = TypeAdapter[Any]

PROPOSED = ""
"""The grader that proposals belong to: nobody."""


_NUMBER_ROWS: _Cells = TypeAdapter(list[tuple[_Count | None]])
_NAME_ROWS: _Cells = TypeAdapter(list[tuple[_Name]])
_PICTURE_ROWS: _Cells = TypeAdapter(
    list[tuple[int, Annotated[bytes, Field(max_length=1 << 20)]]]
)
_MASK_ROWS: _Cells = TypeAdapter(list[tuple[_Name, _Side, _Side, bytes]])
_LESSON_ROWS: _Cells = TypeAdapter(list[tuple[_Name, int, bytes]])
_IMAGE_ROWS: _Cells = TypeAdapter(
    list[
        tuple[
            int,
            _Path,
            _Name,
            _Name,
            Eye,
            _Name,
            State | None,
            str | None,
            Annotated[FiniteFloat, Field(ge=0)] | None,
            FiniteFloat | None,
            str | None,
            _Count | None,
        ]
    ]
)
"""Of tables, what is in the cells that are read."""


class ConflictError(FileError):
    """Another window of the same grader has saved something else meanwhile."""


class About(BaseModel):
    """What a study is about.

    Attributes
    ----------
    model : str
        Name or file of the model that proposes.
    model_hash : str
        Of its weights.
    kind : {"fundus", "chest", "any"}
        As of `measure`.
    structures : tuple of str
        What is annotated.
    pattern : str
        Of names, as of `origin_of`; empty: the usual ones.
    learns : bool
        Whether accepted masks sharpen later proposals.
    created : str
        When, ISO 8601.
    """

    model_config = ConfigDict(frozen=True)

    model: _Path
    model_hash: _Name
    kind: Kind
    structures: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=255)]
    pattern: _Name = ""
    learns: bool = True
    created: _Name = ""


@dataclass(frozen=True)
class StudyImage:
    """An image of a study, as one grader has it.

    Attributes
    ----------
    id : int
        Within the study.
    path : Path
        Its file.
    name : str
        Of the file, without its ending.
    origin : Origin
        Patient, eye and visit.
    state : {"new", "proposed", "corrected", "accepted", "rejected"}
        Of the grader.
    note : str
        The grader's.
    seconds : float
        That the grader worked on it.
    certainty : float or None
        Of the proposal, see `certainty`; None: there is none yet.
    proposed_by : str
        What tells how the proposal was made; empty: there is none.
    revision : int
        How often the grader's part was saved.
    """

    id: int
    path: Path
    name: str
    origin: Origin
    state: State = "new"
    note: str = ""
    seconds: float = 0.0
    certainty: float | None = None
    proposed_by: str = ""
    revision: int = 0


class Study:
    """A study's file.

    Parameters
    ----------
    path : str or Path
        The file, or the folder that it is in.

    Attributes
    ----------
    path : Path
        Of the file.
    about : About
        What it is about.

    Raises
    ------
    FileError
        If there is no such file, or it is damaged, of a later version or no study.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = study_path(path)
        if not self.path.is_file():
            raise FileError(
                f"There is no study {self.path}: make one with 'localdisc study new "
                "FOLDER'."
            )
        with self._reading() as db:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if application != _APPLICATION:
                raise FileError(f"{self.path} is not a study of napari-localdisc.")
            if version > FORMAT_VERSION:
                raise FileError(
                    f"{self.path} was written by a later version: install a newer "
                    "napari-localdisc."
                )
            # Tables alone, and made as ours are: a stranger's views and triggers would
            # be what he likes
            made = db.execute("SELECT name, sql FROM sqlite_master").fetchall()
            found = {
                name: " ".join(str(how).split())
                for name, how in made
                if not str(name).startswith("sqlite_")
            }
            if found != _TABLES:
                raise FileError(f"{self.path} is not a whole study.")
            self.about = self._read_about(db)

    @classmethod
    def create(cls, path: str | Path, images: Iterable[Path], about: About) -> Study:
        """Make a study; its file appears whole or not at all.

        Parameters
        ----------
        path : str or Path
            The file, or the folder for it.
        images : iterable of Path
            In their order.
        about : About
            What it is about.

        Raises
        ------
        FileError
            If the file is there already or cannot be written, or the pattern is none.
        """
        path = study_path(path)
        if about.pattern:
            check_pattern(about.pattern)
        if path.exists():
            raise FileError(
                f"{path} is there already: open it, add images with 'localdisc study "
                "add', or move it away."
            )
        # In memory first: a process that is killed leaves no half of a study
        memory = sqlite3.connect(":memory:")
        with closing(memory):
            memory.executescript(_SCHEMA)
            memory.execute(f"PRAGMA application_id = {_APPLICATION}")
            memory.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
            created = about.created or _now()
            said = about.model_copy(update={"created": created}).model_dump_json()
            memory.execute("INSERT INTO about VALUES ('study', ?)", (said,))
            memory.commit()
            content = memory.serialize()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not renamed into place: somebody may make the same at the same time
            with path.open("xb") as file:
                file.write(content)
        except OSError as error:
            raise FileError(
                f"{path} cannot be written: {error.strerror or error}."
            ) from error
        study = cls(path)
        study.add_images(images)
        return study

    # Images

    def add_images(self, images: Iterable[Path]) -> int:
        """Add images that are not in the study yet; return how many they were."""
        rows = []
        for image in images:
            origin = origin_of(stem_of(image), self.about.pattern)
            rows.append((self._relative(image), stem_of(image), *origin))
        with self._writing() as db:
            before = db.total_changes
            db.executemany(
                "INSERT OR IGNORE INTO images (path, name, patient, eye, visit) "
                "VALUES (?, ?, ?, ?, ?)",
                rows,
            )
            return db.total_changes - before

    def images(self, grader: str) -> list[StudyImage]:
        """Return all images as a grader has them, in the order they were added."""
        return self._images(grader, "", ())

    def image(self, number: int, grader: str) -> StudyImage:
        """Return one image.

        Raises
        ------
        FileError
            If there is none of this number.
        """
        found = self._images(grader, "WHERE images.id = ?", (number,))
        if not found:
            raise FileError(f"{self.path} has no image {number}.")
        return found[0]

    def _images(
        self, grader: str, where: str, values: Sequence[Any]
    ) -> list[StudyImage]:
        with self._reading() as db:
            rows = db.execute(
                "SELECT images.id, path, name, patient, eye, visit, state, note, "
                "seconds, certainty, proposed_by, revision FROM images "
                "LEFT JOIN gradings ON gradings.image = images.id AND grader = ? "
                f"{where} ORDER BY images.id",
                (grader, *values),
            ).fetchall()
        found = []
        for row in self._checked(_IMAGE_ROWS, rows, "images"):
            number, path, name, patient, eye, visit, state, note, *others = row
            seconds, sure, made_by, revision = others
            if state is None:
                state = "proposed" if made_by else "new"
            found.append(
                StudyImage(
                    number,
                    Path(os.path.normpath(self.path.parent / path)),
                    name,
                    Origin(patient, eye, visit),
                    state,
                    note or "",
                    seconds or 0.0,
                    sure,
                    made_by or "",
                    revision or 0,
                )
            )
        return found

    def _checked(self, cells: _Cells, rows: list[Any], what: str) -> list[Any]:
        """Return rows whose cells are what they must be; SQLite takes any in each."""
        try:
            return list(cells.validate_python(rows, strict=True))
        except ValidationError as error:
            raise FileError(
                f"{self.path} is damaged: {what} ({first_fault(error)})."
            ) from error

    def _relative(self, image: Path) -> str:
        folder = self.path.parent.resolve()
        # Not resolved itself: a link is an image of its own
        absolute = image.parent.resolve() / image.name
        try:
            return Path(os.path.relpath(absolute, folder)).as_posix()
        except ValueError:  # on another drive
            return absolute.as_posix()

    # What a model proposes

    def propose(
        self,
        number: int,
        masks: Mapping[str, Mask],
        certainty: float,
        made_by: str,
        thumbnail: bytes = b"",
    ) -> None:
        """Keep a proposal, in place of an earlier one; graders' masks stay."""
        shape = _shape_of(masks)
        with self._writing() as db:
            _put_masks(db, number, PROPOSED, masks)
            db.execute(
                "UPDATE images SET height = ?, width = ?, certainty = ?, "
                "proposed_by = ?, thumbnail = coalesce(?, thumbnail) WHERE id = ?",
                (*shape, certainty, made_by, thumbnail or None, number),
            )

    def proposed_by(self, number: int) -> str:
        """Return how an image's proposal was made; empty: there is none."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT coalesce(proposed_by, '') FROM images WHERE id = ?", (number,)
            ).fetchall()
        return self._only(_NAME_ROWS, rows, "a proposal") or ""

    def _only(self, cells: _Cells, rows: list[Any], what: str) -> Any:
        """Return the one cell of the one row that there is; None if there is none."""
        found = self._checked(cells, rows, what)
        return found[0][0] if found else None

    def thumbnails(self) -> dict[int, bytes]:
        """Return the small pictures that there are, as PNG."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT id, thumbnail FROM images WHERE thumbnail IS NOT NULL"
            ).fetchall()
        return dict(self._checked(_PICTURE_ROWS, rows, "small pictures"))

    # What a grader makes of it

    @property
    def graders(self) -> list[str]:
        """Who worked on it, in the order in which they came."""
        with self._reading() as db:
            rows = db.execute("SELECT name FROM graders ORDER BY rowid").fetchall()
        return [name for (name,) in self._checked(_NAME_ROWS, rows, "graders")]

    def current(self, grader: str) -> int | None:
        """Return the image where a grader was last."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT image FROM graders WHERE name = ?", (grader,)
            ).fetchall()
        number = self._only(_NUMBER_ROWS, rows, "graders")
        return None if number is None else int(number)

    def set_current(self, grader: str, number: int) -> None:
        """Note where a grader is."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO graders (name, image, opened) VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET image = excluded.image, "
                "opened = excluded.opened",
                (grader, number, _now()),
            )

    def masks(self, number: int, grader: str) -> Masks:
        """Return a grader's masks of an image; as long as there are none, the proposal.

        A grader who has looked at an image and left it has masks of all structures,
        though they may be empty.

        Raises
        ------
        FileError
            If they are damaged.
        """
        return self._masks(number, grader) or self._masks(number, PROPOSED)

    def proposal(self, number: int) -> Masks:
        """Return the masks that were proposed; none if nothing was yet."""
        return self._masks(number, PROPOSED)

    def _masks(self, number: int, grader: str) -> Masks:
        with self._reading() as db:
            rows = db.execute(
                "SELECT structure, height, width, pixels FROM masks "
                "WHERE image = ? AND grader = ? ORDER BY rowid",
                (number, grader),
            ).fetchall()
        rows = self._checked(_MASK_ROWS, rows, "masks")
        try:
            found = {name: _unpacked(data, (h, w)) for name, h, w, data in rows}
        except (zlib.error, ValueError) as error:
            raise FileError(
                f"{self.path} is damaged: masks of image {number} ({error})."
            ) from error
        order = [name for name in self.about.structures if name in found]
        return {name: found[name] for name in dict.fromkeys((*order, *found))}

    def save(
        self,
        image: StudyImage,
        grader: str,
        masks: Mapping[str, Mask] | None = None,
    ) -> StudyImage:
        """Keep what a grader made of an image.

        Parameters
        ----------
        image : StudyImage
            With state, note and seconds as they are now, and the revision that it was
            read with.
        grader : str
            Whose it is.
        masks : mapping of str to ndarray, optional
            (H, W) bool by structure; None: those that are there stay.

        Returns
        -------
        StudyImage
            With its new revision.

        Raises
        ------
        ConflictError
            If another window has saved something about the image meanwhile.
        FileError
            If the file cannot be written.
        """
        if not grader:
            raise FileError("Say first who works on the study: a grader has a name.")
        with self._writing() as db:
            rows = db.execute(
                "SELECT revision FROM gradings WHERE image = ? AND grader = ?",
                (image.id, grader),
            ).fetchall()
            if (self._only(_NUMBER_ROWS, rows, "states") or 0) != image.revision:
                raise ConflictError(
                    f"{image.name} was changed in another window of {grader!r} since "
                    "it was opened here; what is drawn here is not saved. Go to "
                    "another image and back to see what was saved."
                )
            if masks is not None:
                _put_masks(db, image.id, grader, masks)
            db.execute(
                "INSERT OR REPLACE INTO gradings VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(image.id, grader, image.state, image.note, image.seconds),
                    *(_now(), image.revision + 1),
                ),
            )
            db.execute(
                "INSERT OR IGNORE INTO graders (name, image, opened) VALUES (?, ?, ?)",
                (grader, image.id, _now()),
            )
        return replace(image, revision=image.revision + 1)

    def is_graded(self, number: int, grader: str) -> bool:
        """Tell whether a grader has masks of an image."""
        with self._reading() as db:
            row = db.execute(
                "SELECT 1 FROM masks WHERE image = ? AND grader = ? LIMIT 1",
                (number, grader),
            ).fetchone()
        return row is not None

    # Measures and lessons

    def mark(self, number: int, grader: str) -> str:
        """Return what tells a grader's masks of an image from others."""
        owner = grader if self.is_graded(number, grader) else PROPOSED
        digest = hashlib.sha256()
        with self._reading() as db:
            rows = db.execute(
                "SELECT structure, pixels FROM masks WHERE image = ? AND grader = ? "
                "ORDER BY structure",
                (number, owner),
            )
            for name, pixels in rows:
                digest.update(f"{name}\0".encode())
                digest.update(pixels if isinstance(pixels, bytes) else b"")
        return digest.hexdigest()[:16]

    def measures(self, number: int, grader: str, made_of: str) -> list[Any] | None:
        """Return the rows of a table that was kept, if it is made of the same."""
        with self._reading() as db:
            row = db.execute(
                "SELECT content FROM measures "
                "WHERE image = ? AND grader = ? AND made_of = ?",
                (number, grader, made_of),
            ).fetchone()
        if row is None:
            return None
        try:
            return list(read_json(_decompressed(row[0], _LARGEST_CELL)))
        except (zlib.error, ValueError, TypeError):
            return None  # measured again

    def put_measures(
        self, number: int, grader: str, made_of: str, rows: Sequence[Any]
    ) -> None:
        """Keep the rows of an image's table."""
        content = zlib.compress(json.dumps(rows).encode())
        with self._writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO measures VALUES (?, ?, ?, ?)",
                (number, grader, made_of, content),
            )

    def set_learns(self, learns: bool) -> None:
        """Say whether accepted masks sharpen later proposals."""
        about = self.about.model_copy(update={"learns": learns})
        with self._writing() as db:
            db.execute(
                "UPDATE about SET value = ? WHERE key = 'study'",
                (about.model_dump_json(),),
            )
        self.about = about

    def put_lesson(
        self, number: int, grader: str, arrays: Mapping[str, Mapping[str, NDArray[Any]]]
    ) -> None:
        """Keep what an image teaches about its structures, in place of earlier ones.

        Parameters
        ----------
        number, grader
            Of what.
        arrays : mapping
            Structure → name → array; none: the image teaches nothing any more.
        """
        rows = []
        for structure, named in arrays.items():
            file = io.BytesIO()
            # numpy 1.26 would save an argument allow_pickle as an array
            np.savez_compressed(file, **named)  # type: ignore[arg-type]
            rows.append((number, grader, structure, file.getvalue()))
        with self._writing() as db:
            db.execute(
                "DELETE FROM lessons WHERE image = ? AND grader = ?", (number, grader)
            )
            db.executemany("INSERT INTO lessons VALUES (?, ?, ?, ?)", rows)

    def lessons(self, grader: str) -> dict[str, dict[int, dict[str, NDArray[Any]]]]:
        """Return what a grader's accepted images teach: structure → image → arrays.

        Raises
        ------
        FileError
            If they are damaged.
        """
        with self._reading() as db:
            rows = db.execute(
                "SELECT structure, image, content FROM lessons WHERE grader = ? "
                "ORDER BY structure, image",
                (grader,),
            ).fetchall()
        found: dict[str, dict[int, dict[str, NDArray[Any]]]] = {}
        for structure, number, content in self._checked(_LESSON_ROWS, rows, "lessons"):
            try:
                found.setdefault(structure, {})[number] = _lesson(content)
            # zipfile, zlib and numpy raise errors of many kinds for what is damaged
            except Exception as error:
                raise FileError(
                    f"{self.path} is damaged: lessons of image {number}."
                ) from error
        return found

    # The file

    def _read_about(self, db: sqlite3.Connection) -> About:
        row = db.execute("SELECT value FROM about WHERE key = 'study'").fetchone()
        said = "" if row is None else row[0]
        try:
            return About.model_validate_json(said if isinstance(said, str) else "")
        except ValidationError as error:
            raise FileError(
                f"{self.path} is not a whole study: {first_fault(error)}."
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            # A file that is gone is not made anew
            address = f"{self.path.resolve().as_uri()}?mode=rw"
            with closing(sqlite3.connect(address, _SECONDS, uri=True)) as db:
                db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_CELL)
                yield db
        except sqlite3.OperationalError as error:
            raise FileError(f"{self.path} cannot be used now: {error}.") from error
        except (sqlite3.DatabaseError, MemoryError, UnicodeError) as error:
            raise FileError(
                f"{self.path} is damaged or not a study ({error})."
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.isolation_level = None
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                if db.in_transaction:  # SQLite itself ends it where the disk is full
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def default_grader() -> str:
    """Return who works here, by login name."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # no such thing on this computer
        return "grader"


def study_path(path: str | Path) -> Path:
    """Return the file of a study that is given by its file or its folder."""
    path = given_path(path)
    return path / FILE_NAME if path.is_dir() else path


def is_study(path: str | Path) -> bool:
    """Tell whether a file is a study, or a folder holds one."""
    path = study_path(path)
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head[:6] == b"SQLite" and head[68:72] == _APPLICATION.to_bytes(4, "big")


def matching_structures(known: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Return structures by the names that a model has for them, others as they are."""
    known = list(known)
    return list(dict.fromkeys(find_name(known, name) or name for name in wanted))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _shape_of(masks: Mapping[str, Mask]) -> tuple[int, int]:
    shapes = {mask.shape for mask in masks.values()}
    if len(shapes) != 1:
        raise FileError("The masks of an image must be of one size.")
    height, width = shapes.pop()
    return int(height), int(width)


def _put_masks(
    db: sqlite3.Connection, number: int, grader: str, masks: Mapping[str, Mask]
) -> None:
    height, width = _shape_of(masks)
    db.execute("DELETE FROM masks WHERE image = ? AND grader = ?", (number, grader))
    db.executemany(
        "INSERT INTO masks VALUES (?, ?, ?, ?, ?, ?)",
        [
            (number, grader, name, height, width, _packed(mask))
            for name, mask in masks.items()
        ],
    )


def _packed(mask: Mask) -> bytes:
    return zlib.compress(np.packbits(np.asarray(mask, bool), axis=1).tobytes(), 6)


def _unpacked(data: bytes, shape: tuple[int, int]) -> Mask:
    height, width = shape
    if height * width > psutil.virtual_memory().available:
        raise ValueError("more pixels than memory holds")
    rows = np.frombuffer(_decompressed(data, height * -(-width // 8)), np.uint8)
    bits = np.unpackbits(rows.reshape(height, -1), axis=1, count=width)
    if bits.shape != shape:
        raise ValueError("another size")
    return bits.view(bool)


def _decompressed(data: bytes, most: int) -> bytes:
    """Unpack bytes; a ValueError for more than there may be."""
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(data, most)
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise ValueError("it is cut off, or too long")
    return unpacked


def _lesson(content: bytes) -> dict[str, NDArray[Any]]:
    """Read what an image teaches; a ValueError for what is no lesson."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > _LARGEST_LESSON:
            raise ValueError("it is too large")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in ("features", "labels", "weights")}
    count = len(arrays["labels"])
    shapes = {name: part.shape for name, part in arrays.items()}
    width = shapes["features"][1:]
    wanted = {"features": (count, *width), "labels": (count,), "weights": (count,)}
    if shapes != wanted or len(width) != 1:
        raise ValueError("its arrays do not fit together")
    if not all(
        part.dtype.kind in "fbiu" and np.isfinite(part).all()
        for part in arrays.values()
    ):
        raise ValueError("it holds what is no number")
    if (arrays["weights"] <= 0).any() or not np.isin(arrays["labels"], (0, 1)).all():
        raise ValueError("its weights or labels are none")
    return arrays
