"""A folder of images, worked on from napari: what the folder panel is a skin on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from .batch import ClusterRecipe, Outcome, Recipe, StructureRecipe, Task, plan_tasks
from .core.errors import Cancelled, FileError, LocalDiscError
from .io.areas import ClassArea, areas_in, write_areas
from .model_choice import ModelChoice
from .running import Job, Progress, Runner, SynchronousRunner
from .workspace import raise_error

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from .embedding_work import ModelFile
    from .running import Steps

TABLE = "areas.csv"
"""Name of the table in the output folder."""


@dataclass(frozen=True)
class Row:
    """What became of one image.

    Attributes
    ----------
    outcome : Outcome
        Its files, and the reason if there are none.
    areas : tuple of ClassArea
        Of its labels.
    """

    outcome: Outcome
    areas: tuple[ClassArea, ...] = ()

    @property
    def image(self) -> str:
        """File name of the image."""
        return self.outcome.task.source.name


class FolderControl:
    """Makes clusters, a structure or a concept of every image of a folder.

    Parameters
    ----------
    viewer : ViewerModel
        Where `open_row` shows an image.
    runner : Runner, optional
        Runs the work; by default at once.
    report : callable, optional
        Gets every error; by default it is raised.
    """

    busy_changed = Signal(bool)
    progressed = Signal(int, int)
    """Images done, and in all."""
    row_added = Signal(object)
    """A `Row`."""
    cleared = Signal()
    """The rows of an earlier run are gone."""
    status_changed = Signal(str)
    model_changed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
    ) -> None:
        self.viewer = viewer
        self._runner = runner or SynchronousRunner()
        self._report = report
        self._models = ModelChoice()
        self._job: Job | None = None
        self._jobs = 0
        self._stop = threading.Event()
        self.rows: list[Row] = []
        self.table: Path | None = None

    # What is chosen

    @property
    def models(self) -> list[str]:
        """Names of the models there are now."""
        return self._models.names

    @property
    def model(self) -> str | None:
        """Name of the chosen model."""
        return self._models.name

    @property
    def structures(self) -> tuple[str, ...]:
        """Structures that the chosen model's card names."""
        return self._models.structures

    @property
    def most_clusters(self) -> int:
        """The largest number of clusters that the chosen model can tell apart."""
        return self._models.most_structures

    def set_model(self, name: str) -> None:
        """Choose a model, for instance a fine-tuned one."""
        if name == self.model:
            return
        try:
            self._models.choose(name)
        except LocalDiscError as error:
            self._report(error)
        self.model_changed.emit()

    # Work

    @property
    def is_busy(self) -> bool:
        """Whether a folder is being worked on."""
        return self._job is not None

    def cluster(
        self, source: str | Path, out: str | Path, number: int, **options: Any
    ) -> None:
        """Label the structures of every image; see `run`."""
        self.run(source, out, ClusterRecipe(number), **options)

    def find_structure(
        self, source: str | Path, out: str | Path, name: str, **options: Any
    ) -> None:
        """Find a structure that the model names in every image; see `run`."""
        self.run(source, out, StructureRecipe(name), **options)

    def find_concept(
        self, source: str | Path, out: str | Path, concept: str | Path, **options: Any
    ) -> None:
        """Find what a concept's file holds in every image; see `run`."""
        from .concept_recipe import ConceptRecipe
        from .core.concepts import load_concept

        if not str(concept).strip():
            self._report(FileError("Choose the concept's file first."))
            return
        try:
            recipe = ConceptRecipe(load_concept(concept))
        except LocalDiscError as error:
            self._report(error)
            return
        self.run(source, out, recipe, **options)

    def run(
        self,
        source: str | Path,
        out: str | Path,
        recipe: Recipe,
        *,
        overwrite: bool = False,
    ) -> None:
        """Work on a folder; images that are done already are only measured.

        Parameters
        ----------
        source : str or Path
            Folder of images, a file or a pattern.
        out : str or Path
            Where labels and the table of areas go.
        recipe : Recipe
            What to make of each image.
        overwrite : bool
            Make files that are there anew.
        """
        if self._job is not None:
            return
        try:
            tasks = self._plan(source, out, recipe)
            file = self._models.file
        except LocalDiscError as error:
            self._report(error)
            return
        self.rows.clear()
        self.cleared.emit()
        self.table = Path(out) / TABLE
        self._stop.clear()
        self._jobs += 1
        job = self._job = Job(self._jobs)
        arrived: deque[Row] = deque()
        self.busy_changed.emit(True)
        self.progressed.emit(0, len(tasks))
        self._say(f"{len(tasks)} images: getting ready…")
        self._runner.start(
            job,
            lambda: work_on(tasks, recipe, file, overwrite, arrived, self._stop),
            lambda progress: self._on_progress(job, progress, arrived),
            lambda result: self._on_end(job, arrived),
            lambda error: self._on_error(job, error, arrived),
        )

    def _plan(self, source: str | Path, out: str | Path, recipe: Recipe) -> list[Task]:
        from .io.images import find_images

        if not str(source).strip():
            raise FileError("Choose the folder of images first.")
        if not str(out).strip():
            raise FileError("Choose a folder for the results first.")
        return plan_tasks(find_images([source]), Path(out), recipe.endings)

    def cancel(self) -> None:
        """Stop; what is done stays, and the next run goes on from there."""
        if self._job is None:
            return
        self._stop.set()
        self._job.cancel()
        self._finish()
        self._say(f"Stopped after {len(self.rows)} images; Start goes on from there.")

    def close(self) -> None:
        """Stop all work and tell nobody any more."""
        for name in dir(type(self)):
            if isinstance(getattr(type(self), name), Signal):
                getattr(self, name).disconnect()
        self.cancel()

    def _on_progress(self, job: Job, progress: Progress, arrived: deque[Row]) -> None:
        if job is not self._job:
            return
        self._collect(arrived)
        done, total = progress
        if total:
            self.progressed.emit(done, total)
            self._say(f"{done} of {total} images.")

    def _on_end(self, job: Job, arrived: deque[Row]) -> None:
        if job is not self._job:
            return
        self._collect(arrived)
        self._finish()
        states = [row.outcome.state for row in self.rows]
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        said = ", ".join(f"{count} {state}" for state, count in counts.items())
        self._say(f"Done: {said}. Areas are in {self.table}.")

    def _on_error(self, job: Job, error: Exception, arrived: deque[Row]) -> None:
        if job is not self._job:
            return
        self._collect(arrived)
        self._finish()
        if not isinstance(error, Cancelled):
            self._say("Stopped by an error.")
            self._report(error)

    def _collect(self, arrived: deque[Row]) -> None:
        while arrived:
            row = arrived.popleft()
            self.rows.append(row)
            self.row_added.emit(row)

    def _finish(self) -> None:
        self._job = None
        self._save_table()
        self.busy_changed.emit(False)

    def _save_table(self) -> None:
        areas = [area for row in self.rows for area in row.areas]
        if self.table is None or not areas:
            return
        try:
            write_areas(self.table, areas)
        except FileError as error:
            self._report(error)

    # Results

    def open_row(self, row: Row) -> list[Layer]:
        """Show an image and its labels in the viewer; return their layers."""
        from napari.layers import Image, Labels

        from .io.export import read_labels
        from .io.images import read_image
        from .layer_files import layer_data_of

        task = row.outcome.task
        try:
            pixels = read_image(task.source)
            is_colour = pixels.ndim == 3 and pixels.shape[-1] in (3, 4)
            layers: list[Layer] = [Image(pixels, name=task.source.stem, rgb=is_colour)]
            if task.outputs[0].exists():
                for labels in read_labels(task.outputs[0]):
                    data, attributes, _ = layer_data_of(labels)
                    attributes["opacity"] = 0.6
                    layers.append(Labels(data, **attributes))
        except LocalDiscError as error:
            self._report(error)
            return []
        for layer in layers:
            self.viewer.add_layer(layer)
        return layers

    # What is said

    @property
    def status(self) -> str:
        """What is being done."""
        return self._status

    _status = "Choose a folder of images."

    def _say(self, text: str) -> None:
        if text != self._status:
            self._status = text
            self.status_changed.emit(text)


def work_on(
    tasks: list[Task],
    recipe: Recipe,
    file: ModelFile,
    overwrite: bool,
    arrived: deque[Row],
    stop: threading.Event,
) -> Steps[None]:
    """Make the files of one image after another.

    Parameters
    ----------
    tasks, recipe, overwrite
        As for `run_task`.
    file : ModelFile
        The model.
    arrived : deque
        Gets a `Row` per image.
    stop : threading.Event
        Ends the work between two tiles of an image.

    Yields
    ------
    done, total : int
        After each image.
    """
    yield 0, 0
    from .core.models import load_model
    from .machines import Job as Work
    from .machines import attempt

    model = load_model(file.path)
    recipe.check(model)
    work = Work(recipe, str(file.path), model.hash, overwrite=overwrite)

    def watch(done: int, total: int) -> None:
        if stop.is_set():
            raise Cancelled

    for done, task in enumerate(tasks, 1):
        outcome = attempt(task, work, model, watch)
        areas: list[ClassArea] = []
        if outcome.state in ("written", "skipped"):
            areas = areas_in(task.outputs[0], task.source.name)
        arrived.append(Row(outcome, tuple(areas)))
        yield done, len(tasks)
