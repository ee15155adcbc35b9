"""A folder of images, worked on from napari: what the folder panel is a skin on."""

from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Layer
from psygnal import Signal

from napari_localdisc.batch.recipes import ConceptRecipe, Recipe
from napari_localdisc.batch.tasks import Job, Outcome, count_states, plan_tasks
from napari_localdisc.core.errors import FileError, LocalDiscError
from napari_localdisc.core.files import given_path
from napari_localdisc.core.work import Steps
from napari_localdisc.io.areas import ClassArea, areas_in, write_areas

from .chosen import ModelChoice
from .status import Status, working_on_folder
from .work import (
    Runner,
    Slot,
    disconnect_all,
    raise_error,
    reporting,
)

TABLE = "areas.csv"
"""Name of the table in the output folder."""


@dataclass(frozen=True)
class Row:
    """What became of one image: its files, or why there are none, and their areas."""

    outcome: Outcome
    areas: tuple[ClassArea, ...] = ()


class FolderControl:
    """Makes clusters, a structure or a concept of every image of a folder.

    Parameters
    ----------
    viewer : ViewerModel
        Where `open_row` shows an image.
    runner, report
        As of `Workspace`.

    Attributes
    ----------
    work : Slot
        The run.
    status : Status
        What was done.
    models : ModelChoice
        What it is done with.
    """

    row_added = Signal(object)
    """A `Row`."""
    cleared = Signal()
    """The rows of an earlier run are gone."""
    model_changed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
    ) -> None:
        self.viewer = viewer
        self._tell = report
        self.work = Slot(runner or Runner(), self._report)
        self.status = Status()
        self.status.say("Choose a folder of images.")
        self.models = ModelChoice()
        self._arrived: deque[Row] = deque()
        self._remarks: list[str] = []
        self.rows: list[Row] = []
        self.table: Path | None = None

    # What is chosen

    def set_model(self, name: str) -> None:
        """Choose a model, for instance a fine-tuned one."""
        if name == self.models.name:
            return
        with reporting(self._report):
            self.models.choose(name)
        self.model_changed.emit()

    # Work

    def run(
        self,
        source: str | Path,
        out: str | Path,
        recipe: Callable[[], Recipe],
        *,
        overwrite: bool = False,
        scheduler: str = "",
    ) -> None:
        """Work on a folder; images that are done already are only measured.

        Parameters
        ----------
        source : str or Path
            Folder of images, a file or a pattern.
        out : str or Path
            Where labels and the table of areas go.
        recipe : callable
            Returns what to make of each image; called by the worker.
        overwrite : bool
            Make files that are there anew.
        scheduler : str
            Address or file of the scheduler of a dask cluster that shall do the work;
            empty: this machine.
        """
        if self.work.is_busy:
            return
        source, scheduler = str(source).strip(), scheduler.strip()
        folder = given_path(str(out).strip())
        try:
            if not source:
                raise FileError("Choose the folder of images first.")
            if not str(out).strip():
                raise FileError("Choose a folder for the results first.")
            if scheduler:
                from napari_localdisc.batch.dask_cluster import check_scheduler

                check_scheduler(scheduler)
            file = self.models.file
        except LocalDiscError as error:
            self._report(error)
            return
        arrived = self._arrived = deque()
        remarks = self._remarks = []

        def work() -> Steps[None]:
            """Make the files of every image and measure them."""
            yield 0, 0
            from napari_localdisc.batch.run import run_tasks
            from napari_localdisc.core.image.files import find_images
            from napari_localdisc.core.model.model import load_model

            what = recipe()
            sources = find_images([source], remarks.append)
            tasks = plan_tasks(sources, folder, what.endings)
            yield 0, len(tasks)
            model = load_model(file.path)
            what.check(model)
            # Other machines find it by its name
            name = file.path.stem if scheduler else str(file.path)
            job = Job(what, name, model.hash, overwrite=overwrite)
            outcomes = run_tasks(
                tasks, job, model=model, scheduler=scheduler, spare_cores=1
            )
            done = 0
            with closing(outcomes):
                for outcome in outcomes:
                    if outcome is not None:
                        done += 1
                        arrived.append(_measured(outcome))
                    yield done, len(tasks)

        self.rows.clear()
        self.cleared.emit()
        self.table = folder / TABLE
        self.status.say("Getting ready…")
        self.work.run(
            work,
            self._on_end,
            failed=self._on_error,
            dropped=self._on_cancelled,
            progressed=self._on_progress,
        )

    def cancel(self) -> None:
        """Stop; what is done stays, and the next run goes on from there."""
        self.work.cancel()

    def close(self) -> None:
        """Stop all work and tell nobody any more."""
        disconnect_all(self, self.work, self.status)
        self.cancel()

    def _report(self, error: Exception) -> None:
        self.status.fail(error)
        self._tell(error)

    def _on_progress(self, done: int, total: int) -> None:
        self._collect()
        if total:
            self.status.say(working_on_folder(done, total))

    def _on_end(self, result: None) -> None:
        self._save_table()
        said = count_states(row.outcome for row in self.rows)
        about = " ".join(("", *self._remarks))
        self.status.say(f"Done: {said}. Areas are in {self.table}.{about}")

    def _on_error(self, error: Exception) -> None:
        self._save_table()
        self._report(error)

    def _on_cancelled(self) -> None:
        self._save_table()
        self.status.say(
            f"Stopped after {len(self.rows)} images; Start goes on from there."
        )

    def _collect(self) -> None:
        while self._arrived:
            row = self._arrived.popleft()
            self.rows.append(row)
            self.row_added.emit(row)

    def _save_table(self) -> None:
        self._collect()
        areas = [area for row in self.rows for area in row.areas]
        if self.table is not None and areas:
            with reporting(self._report):
                write_areas(self.table, areas)

    # Results

    def open_row(self, row: Row) -> list[Layer]:
        """Show an image and its labels in the viewer; return their layers."""
        from napari.layers import Image, Labels

        from napari_localdisc.core.image.files import (
            is_large,
            open_large,
            read_image,
            read_placement,
        )
        from napari_localdisc.io.labels import read_labels
        from napari_localdisc.layers.files import layer_data_of

        task = row.outcome.task
        layers: list[Layer] = []
        with reporting(self._report):
            large = is_large(task.source)
            pixels = open_large(task.source)[0] if large else read_image(task.source)
            is_colour = pixels.ndim == 3 and pixels.shape[-1] in (3, 4)
            found = read_labels(task.outputs[0]) if task.outputs[0].exists() else []
            about = read_placement(task.source)
            layers.append(Image(pixels, name=task.source.stem, rgb=is_colour, **about))
            for labels in found:
                data, attributes, _ = layer_data_of(labels)
                layers.append(Labels(data, **{**attributes, "opacity": 0.6}))
            for layer in layers:
                self.viewer.add_layer(layer)
            return layers
        return []


def read_concept(path: str | Path) -> ConceptRecipe:
    """Return a recipe that finds what a concept's file holds.

    Raises
    ------
    FileError
        If it is still to be chosen, or cannot be read.
    """
    from napari_localdisc.core.learning.concept import load_concept

    if not str(path).strip():
        raise FileError("Choose the concept's file first.")
    return ConceptRecipe(load_concept(path))


def _measured(outcome: Outcome) -> Row:
    areas: list[ClassArea] = []
    if outcome.state in ("written", "skipped"):
        areas = areas_in(outcome.task.outputs[0], outcome.task.source.name)
    return Row(outcome, tuple(areas))
