"""Files that appear whole or not at all, and replace only what is ours."""

import contextlib
import os
import platform
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil

from .errors import FileError

IsOurs = Callable[[Path], bool]
"""Whether a file or folder carries our note; see `check_replaceable`."""

_HOST = re.sub(r"[^\w-]", "_", platform.node().partition(".")[0])
_RUN = uuid.uuid4().hex[:8]
"""Tells this process from an earlier one of the same number."""
_LONGEST_NAME = 200
"""Bytes; file systems take 255."""
UNFINISHED = ".localdisc-"
"""What names of unfinished files and folders begin with."""
_UNFINISHED = re.compile(
    rf"\.localdisc-{_HOST}-(?P<process>\d+)-(?P<run>[0-9a-f]{{8}})-.*"
)


def given_path(path: str | Path) -> Path:
    """Return a path as its user means it: ``~`` is the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no home, or nobody of that name
        return Path(path)


@contextmanager
def atomic_path(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that is renamed to it on success.

    A symbolic link is followed.  What killed runs left in the folder is removed.

    Parameters
    ----------
    path : Path
        In a folder that is there.
    mode : int, optional
        Permissions; by default those of the file that is there, else what the
        user's umask says.
    """
    path = Path(os.path.realpath(path))
    if mode is None and path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
    temporary = _unfinished(path)
    # Made here, so that it is never open to more people than it will be
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode or 0o666))
    try:
        yield temporary
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_file(
    path: Path, is_ours: IsOurs | None = None, *, mode: int | None = None
) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    is_ours : callable, optional
        A file that is there is replaced only if this is true of it.
    mode : int, optional
        As of `atomic_path`.

    Raises
    ------
    FileError
        If something else is there, or the file cannot be written.
    """
    if is_ours is not None:
        check_replaceable(path, is_ours)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, mode=mode) as temporary:
            yield temporary
    except OSError as error:
        raise _refusal(path, error) from error


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside ``path`` that is gone when the block ends.

    Raises
    ------
    FileError
        If it cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = _unfinished(path)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise _refusal(path, error) from error


@contextmanager
def new_folder(path: Path, is_ours: IsOurs) -> Iterator[Path]:
    """Give a temporary folder that becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    is_ours : callable
        A folder that is there is replaced only if this is true of it.

    Raises
    ------
    FileError
        If something else is there, or the folder cannot be written.
    """
    check_replaceable(path, is_ours)
    path = Path(os.path.realpath(path))
    with unfinished_folder(path) as making:
        new, old = making / "new", making / "old"
        yield new
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise


def check_replaceable(path: Path, is_ours: IsOurs) -> None:
    """Refuse to replace a file or folder that is not ours; empty folders may go.

    Raises
    ------
    FileError
        Naming it.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not is_ours(path):
        raise FileError(
            f"{path} is there already and was not made by napari-localdisc: choose "
            "another name or folder, or move it away."
        )


def _unfinished(path: Path) -> Path:
    """Name something that its process is making for a path, beside it."""
    remove_unfinished(path.parent)
    process = f"{_HOST}-{os.getpid()}-{_RUN}-{uuid.uuid4().hex[:8]}"
    name = f".localdisc-{process}-{path.name}"
    while len(os.fsencode(name)) > _LONGEST_NAME:  # letters have one to four bytes
        name = name[:-1]
    return path.with_name(name)


@cache
def remove_unfinished(folder: Path) -> None:
    """Remove what processes of this computer that are no more did not finish.

    Once in a process: a folder may hold a study's files by the thousand.
    """
    for left in folder.glob(f"{UNFINISHED}*"):
        name = _UNFINISHED.fullmatch(left.name)
        if name is None or _is_alive(int(name["process"]), name["run"]):
            continue
        with contextlib.suppress(OSError):  # somebody else removes it now
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def _is_alive(process: int, run: str) -> bool:
    return run == _RUN if process == os.getpid() else psutil.pid_exists(process)


def _refusal(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} cannot be written: {error.strerror or error}.")
