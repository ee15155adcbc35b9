"""A training in another process: neither its work nor a crash can touch napari.

The process reads a `TrainingRequest` and images from the job's folder, writes messages
to its standard output, and stops when it is told to or when napari is gone; see
`process`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.training.progress import Progress

from .request import TrainingRequest

if TYPE_CHECKING:
    from napari_localdisc.layers.plane import Plane

REQUEST = "request.json"
CURRENT = "current.npy"
"""Of the job's folder: the image that pictures are made of, if there is one."""
IMAGES = "images"
"""Of the job's folder: images to learn from, as ``.npy`` files."""

STOP = "stop\n"

_LONGEST_REASON = 200


class TrainingJob:
    """Runs one training; messages wait in a queue until they are asked for.

    Parameters
    ----------
    request : TrainingRequest
        What to do.
    planes : sequence of Plane
        Images to learn from, unless the request names a folder.
    current : Plane, optional
        Image whose clusters are shown while the training runs.
    """

    def __init__(
        self,
        request: TrainingRequest,
        planes: Sequence[Plane] = (),
        current: Plane | None = None,
    ) -> None:
        self.request = request
        self.folder = Path(tempfile.mkdtemp(prefix="localdisc-training-"))
        self.log = Path(request.out).with_suffix(".log")
        self._planes = list(planes)
        self._current = current
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._stop_asked = self._abandoned = False
        self._thread = threading.Thread(
            target=self._run, name="localdisc training", daemon=True
        )

    # For the thread that asks

    def start(self) -> None:
        """Begin; images are written and the process is started in a thread."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether there may be more messages."""
        return self._thread.is_alive() or not self._messages.empty()

    @property
    def process_id(self) -> int | None:
        """The other process, once it was started."""
        return self._process.pid if self._process is not None else None

    def poll(self) -> list[Message]:
        """Return the messages since the last call."""
        messages = []
        with contextlib.suppress(queue.Empty):
            while True:
                messages.append(self._messages.get_nowait())
        return messages

    def read(self, file: str) -> dict[str, NDArray[Any]]:
        """Load arrays from a file that a message names, and delete it."""
        path = self.folder / file
        with np.load(path, allow_pickle=False) as arrays:
            loaded = dict(arrays)
        path.unlink()
        return loaded

    def stop(self) -> None:
        """Ask for the end after the current step; the best model so far is saved."""
        with self._lock:
            self._stop_asked = True
            self._tell_stop()

    def close(self) -> None:
        """Stop and ask for nothing more; the folder goes when the process ends."""
        self.stop()
        with self._lock:
            self._close_input()
        self._abandoned = True
        if not self._thread.is_alive():
            self.discard()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the process to end; false if it has not."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def discard(self) -> None:
        """Delete the job's folder, again if the process still wrote to it."""
        self._abandoned = True
        shutil.rmtree(self.folder, ignore_errors=True)

    # In the job's own thread

    def _run(self) -> None:
        self._messages.put(Preparing(0, 0))
        try:
            self._write_folder()
            if self._stop_asked:
                self._messages.put(Stopped())
                return
            self._start_process()
            self._listen()
        except Exception as error:  # a lazy image may raise anything
            self._messages.put(Failed(f"The training could not be started: {error}."))
        finally:
            if self._abandoned:
                self.discard()

    def _write_folder(self) -> None:
        (self.folder / IMAGES).mkdir()
        (self.folder / REQUEST).write_text(self.request.to_json(), encoding="utf-8")
        for number, plane in enumerate(self._planes, 1):
            self._write(plane, f"{IMAGES}/{number:05}.npy")
        if self._current is not None:
            self._write(self._current, CURRENT)
        self._planes, self._current = [], None
        self.log.parent.mkdir(parents=True, exist_ok=True)

    def _write(self, plane: Plane, name: str) -> None:
        try:
            np.save(self.folder / name, plane.read(), allow_pickle=False)
        except (LocalDiscError, ValueError) as error:
            self._messages.put(Noted(f"An image is left out: {error}"))

    def _start_process(self) -> None:
        module = f"{__package__}.process"
        with self.log.open("a" if self.request.resume else "w") as log, self._lock:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,  # else the user's files might shadow modules
                encoding="utf-8",
                creationflags=_low_priority(),
            )
            if self._stop_asked:
                self._tell_stop()

    def _tell_stop(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(OSError, ValueError):  # it has ended by itself
            self._process.stdin.write(STOP)
            self._process.stdin.flush()

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        last: Message | None = None
        for line in self._process.stdout:
            message = from_line(line)
            if message is not None:
                last = message
                self._messages.put(message)
        code = self._process.wait()
        with self._lock:
            self._close_input()
        self._process.stdout.close()
        if not isinstance(last, LAST):
            self._messages.put(Failed(self._crash(code)))

    def _crash(self, code: int) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "no reason")
        reason = last.strip()[:_LONGEST_REASON]
        with contextlib.suppress(ValueError):  # it was not killed
            name = signal.Signals(-code).name
            memory = ", perhaps for want of memory" if name == "SIGKILL" else ""
            reason = f"killed by {name}{memory}"
        return (
            f"The training process broke off ({reason}). Resume goes on from its last "
            f"checkpoint, if it wrote one; its log is {self.log}."
        )


def _low_priority() -> int:
    """Let napari go first on Windows; elsewhere the process sees to it itself."""
    if os.name != "nt":
        return 0
    flags = ("BELOW_NORMAL_PRIORITY_CLASS", "CREATE_NO_WINDOW")
    return sum(int(getattr(subprocess, flag)) for flag in flags)


@dataclass(frozen=True)
class Preparing:
    """Photographs read, and in all (0: the process is only starting)."""

    done: int
    total: int


@dataclass(frozen=True)
class Pictured:
    """The clusters of the current image lie in a file of the job's folder.

    Attributes
    ----------
    file : str
        ``.npz`` with ``labels``: (H, W) uint8, 0 outside the field of view.
    step : int
        When they were computed.
    colours : list
        RGBA in [0, 1] of each label, from 0 on.
    """

    file: str
    step: int
    colours: list[list[float]]


@dataclass(frozen=True)
class Compared:
    """What two models see in an image lies in a file of the job's folder.

    Attributes
    ----------
    file : str
        ``.npz`` with ``before0``, ``after0``, ``before1``, …: (h, w, 3) uint8.
    views : list of str
        What each pair shows: a structure's name or ``clusters``.
    """

    file: str
    views: list[str]


@dataclass(frozen=True)
class Noted:
    """Something to know that stops nothing, such as a file that was left out."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The model is saved.

    Attributes
    ----------
    file : str
        The model's file.
    steps : int
        Steps trained.
    stopped : bool
        Whether the user stopped it before its end.
    """

    file: str
    steps: int
    stopped: bool


@dataclass(frozen=True)
class Stopped:
    """Stopped before the first step: there is no model."""


@dataclass(frozen=True)
class Failed:
    """The training cannot go on; the reason is a sentence for the user."""

    reason: str


Message = (
    Preparing | Progress | Pictured | Compared | Noted | Finished | Stopped | Failed
)
LAST = (Finished, Stopped, Failed)
"""Messages after which no other comes."""

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}


def to_line(message: Message) -> str:
    """Write a message as one line."""
    fields = {"message": type(message).__name__} | dataclasses.asdict(message)
    return json.dumps(fields) + "\n"


def from_line(line: str) -> Message | None:
    """Read a line; None if it is not one of ours."""
    try:
        fields = json.loads(line)
        return _KINDS[fields.pop("message")](**fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
