"""Sessions saved by themselves, so that a crash loses a minute at most."""

import atexit
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from psygnal import Signal

from napari_localdisc.annotation.state import Operation
from napari_localdisc.io.session import (
    Autosave,
    Crashed,
    Session,
    crashed_sessions,
    remove_autosave,
)
from napari_localdisc.viewer.controller import Controller

from .layers import finished
from .session import Sessions

INTERVAL = 60.0
"""Seconds from one `Autosaver.save` to the next."""


class Autosaver:
    """Saves a controller's session when it is asked to, and when labels were written.

    Nothing is written while nothing changed.  When the controller is closed, the file
    goes: what is found at the next start was left by a crash.

    Parameters
    ----------
    controller : Controller
        Whose session.
    sessions : Sessions
        Takes it down.
    folder : Path, optional
        For the files; by default the user's.
    """

    failed = Signal(str)
    """A session could not be saved; why, in a sentence."""

    def __init__(
        self,
        controller: Controller,
        sessions: Sessions,
        folder: Path | None = None,
    ) -> None:
        self._controller = controller
        self._sessions = sessions
        self._folder = folder
        self._autosave = Autosave(folder)
        self._last: Any = None
        self._writes: list[Operation] = []
        self._is_writing = self._wants_more = self._is_closed = False
        self._restored: list[Path] = []
        controller.annotation_changed.connect(self._on_annotation)
        # A program may end without closing its windows; a crash does not come here
        atexit.register(self._autosave.end)

    @property
    def path(self) -> Path:
        """The session's file; it is there once something was saved."""
        return self._autosave.path

    def close(self) -> None:
        """Stop, and remove the file: the session ended in an orderly way."""
        if self._is_closed:
            return
        self._is_closed = True
        self._controller.annotation_changed.disconnect(self._on_annotation)
        self._autosave.end()
        atexit.unregister(self._autosave.end)

    # Saving

    def save(self) -> None:
        """Save the session off the GUI thread, unless nothing is new."""
        if self._is_closed:
            return
        if self._is_writing:
            self._wants_more = True
            return
        if self._sessions.is_empty and self._last is None:
            return
        draft = self._sessions.draft()
        state = _state_of(draft)
        if state == self._last:
            return
        self._is_writing = True

        def work() -> None:
            self._autosave.write(finished(draft))
            if self._is_closed:  # meanwhile
                self._autosave.end()

        def done(nothing: None) -> None:
            self._last = state
            self._finish()
            for path in self._restored:
                remove_autosave(path)
            self._restored.clear()

        def failed(error: Exception) -> None:
            self._finish()
            self.failed.emit(f"Your work could not be saved by itself: {error}")

        self._sessions.run(work, done, failed)

    def _finish(self) -> None:
        self._is_writing = False
        if self._wants_more:
            self._wants_more = False
            self.save()

    def _on_annotation(self) -> None:
        document = self._controller.classes.document
        if document is None:
            return
        log = document.history.log
        writes = [entry for entry in log if entry.kind in ("write", "erase")]
        if writes != self._writes:
            self._writes = writes
            self.save()

    # After a crash

    def crashed(self) -> list[Crashed]:
        """Find sessions that a crash left behind, the newest first."""
        return crashed_sessions(self._folder)

    def restore(self, crashed: Crashed) -> None:
        """Open a session that a crash left.

        Its file goes once all of it came back and is saved again; else only by hand.
        """

        def opened(troubles: list[str]) -> None:
            if not troubles:
                self._restored.append(crashed.path)
            self.save()

        self._sessions.open(crashed.path, opened)


def _state_of(session: Session) -> Any:
    """Return a value that changes when there is something new to save."""
    described = [
        session.model,
        session.structures,
        session.chosen,
        [
            [i.name, i.path, i.placement, i.annotation, i.strokes]
            for i in session.images
        ],
        [[e.name, e.placement, e.colours, e.looks] for e in session.labels],
    ]
    pixels = [
        zlib.crc32(np.ascontiguousarray(entry.data).view(np.uint8).data)
        for entry in session.labels
        if isinstance(entry.data, np.ndarray)
    ]
    return json.dumps(described, default=str), pixels
