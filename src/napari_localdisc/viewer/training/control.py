"""State and operations of one viewer's training panel; without Qt."""

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.core.errors import ImageError, LocalDiscError, TrainingError
from napari_localdisc.core.training.progress import Progress
from napari_localdisc.layers.ours import Look, OurLayers
from napari_localdisc.layers.plane import Plane, displayed_plane
from napari_localdisc.viewer import status
from napari_localdisc.viewer.chosen import ImageChoice, model_wanted, models_changed
from napari_localdisc.viewer.work import disconnect_all, raise_error

from .job import (
    LAST,
    Compared,
    Failed,
    Finished,
    Message,
    Noted,
    Pictured,
    Preparing,
    Stopped,
    TrainingJob,
)
from .request import (
    TrainingRequest,
    delete_model,
    model_file,
)

MOST_SLICES = 500
"""Of a stack; of a longer one slices at equal distances are taken."""

PATIENCE = 1.5
"""Seconds that a stopped training has to end before it is let go."""

ENOUGH_STEPS = 30
"""Of an adaptation, below which before and after cannot be told apart."""

_MOST_NOTES = 3
"""All of them are in the log."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a model and its adapted copy see in an image.

    Attributes
    ----------
    old, new : str
        The models' names.
    views : dict of str to (ndarray, ndarray)
        Structure or ``clusters`` → before and after, (h, w, 3) uint8.
    """

    old: str
    new: str
    views: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]


class TrainingControl:
    """Trains and adapts models, one at a time, in another process.

    Parameters
    ----------
    viewer : ViewerModel
        Its images can be learnt from, and shows the clusters meanwhile.
    report : callable, optional
        Gets every error; by default it is raised.
    """

    images_changed = Signal()
    """Images came, went or were renamed."""
    running_changed = Signal(bool)
    """A training began or ended."""
    progressed = Signal(float)
    """Progress in [0, 1]; negative while it is unknown."""
    stepped = Signal(object)
    """`Progress`: the losses have news."""
    status_changed = Signal(str)
    """A line that says what is going on."""
    noted = Signal(str)
    """Something to know that stops nothing, such as an image that was left out."""
    models_changed = Signal()
    """There may be other models than before."""
    compared = Signal(object)
    """`Comparison` of a model with its adapted copy: the user is to keep one."""

    def __init__(
        self,
        viewer: ViewerModel,
        report: Callable[[Exception], None] = raise_error,
    ) -> None:
        self.viewer = viewer
        self.keeps_preview = False
        self.status = "Choose images and what to look for in them."
        self.has_failed = False
        """Whether the status is what went wrong."""
        self._report = report
        self._is_closed = self._is_stopping = False
        self._stop_asked = 0.0
        self._ending: list[TrainingJob] = []
        self._job: TrainingJob | None = None
        self._preview: TrainingPreview | None = None
        self._compared: dict[int, Compared] = {}
        self._notes = 0
        self._images = ImageChoice(viewer)
        self._images.listed.connect(self.images_changed.emit)
        models_changed.connect(self.models_changed.emit)

    def close(self) -> None:
        """Stop, which keeps the best model so far, and follow the viewer no longer."""
        if self._is_closed:
            return
        self._is_closed = True
        disconnect_all(self)
        models_changed.disconnect(self.models_changed.emit)
        for job in (*self._ending, *([self._job] if self._job else [])):
            job.close()
        self._job, self._ending = None, []
        self._end_preview()
        self._images.close()

    @property
    def images(self) -> list[Image]:
        """Image layers to learn from, topmost first."""
        return self._images.images

    @property
    def is_running(self) -> bool:
        """Whether a training is going on."""
        return self._job is not None

    @property
    def is_saving(self) -> bool:
        """Whether what was stopped is still being saved."""
        return bool(self._ending)

    @property
    def preview_layer(self) -> Any | None:
        """The clusters of the current image, while they are shown."""
        return self._preview.layer if self._preview is not None else None

    # What the user does

    def start(self, request: TrainingRequest, layers: Sequence[Image] = ()) -> None:
        """Train or adapt.

        Parameters
        ----------
        request : TrainingRequest
            What to do.
        layers : sequence of Image
            Images to learn from, unless the request names a folder; every slice of a
            stack counts.
        """
        if self.is_running:
            return
        try:
            request.check()
            if any(job.request.out == request.out for job in self._ending):
                raise TrainingError(
                    f"“{request.name}” is still being saved: wait a moment, or choose "
                    "another name."
                )
            planes = [] if request.folder else self._planes(request, layers)
        except LocalDiscError as error:
            self.fail(error)
            return
        current = self._current(layers)
        self._preview = TrainingPreview(self.viewer, *current) if current else None
        self._notes = 0
        self._is_stopping = False
        self._job = TrainingJob(request, planes, current[1] if current else None)
        self._job.start()
        self.running_changed.emit(True)
        self._say("Starting the training in a process of its own…")

    def stop(self) -> None:
        """End after the current step; the best model so far is kept."""
        if self._job is not None:
            self._job.stop()
            self._is_stopping, self._stop_asked = True, time.monotonic()
            self._say("Stopping: the best model so far is kept…")

    def keep_new(self, comparison: Comparison) -> None:
        """Go on with an adapted model."""
        self._say(f"“{comparison.new}” is kept and chosen.")
        model_wanted.emit(self.viewer, comparison.new)

    def keep_old(self, comparison: Comparison) -> None:
        """Delete an adapted model; the one it came from was never changed."""
        delete_model(model_file(comparison.new))
        self._say(f"“{comparison.old}” stays; what was adapted is deleted.")
        models_changed.emit()

    def _planes(self, request: TrainingRequest, layers: Sequence[Image]) -> list[Plane]:
        planes = [plane for layer in layers for plane in all_planes(layer)]
        fewest = 1 if request.model is not None else 2
        if len(planes) < fewest:
            needed = "one image is" if fewest == 1 else f"{fewest} images are"
            raise TrainingError(
                f"At least {needed} needed: tick open images, or choose a folder."
            )
        return planes

    def _current(self, layers: Sequence[Image]) -> tuple[Image, Plane] | None:
        """Find the image to show: the selected one, else the first to learn from."""
        active = self.viewer.layers.selection.active
        wanted = [layer for layer in self.images if layer is active]
        for layer in [*wanted, *layers, *self.images]:
            try:
                return layer, displayed_plane(layer, self.viewer.dims)
            except ImageError:
                continue  # it is shown as a volume, or not at all
        return None

    # What the process says

    def poll(self) -> None:
        """Take in what the process said; to be called a few times a second."""
        for job in (*self._ending, *([self._job] if self._job else [])):
            for message in job.poll():
                self._take(job, message)
                if isinstance(message, LAST):
                    self._end(job, message)
                    break
        waited = time.monotonic() - self._stop_asked
        if self._job is not None and self._is_stopping and waited > PATIENCE:
            self._let_go(self._job)

    def _let_go(self, job: TrainingJob) -> None:
        """Wait no longer for what was stopped: it saves its model by itself."""
        self._job = None
        self._ending.append(job)
        self._end_preview()
        self._say(
            f"Stopped. “{job.request.name}” is being saved, and is in the list of "
            "models when it is."
        )
        self.running_changed.emit(False)

    def _take(self, job: TrainingJob, message: Message) -> None:
        if job is not self._job and not isinstance(message, Compared | Noted):
            return  # it is no longer waited for
        if isinstance(message, Preparing):
            is_reading = message.done < message.total
            self.progressed.emit(message.done / message.total if is_reading else -1.0)
            if message.total:
                self._say(status.reading_images(message.done, message.total))
        elif isinstance(message, Progress):
            self.progressed.emit(message.share)
            if not self._is_stopping:
                loss = message.losses["total"]
                self._say(
                    status.training(
                        message.step,
                        message.steps,
                        loss,
                        message.seconds,
                        message.share,
                    )
                )
            self.stepped.emit(message)
        elif isinstance(message, Pictured) and self._preview is not None:
            labels = job.read(message.file)["labels"]
            self._preview.show(labels, np.array(message.colours), message.step)
        elif isinstance(message, Compared):
            self._compared[id(job)] = message
        elif isinstance(message, Noted):
            self._notes += 1
            if self._notes <= _MOST_NOTES:
                self.noted.emit(message.text)

    def _end(self, job: TrainingJob, message: Message) -> None:
        comparison = self._comparison(job)
        job.discard()
        if job in self._ending:
            self._ending.remove(job)
            self.running_changed.emit(self.is_running)
        else:
            self._job = None
            self._end_preview()
            self.running_changed.emit(False)
        if isinstance(message, Finished):
            name = Path(message.file).stem
            how = "stopped" if message.stopped else "done"
            steps = f"{message.steps} step{'' if message.steps == 1 else 's'}"
            text = f"“{name}” is {how} after {steps} and saved."
            if job.request.model is not None and message.steps < ENOUGH_STEPS:
                comparison = None
                text += (
                    f" That is too little to judge it by: at least {ENOUGH_STEPS} "
                    "steps are needed. Give it more time, by Resume."
                )
            self._say(text)
            models_changed.emit()
            if comparison is not None:
                self.compared.emit(comparison)
        elif isinstance(message, Stopped):
            self._say("Stopped before the first step: there is no model yet.")
        elif isinstance(message, Failed):
            self.fail(TrainingError(message.reason))

    def _comparison(self, job: TrainingJob) -> Comparison | None:
        compared, request = self._compared.pop(id(job), None), job.request
        if compared is None or request.model is None:
            return None
        arrays = job.read(compared.file)
        views = {
            name: (arrays[f"before{k}"], arrays[f"after{k}"])
            for k, name in enumerate(compared.views)
        }
        return Comparison(request.model, request.name, views)

    def _end_preview(self) -> None:
        if self._preview is not None:
            self._preview.finish(self.keeps_preview)
        self._preview = None

    def fail(self, error: LocalDiscError) -> None:
        """Say what went wrong, in place of what went well before; report it."""
        self._say(str(error), failed=True)
        self._report(error)

    def _say(self, text: str, failed: bool = False) -> None:
        if (text, failed) != (self.status, self.has_failed):
            self.status, self.has_failed = text, failed
            self.status_changed.emit(text)


def all_planes(layer: Image) -> list[Plane]:
    """Return every slice of a layer's last two axes, at most `MOST_SLICES`."""
    data = layer.data[0] if layer.multiscale else layer.data
    hidden = tuple(int(side) for side in data.shape[: layer.ndim - 2])
    count = int(np.prod(hidden, dtype=int))
    chosen = np.linspace(0, count - 1, min(count, MOST_SLICES)).round().astype(int)
    return [
        Plane(data, (*(int(at) for at in np.unravel_index(k, hidden)), None, None))
        for k in chosen
    ]


class TrainingPreview:
    """The clusters of one plane while a network learns.

    Parameters
    ----------
    viewer : ViewerModel
        Where the labels go.
    layer : Image
        The current image.
    plane : Plane
        What pictures are made of.
    """

    def __init__(self, viewer: ViewerModel, layer: Image, plane: Plane) -> None:
        self._viewer = viewer
        self._image = weakref.ref(layer)
        self._plane = plane
        self._shown = OurLayers(viewer)

    @property
    def layer(self) -> Any | None:
        """The labels while they are in the viewer."""
        return self._shown.layer("training")

    def show(
        self, labels: NDArray[np.uint8], colours: NDArray[np.floating], step: int
    ) -> None:
        """Show labels, unless the user took the image or the last ones away."""
        image = self._image()
        if image is None or image not in self._viewer.layers:
            return
        if "training" in self._shown.ours and self.layer is None:
            return
        self._shown.show(
            "training",
            self._plane.expand(labels),
            Look(colours),
            self._plane.placement(image),
            lambda: f"{image.name} in training",
            {"training_step": step},
        )

    def finish(self, keep: bool) -> None:
        """Take the labels away, unless they are wanted, painted on or renamed."""
        if not keep and not self._shown.edited("training"):
            self._shown.remove("training")
        self._shown.forget("training")
