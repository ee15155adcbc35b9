"""State and operations of one viewer's training panel; without Qt."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.core.errors import ImageError, LocalDiscError, TrainingError
from napari_localdisc.layers.ours import Look, OurLayers
from napari_localdisc.layers.plane import Plane, displayed_plane
from napari_localdisc.viewer import status
from napari_localdisc.viewer.chosen import ImageChoice
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
    Stepped,
    Stopped,
    TrainingJob,
)
from .request import (
    PICTURE_SECONDS,
    Comparison,
    TrainingChoices,
    TrainingRequest,
    all_planes,
    delete_model,
    model_file,
    new_model_file,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

_MOST_STEPS = 100_000
"""The time budget ends a training earlier."""

_MOST_NOTES = 3
"""All of them are in the log."""


class TrainingControl:
    """Trains and adapts models, one at a time, in another process.

    Parameters
    ----------
    viewer : ViewerModel
        Its images can be learnt from, and shows the clusters meanwhile.
    report : callable, optional
        Gets every error; by default it is raised.
    picture_seconds : float
        Time between two pictures of the current image.
    """

    images_changed = Signal()
    """Images came, went or were renamed."""
    running_changed = Signal(bool)
    """A training began or ended."""
    progressed = Signal(float)
    """Progress in [0, 1]; negative while it is unknown."""
    stepped = Signal(object)
    """`Stepped`: the losses have news."""
    status_changed = Signal(str)
    """A line that says what is going on."""
    noted = Signal(str)
    """Something to know that stops nothing, such as an image that was left out."""
    finished = Signal(str)
    """Name of a model that was saved."""
    compared = Signal(object)
    """`Comparison` of a model with its adapted copy: the user is to keep one."""
    kept = Signal(str)
    """Name of an adapted model that the user wants to go on with."""
    dropped = Signal(str)
    """Name of an adapted model that the user did not want; it was deleted."""

    def __init__(
        self,
        viewer: ViewerModel,
        report: Callable[[Exception], None] = raise_error,
        picture_seconds: float = PICTURE_SECONDS,
    ) -> None:
        self.viewer = viewer
        self.keeps_preview = False
        self.status = "Choose images and what to look for in them."
        self._picture_seconds = picture_seconds
        self._report = report
        self._is_closed = self._is_stopping = False
        self._job: TrainingJob | None = None
        self._preview: TrainingPreview | None = None
        self._choices: TrainingChoices | None = None
        self._compared: Compared | None = None
        self._notes = 0
        self._images = ImageChoice(viewer)
        self._images.listed.connect(self._on_listed)

    def close(self) -> None:
        """Stop, which keeps the best model so far, and follow the viewer no longer."""
        if self._is_closed:
            return
        self._is_closed = True
        disconnect_all(self)
        if self._job is not None:
            self._job.close()
            self._job = None
        self._end_preview()
        self._images.close()

    def _on_listed(self) -> None:
        self.images_changed.emit()

    @property
    def images(self) -> list[Image]:
        """Image layers to learn from, topmost first."""
        return self._images.images

    @property
    def is_running(self) -> bool:
        """Whether a training is going on."""
        return self._job is not None

    @property
    def preview_layer(self) -> Any | None:
        """The clusters of the current image, while they are shown."""
        return self._preview.layer if self._preview is not None else None

    # What the user does

    def start(self, choices: TrainingChoices, resume: bool = False) -> None:
        """Train or adapt.

        Parameters
        ----------
        choices : TrainingChoices
            What to do.
        resume : bool
            Go on with the training of this name that was stopped or broke off.
        """
        if self.is_running:
            return
        try:
            planes = self._planes(choices)
            request = self._request(choices, resume)
        except LocalDiscError as error:
            self._report(error)
            return
        current = self._current(choices)
        self._preview = TrainingPreview(self.viewer, *current) if current else None
        self._choices, self._compared, self._notes = choices, None, 0
        self._is_stopping = False
        self._job = TrainingJob(request, planes, current[1] if current else None)
        self._job.start()
        self.running_changed.emit(True)
        self._say("Starting the training in a process of its own…")

    def stop(self) -> None:
        """End after the current step; the best model so far is kept."""
        if self._job is not None:
            self._job.stop()
            self._is_stopping = True
            self._say("Stopping after this step; the best model so far is kept…")

    def keep_new(self, comparison: Comparison) -> None:
        """Go on with an adapted model."""
        self._say(f"“{comparison.new}” is kept and chosen.")
        self.kept.emit(comparison.new)

    def keep_old(self, comparison: Comparison) -> None:
        """Delete an adapted model; the one it came from was never changed."""
        delete_model(model_file(comparison.new))
        self._say(f"“{comparison.old}” stays; what was adapted is deleted.")
        self.dropped.emit(comparison.new)

    def _request(self, choices: TrainingChoices, resume: bool) -> TrainingRequest:
        name = choices.name
        file = model_file(name) if resume else new_model_file(name)
        if resume and not file.with_suffix(".checkpoint").is_file():
            raise TrainingError(
                f"There is no training “{name}” to go on with: start it first."
            )
        folder = choices.folder
        if folder is not None and not folder.is_dir():
            raise TrainingError(f"There is no folder {folder}.")
        settings: dict[str, Any] = {}
        if choices.model is None:
            settings = {
                "steps": _MOST_STEPS,
                "priors": list(choices.priors),
                **choices.settings,
            }
        return TrainingRequest(
            out=str(file),
            folder=None if folder is None else str(folder.resolve()),
            model=choices.model,
            minutes=choices.minutes,
            steps=choices.steps,
            modality=choices.modality,
            settings=settings,
            device=choices.device,
            resume=resume,
            picture_seconds=self._picture_seconds,
        )

    def _planes(self, choices: TrainingChoices) -> list[Plane]:
        if choices.folder is not None:
            return []
        planes = [p for layer in choices.layers for p in all_planes(layer)]
        fewest = 1 if choices.model is not None else 2
        if len(planes) < fewest:
            needed = "one image is" if fewest == 1 else f"{fewest} images are"
            raise TrainingError(
                f"At least {needed} needed: tick open images, or choose a folder."
            )
        return planes

    def _current(self, choices: TrainingChoices) -> tuple[Image, Plane] | None:
        """Find the image to show: the selected one, else the first to learn from."""
        active = self.viewer.layers.selection.active
        wanted = [layer for layer in self.images if layer is active]
        for layer in [*wanted, *choices.layers, *self.images]:
            try:
                return layer, displayed_plane(layer, self.viewer.dims)
            except ImageError:
                continue  # it is shown as a volume, or not at all
        return None

    # What the process says

    def poll(self) -> None:
        """Take in what the process said; to be called a few times a second."""
        job = self._job
        if job is None:
            return
        for message in job.poll():
            self._take(job, message)
            if isinstance(message, LAST):
                self._end(job, message)
                return

    def _take(self, job: TrainingJob, message: Message) -> None:
        if isinstance(message, Preparing):
            self._show_preparing(message)
        elif isinstance(message, Stepped):
            self.progressed.emit(message.share)
            if not self._is_stopping:
                loss = message.losses["total"]
                self._say(
                    status.training(message.step, loss, message.seconds, message.share)
                )
            self.stepped.emit(message)
        elif isinstance(message, Pictured) and self._preview is not None:
            labels = job.read(message.file)["labels"]
            self._preview.show(labels, np.array(message.colours), message.step)
        elif isinstance(message, Compared):
            self._compared = message
        elif isinstance(message, Noted):
            self._notes += 1
            if self._notes <= _MOST_NOTES:
                self.noted.emit(message.text)

    def _show_preparing(self, message: Preparing) -> None:
        is_reading = message.done < message.total
        share = message.done / message.total if is_reading else -1.0
        self.progressed.emit(share)
        if message.total:
            self._say(status.reading_images(message.done, message.total))

    def _end(self, job: TrainingJob, message: Message) -> None:
        choices = self._choices
        comparison = self._comparison(job)
        job.discard()
        self._job = None
        self._end_preview()
        self.running_changed.emit(False)
        if isinstance(message, Finished):
            name = Path(message.file).stem
            how = "stopped" if message.stopped else "done"
            self._say(f"“{name}” is {how} after {message.steps} steps and saved.")
            self.finished.emit(name)
            if comparison is not None and choices is not None:
                self.compared.emit(comparison)
        elif isinstance(message, Stopped):
            self._say("Stopped before the first step: there is no model yet.")
        elif isinstance(message, Failed):
            self._say("The training failed.")
            self._report(TrainingError(message.reason))

    def _comparison(self, job: TrainingJob) -> Comparison | None:
        choices, compared = self._choices, self._compared
        if compared is None or choices is None or choices.model is None:
            return None
        arrays = job.read(compared.file)
        views = {
            name: (arrays[f"before{k}"], arrays[f"after{k}"])
            for k, name in enumerate(compared.views)
        }
        return Comparison(choices.model, choices.name.strip(), views)

    def _end_preview(self) -> None:
        if self._preview is not None:
            self._preview.finish(self.keeps_preview)
        self._preview = None

    def _say(self, text: str) -> None:
        if text != self.status:
            self.status = text
            self.status_changed.emit(text)


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
