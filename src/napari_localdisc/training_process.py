"""The process of a `TrainingJob`: ``python -m napari_localdisc.training_process``.

Its one argument is the job's folder.  It says what it does in messages on standard
output; everything else that is printed goes to standard error, which is the log.  It
stops after the current step when ``stop`` is written to its standard input, or when
that is closed because napari is gone; the best model so far is saved.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from .core.errors import Cancelled, LocalDiscError
from .training_job import CURRENT, IMAGES, REQUEST, STOP
from .training_messages import (
    Compared,
    Failed,
    Finished,
    Message,
    Noted,
    Pictured,
    Preparing,
    Stepped,
    Stopped,
    to_line,
)
from .training_request import TrainingRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .core.models import Model
    from .core.training import Progress, Trainer

ORPHAN_SECONDS = 180.0
"""How long the end may take when napari is gone."""

_FIRST_PICTURE_SECONDS = 10.0
_MESSAGE_SECONDS = 0.2
_NICENESS = 5


class Orders:
    """What napari says; silence for ever is an order to stop, too."""

    def __init__(self, folder: Path) -> None:
        self.stop = self.is_orphan = False
        self._folder = folder

    def listen(self) -> None:
        """Read standard input in a thread from now on."""
        # napari and this process get Ctrl+C together; napari's end is enough
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_signal)
        threading.Thread(target=self._read, daemon=True).start()

    def _on_signal(self, *_: Any) -> None:
        self.stop = True

    def _read(self) -> None:
        said = b""
        # Not sys.stdin, whose lock would be held when the interpreter ends
        while more := os.read(0, 1024):
            said += more
            self.stop = self.stop or STOP.encode() in said
        self.is_orphan = self.stop = True
        time.sleep(ORPHAN_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(1)


class Reporter:
    """Turns what a training does into messages and pictures.

    Parameters
    ----------
    output : file
        Where messages go.
    folder : Path
        The job's folder.
    orders : Orders
        What is asked before each step.
    picture_seconds : float
        Time between two pictures.
    """

    def __init__(
        self, output: TextIO, folder: Path, orders: Orders, picture_seconds: float
    ) -> None:
        self._output, self._folder, self._orders = output, folder, orders
        self._picture_seconds = picture_seconds
        self._image = _load(folder / CURRENT)
        self._said = 0.0
        self._next_picture: float | None = None
        self._losses: dict[str, list[float]] = {}

    def say(self, message: Message) -> None:
        """Write a message; nobody may be there to read it."""
        with contextlib.suppress(OSError):
            self._output.write(to_line(message))
            self._output.flush()

    def preparing(self, done: int, total: int) -> None:
        """Report photographs that were read."""
        self.say(Preparing(done, total))

    def cancelled(self) -> bool:
        """Whether to stop."""
        return self._orders.stop

    def progress(self, state: Progress) -> None:
        """Report a step, with those that were too quick to report."""
        for name, value in state.losses.items():
            self._losses.setdefault(name, []).append(value)
        now = time.monotonic()
        if now - self._said < _MESSAGE_SECONDS and not state.validation:
            return
        self._said = now
        losses = {k: sum(v) / len(v) for k, v in self._losses.items()}
        self._losses = {}
        self.say(
            Stepped(state.step, state.share, state.seconds, losses, state.validation)
        )

    def watch(self, trainer: Trainer) -> None:
        """Make a picture of the current image when one is due."""
        now = time.monotonic()
        if self._next_picture is None:
            soon = min(_FIRST_PICTURE_SECONDS, self._picture_seconds)
            self._next_picture = now + soon
        if self._image is None or now < self._next_picture or self._orders.stop:
            return
        from .training_pictures import cluster_picture

        try:
            labels, colours = cluster_picture(trainer.snapshot(), self._image)
        except (LocalDiscError, RuntimeError) as error:
            self.say(Noted(f"The current image is not shown: {error}"))
            self._image = None
            return
        name = f"clusters-{trainer.step}.npz"
        np.savez(self._folder / name, labels=labels)
        self.say(Pictured(name, trainer.step, colours.tolist()))
        self._next_picture = time.monotonic() + self._picture_seconds

    def compare(self, old: Model, new: Model, folder: str | None) -> None:
        """Show what both models see in the current image, or a folder's first."""
        from .training_pictures import comparison, first_image

        image = self._image
        try:
            if image is None and folder is not None:
                image = first_image(folder)
            if image is None:
                return
            views = comparison(old, new, image)
        except (LocalDiscError, RuntimeError) as error:
            self.say(Noted(f"Before and after cannot be shown: {error}"))
            return
        arrays: dict[str, Any] = {}
        for number, (before, after) in enumerate(views.values()):
            arrays |= {f"before{number}": before, f"after{number}": after}
        np.savez(self._folder / "comparison.npz", **arrays)
        self.say(Compared("comparison.npz", list(views)))

    def warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        """Pass our own warnings on and log the others; see `warnings.showwarning`."""
        if Path(filename).is_relative_to(Path(__file__).parent):
            self.say(Noted(str(message)))
        text = warnings.formatwarning(message, category, filename, lineno, line)
        sys.stderr.write(text)


def _load(file: Path) -> NDArray[Any] | None:
    return np.load(file, mmap_mode="r", allow_pickle=False) if file.exists() else None


def run(request: TrainingRequest, folder: Path, reporter: Reporter) -> Model:
    """Do what is asked for.

    Parameters
    ----------
    request : TrainingRequest
        What to do.
    folder : Path
        The job's folder, for the images where the request names no folder of them.
    reporter : Reporter
        Gets progress and pictures.

    Returns
    -------
    Model
        The model; it is saved.

    Raises
    ------
    LocalDiscError
        If the training cannot be done.
    Cancelled
        If it was stopped before its first step.
    """
    from .core.adaptation import DEFAULT_MINUTES, adapt
    from .core.models import load_model
    from .core.training import TrainingSettings, train

    files = sorted((folder / IMAGES).glob("*.npy"))
    images = request.folder or [image for f in files if (image := _load(f)) is not None]
    options: dict[str, Any] = {
        "resume": request.resume,
        "device": request.device,
        "cache": request.cache,
        "progress": reporter.progress,
        "preparing": reporter.preparing,
        "cancel": reporter.cancelled,
        "keep_best": True,
        "watch": reporter.watch,
    }
    if request.model is None:
        wanted = TrainingSettings.for_modality(
            request.modality, **request.settings, minutes=request.minutes
        )
        about = Path(request.folder).name if request.folder else "images open in napari"
        options["details"] = {"data": about, "licence": "not said"}
        return train(images, request.out, settings=wanted, **options)
    model = load_model(request.model, "cpu")
    minutes = DEFAULT_MINUTES if request.minutes is None else request.minutes
    options |= {"minutes": minutes, "steps": request.steps}
    adapted = adapt(model, images, request.out, **options)
    reporter.compare(model, adapted, request.folder)
    return adapted


def main(folder: Path) -> int:
    """Run the job that a folder describes; return the exit status."""
    output = _claim_output()
    request = TrainingRequest.from_json((folder / REQUEST).read_text(encoding="utf-8"))
    orders = Orders(folder)
    orders.listen()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    reporter = Reporter(output, folder, orders, request.picture_seconds)
    warnings.showwarning = reporter.warn
    try:
        model = run(request, folder, reporter)
    except Cancelled:
        reporter.say(Stopped())
    except LocalDiscError as error:
        reporter.say(Failed(str(error)))
    else:
        steps = int(model.card.details["steps"])
        reporter.say(Finished(request.out, steps, orders.stop))
    finally:
        if orders.is_orphan:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _claim_output() -> TextIO:
    """Keep standard output for messages; what others print goes to the log."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return output


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
