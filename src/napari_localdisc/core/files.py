"""Files that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import FileError


def given_path(path: str | Path) -> Path:
    """Return a path as its user means it: ``~`` is the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no home, or nobody of that name
        return Path(path)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that is renamed to it on success."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends well.

    Raises
    ------
    FileError
        If the file cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            yield temporary
    except OSError as error:
        raise _refusal(path, error) from error


@contextmanager
def new_folder(path: Path, marks: tuple[str, ...]) -> Iterator[Path]:
    """Give a temporary folder that becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : Path
        A folder that is there is replaced if it is of the same kind.
    marks : tuple of str
        A folder of that kind holds one of these files.

    Raises
    ------
    FileError
        If something else is there, or the folder cannot be written.
    """
    check_replaceable(path, marks)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            new = making / "new"
            yield new
            if path.exists():
                path.rename(making / "old")
            new.rename(path)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise _refusal(path, error) from error


def check_replaceable(path: Path, marks: tuple[str, ...]) -> None:
    """Refuse to replace a file or folder that is not of the kind to be written.

    Raises
    ------
    FileError
        Naming it.
    """
    if not path.exists():
        return
    is_empty = path.is_dir() and not any(path.iterdir())
    if not is_empty and not any((path / mark).exists() for mark in marks):
        raise FileError(
            f"{path} is there already and is something else: choose another name."
        )


def _refusal(path: Path, error: OSError) -> FileError:
    return FileError(f"{path} cannot be written: {error.strerror or error}.")
