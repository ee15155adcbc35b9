"""A `TrainingJob`'s process: ``python -m napari_localdisc.viewer.training.process``.

Its one argument is the job's folder.  It says what it does in messages on standard
output; everything else that is printed goes to standard error, which is the log.  It
stops after the current step when ``stop`` is written to its standard input, or when
that is closed because napari is gone; the best model so far is saved.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.colours import from_hex
from napari_localdisc.core.embedding.clusters import cluster_colours, dominant_cluster
from napari_localdisc.core.embedding.embed import embed, map_clusters
from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.embedding.named import card_colours
from napari_localdisc.core.errors import Cancelled, LocalDiscError
from napari_localdisc.core.image.files import read_image
from napari_localdisc.core.image.working import as_rgb
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.core.training.adapt import DEFAULT_MINUTES, MOST_STEPS, adapt
from napari_localdisc.core.training.photographs import photograph_files
from napari_localdisc.core.training.progress import Progress
from napari_localdisc.core.training.settings import TrainingSettings
from napari_localdisc.core.training.train import train
from napari_localdisc.core.training.trainer import Trainer

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
    Stopped,
    to_line,
)
from .request import TrainingRequest

ORPHAN_SECONDS = 180.0
"""How long the end may take when napari is gone."""

CLUSTERS = "clusters"
"""Name of the view that shows clusters."""

_FIRST_PICTURE_SECONDS = 10.0
_MESSAGE_SECONDS = 0.2
_NICENESS = 5
_LONGER_SIDE = 1000
_COMPARED_CLUSTERS = 8
_STRUCTURE_OPACITY = 0.85
_CLUSTER_OPACITY = 0.6

Picture = NDArray[np.uint8]


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
        current = folder / CURRENT
        self._image = np.load(current, mmap_mode="r") if current.exists() else None
        self._said = 0.0
        self._next_picture: float | None = None
        self._losses: list[dict[str, float]] = []

    def say(self, message: Message) -> None:
        """Write a message; nobody may be there to read it."""
        with contextlib.suppress(OSError):
            self._output.write(to_line(message))
            self._output.flush()

    def callbacks(self) -> dict[str, Any]:
        """Return what `train` asks and tells."""
        return {
            "preparing": lambda done, total: self.say(Preparing(done, total)),
            "progress": self._on_step,
            "cancel": lambda: self._orders.stop,
            "watch": self._watch,
        }

    def _on_step(self, state: Progress) -> None:
        """Report a step, with the mean losses of those that were too quick for it."""
        self._losses.append(state.losses)
        now = time.monotonic()
        is_soon = now - self._said < _MESSAGE_SECONDS
        if is_soon and not state.validation and state.share < 1:
            return
        of_each: dict[str, list[float]] = {}
        for losses in self._losses:
            for name, value in losses.items():
                of_each.setdefault(name, []).append(value)
        self._said, self._losses = now, []
        means = {name: sum(values) / len(values) for name, values in of_each.items()}
        self.say(dataclasses.replace(state, losses=means))

    def _watch(self, trainer: Trainer) -> None:
        """Make a picture of the current image when one is due."""
        now = time.monotonic()
        if self._next_picture is None:
            soon = min(_FIRST_PICTURE_SECONDS, self._picture_seconds)
            self._next_picture = now + soon
        if self._image is None or now < self._next_picture or self._orders.stop:
            return
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
        image = self._image
        try:
            if image is None and folder is not None:
                image = read_image(photograph_files(folder)[0])
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


def run(request: TrainingRequest, folder: Path, reporter: Reporter) -> Model:
    """Do what is asked for; return the model, which is saved.

    Parameters
    ----------
    request : TrainingRequest
        What to do.
    folder : Path
        The job's folder, for the images where the request names no folder of them.
    reporter : Reporter
        Gets progress and pictures.

    Raises
    ------
    LocalDiscError
        If the training cannot be done.
    Cancelled
        If it was stopped before its first step.
    """
    files = sorted((folder / IMAGES).glob("*.npy"))
    images = request.folder or [np.load(file, mmap_mode="r") for file in files]
    options = reporter.callbacks() | {
        "resume": request.resume,
        "device": request.device,
        "cache": request.cache,
        "keep_best": True,
    }
    if request.model is None:
        asked = {"steps": request.steps or MOST_STEPS, "minutes": request.minutes}
        settings = TrainingSettings.for_modality(
            request.modality, **asked | request.settings
        )
        about = Path(request.folder).name if request.folder else "images open in napari"
        details = {"data": about, "licence": "not said"}
        return train(images, request.out, settings=settings, details=details, **options)
    model = load_model(request.model, "cpu")
    adapted = adapt(
        model,
        images,
        request.out,
        minutes=request.minutes or DEFAULT_MINUTES,
        steps=request.steps,
        **options,
    )
    reporter.compare(model, adapted, request.folder)
    return adapted


def main(folder: Path) -> int:
    """Run the job that a folder describes; return the exit status."""
    # Standard output is for messages; what others print goes to the log
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
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


def cluster_picture(
    model: Model, image: NDArray[Any]
) -> tuple[Picture, NDArray[np.float32]]:
    """Label each pixel with its cluster, numbered as in the network.

    The model's centres are not looked at, so that a label stays what it is while the
    network learns.  Clusters that it has more than colours for begin again with the
    first.

    Returns
    -------
    labels : ndarray
        (H, W) uint8, 0 outside the field of view.
    colours : ndarray
        (n + 1, 4) float32 RGBA in [0, 1], of each label from 0 on.
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
    """Lay what a model and its adapted copy see over an image.

    Returns
    -------
    dict of str to (ndarray, ndarray)
        Structure, or ``"clusters"`` → what the old and the new model make of it, each
        (h, w, 3) uint8; at most 1000 pixels long.
    """
    both = (old, embed(image, old)), (new, embed(image, new))
    colours = card_colours(old.card)
    photograph = _shrunk(np.round(as_rgb(image) * 255).astype(np.uint8))
    views = {}
    for name in old.card.structures:
        if name in new.card.structures:
            before, after = (
                _with_structure(photograph, seen, name, colours[name])
                for _, seen in both
            )
            views[name] = before, after
    before, after = (_with_clusters(photograph, seen, model) for model, seen in both)
    return views | {CLUSTERS: (before, after)}


def _shrunk(array: Picture, smooth: bool = True) -> Picture:
    from PIL import Image

    picture = Image.fromarray(array)
    share = _LONGER_SIDE / max(picture.size)
    if share >= 1:
        return array
    width, height = (max(1, round(side * share)) for side in picture.size)
    how = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    return np.asarray(picture.resize((width, height), how))


def _blend(photograph: Picture, rgb: Any, opacity: Any) -> Picture:
    colour = np.asarray(rgb, np.float32) * 255
    mixed = photograph + (colour - photograph) * np.asarray(opacity, np.float32)
    return np.round(mixed).clip(0, 255).astype(np.uint8)


def _with_structure(
    photograph: Picture, seen: Embedding, name: str, colour: str
) -> Picture:
    presence = _shrunk(np.round(seen.structure(name) * 255).astype(np.uint8))
    opacity = _STRUCTURE_OPACITY / 255 * presence[..., None].astype(np.float32)
    return _blend(photograph, from_hex(colour), opacity)


def _with_clusters(photograph: Picture, seen: Embedding, model: Model) -> Picture:
    number = min(_COMPARED_CLUSTERS, model.card.clusters)
    labels = _shrunk(seen.clusters(number), smooth=False)
    colours = cluster_colours(model, number)[:, :3]
    opacity = _CLUSTER_OPACITY * (labels > 0)[..., None]
    return _blend(photograph, colours[labels], opacity)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
