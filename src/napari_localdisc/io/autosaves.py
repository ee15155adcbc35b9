"""Where sessions are kept by themselves, and those that a crash left behind.

A file's name says which process writes it.  A process that ends in an orderly way
removes its file; the file of a process that is no more was left by a crash.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from .session import SUFFIX

_PREFIX = "autosave"


def autosave_folder() -> Path:
    """Return the user's folder of sessions; ``LOCALDISC_SESSIONS`` overrides it."""
    import platformdirs

    default = platformdirs.user_state_path("napari-localdisc", appauthor=False)
    return Path(os.environ.get("LOCALDISC_SESSIONS") or default / "sessions")


def new_autosave(folder: Path | None = None) -> Path:
    """Return a path for a session of this process; nothing is written."""
    process = psutil.Process()
    started = round(process.create_time() * 1000)
    name = f"{_PREFIX}-{process.pid}-{started}-{uuid.uuid4().hex[:8]}{SUFFIX}"
    return (folder or autosave_folder()) / name


@dataclass(frozen=True)
class Crashed:
    """A session that was not closed.

    Attributes
    ----------
    path : Path
        Its file.
    saved_at : datetime
        When it was saved last, in local time.
    """

    path: Path
    saved_at: datetime


def crashed_sessions(folder: Path | None = None) -> list[Crashed]:
    """Find the sessions whose process is no more, the newest first."""
    folder = folder or autosave_folder()
    found = []
    for path in folder.glob(f"{_PREFIX}-*{SUFFIX}"):
        try:
            _, pid, started, _ = path.stem.split("-")
            if not _is_running(int(pid), int(started)):
                saved = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
                found.append(Crashed(path, saved))
        except (ValueError, OSError):
            continue  # not one of ours, or somebody removes it now
    return sorted(found, key=lambda crashed: crashed.saved_at, reverse=True)


def _is_running(pid: int, started: int) -> bool:
    """Whether a process is there, and not another one of the same number."""
    try:
        process = psutil.Process(pid)
        # A killed process that its parent has not waited for is still listed
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return bool(abs(process.create_time() * 1000 - started) < 1500)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
