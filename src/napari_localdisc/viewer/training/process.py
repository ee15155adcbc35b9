"""A `TrainingJob`'s process: ``python -m napari_localdisc.viewer.training.process``.

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
from numpy.typing import NDArray

from napari_localdisc.core.colours import STRUCTURE_RGB
from napari_localdisc.core.embedding.clusters import cluster_colours, dominant_cluster
from napari_localdisc.core.embedding.embed import embed, map_clusters
from napari_localdisc.core.errors import Cancelled, LocalDiscError, TrainingError
from napari_localdisc.core.image.files import read_image
from napari_localdisc.core.image.working import as_rgb
from napari_localdisc.core.training.photographs import photograph_files

from .job import (
    CURRENT,
    IMAGES,
    REQUEST,
    STOP,
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
from .request import TrainingRequest

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.core.training import Progress, Trainer

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
        pass  # moved

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
        pass  # moved

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
        if Path(filename).is_relative_to(Path(__file__).parents[2]):
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
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.core.training import TrainingSettings, train
    from napari_localdisc.core.training.adapt import DEFAULT_MINUTES, adapt

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


CLUSTERS = "clusters"
"""Name of the view that shows clusters."""

_LONGER_SIDE = 1000
_COMPARED_CLUSTERS = 8
_STRUCTURE_OPACITY = 0.85
_CLUSTER_OPACITY = 0.6

Picture = NDArray[np.uint8]


def cluster_picture(
    model: Model, image: NDArray[Any]
) -> tuple[Picture, NDArray[np.float32]]:
    """Label each pixel with its cluster, numbered as in the network.

    Clusters that the model has more than colours for begin again with the first.

    Parameters
    ----------
    model : Model
        Its centres are not looked at, so that a label stays what it is while the
        network learns.
    image : ndarray
        (H, W[, C]), as for `embed`.

    Returns
    -------
    labels : ndarray
        (H, W) uint8, 0 outside the field of view.
    colours : ndarray
        (n + 1, 4) float32 RGBA in [0, 1], of each label from 0 on.

    Raises
    ------
    ImageError
        If the image cannot be used.
    """
    seen = map_clusters(image, model)
    labels = dominant_cluster(seen.cluster_probability, seen.grid, seen.field_of_view)
    number = model.card.most_clusters
    again = (labels.astype(int) - 1) % number + 1
    labels = np.where(labels > 0, again, 0).astype(np.uint8)
    return labels, cluster_colours(model, number)


def comparison(
    old: Model, new: Model, image: NDArray[Any]
) -> dict[str, tuple[Picture, Picture]]:
    """Lay what two models see over an image.

    Parameters
    ----------
    old, new : Model
        New ones are adapted from old ones, so they know the same structures.
    image : ndarray
        (H, W[, C]), as for `embed`.

    Returns
    -------
    dict of str to (ndarray, ndarray)
        Structure, or ``"clusters"`` → what the old and the new model make of it, each
        (h, w, 3) uint8; at most 1000 pixels long.

    Raises
    ------
    ImageError
        If the image cannot be used.
    """
    before, after = embed(image, old), embed(image, new)
    photograph = _shrunk(np.round(as_rgb(image) * 255).astype(np.uint8))
    names = [name for name in old.card.structures if name in new.card.structures]
    views = {
        name: (
            _with_structure(photograph, before, name),
            _with_structure(photograph, after, name),
        )
        for name in names
    }
    views[CLUSTERS] = (
        _with_clusters(photograph, before, old),
        _with_clusters(photograph, after, new),
    )
    return views


def first_image(folder: str) -> NDArray[Any]:
    """Read a folder's first image.

    Raises
    ------
    TrainingError, FileError
        If there is none, or it cannot be read.
    """
    files = photograph_files(folder)
    if not files:
        raise TrainingError(f"There is no image in {folder}.")
    return read_image(files[0])


def _shrunk(array: Picture, smooth: bool = True) -> Picture:
    from PIL import Image

    longer = max(array.shape[:2])
    if longer <= _LONGER_SIDE:
        return array
    height, width = (
        max(1, round(side * _LONGER_SIDE / longer)) for side in array.shape[:2]
    )
    how = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(array).resize((width, height), how))


def _blend(photograph: Picture, rgb: Any, opacity: Any) -> Picture:
    colour = np.asarray(rgb, np.float32) * 255
    mixed = photograph + (colour - photograph) * np.asarray(opacity, np.float32)
    return np.round(mixed).clip(0, 255).astype(np.uint8)


def _with_structure(photograph: Picture, seen: Embedding, name: str) -> Picture:
    presence = _shrunk(np.round(seen.structure(name) * 255).astype(np.uint8))
    opacity = _STRUCTURE_OPACITY / 255 * presence[..., None].astype(np.float32)
    return _blend(photograph, STRUCTURE_RGB, opacity)


def _with_clusters(photograph: Picture, seen: Embedding, model: Model) -> Picture:
    number = min(_COMPARED_CLUSTERS, model.card.clusters)
    labels = _shrunk(seen.clusters(number), smooth=False)
    colours = cluster_colours(model, number)[:, :3]
    opacity = _CLUSTER_OPACITY * (labels > 0)[..., None]
    return _blend(photograph, colours[labels], opacity)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
