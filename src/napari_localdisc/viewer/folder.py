"""A folder of images, worked on from napari: what the folder panel is a skin on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_localdisc.batch.recipes import ClusterRecipe, Recipe, StructureRecipe
from napari_localdisc.batch.run import Order, Row, work_on
from napari_localdisc.core.errors import Cancelled, FileError, LocalDiscError
from napari_localdisc.io.areas import write_areas

from .chosen import ModelChoice
from .work import Job, Runner, SynchronousRunner, disconnect_all, raise_error

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_localdisc.core.work import Progress

TABLE = "areas.csv"
"""Name of the table in the output folder."""


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
        self._order: Order | None = None
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
        self.run(source, out, lambda: ClusterRecipe(number), **options)

    def find_structure(
        self, source: str | Path, out: str | Path, name: str, **options: Any
    ) -> None:
        """Find a structure that the model names in every image; see `run`."""
        self.run(source, out, lambda: StructureRecipe(name), **options)

    def find_concept(
        self, source: str | Path, out: str | Path, concept: str | Path, **options: Any
    ) -> None:
        """Find what a concept's file holds in every image; see `run`."""
        if not str(concept).strip():
            self._report(FileError("Choose the concept's file first."))
            return
        self.run(source, out, lambda: _concept_recipe(concept), **options)

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
        if self._job is not None:
            return
        try:
            order = Order(
                str(source).strip(),
                str(out).strip(),
                recipe,
                self.model or "",
                self._models.file,
                overwrite,
                scheduler.strip(),
            )
            order.check()
        except LocalDiscError as error:
            self._report(error)
            return
        self.rows.clear()
        self.cleared.emit()
        self.table = Path(order.out) / TABLE
        self._order = order
        job = self._job = Job()
        self.busy_changed.emit(True)
        self._say("Getting ready…")
        self._runner.start(
            job,
            lambda: work_on(order),
            lambda progress: self._on_progress(job, progress),
            lambda result: self._on_end(job),
            lambda error: self._on_error(job, error),
        )

    def cancel(self) -> None:
        """Stop; what is done stays, and the next run goes on from there."""
        if self._job is None or self._order is None:
            return
        self._order.stop.set()
        self._job.cancel()
        self._finish()
        self._say(f"Stopped after {len(self.rows)} images; Start goes on from there.")

    def close(self) -> None:
        """Stop all work and tell nobody any more."""
        disconnect_all(self)
        self.cancel()

    def _on_progress(self, job: Job, progress: Progress) -> None:
        if job is not self._job:
            return
        self._collect()
        done, total = progress
        if total:
            self.progressed.emit(done, total)
            self._say(f"{done} of {total} images.")

    def _on_end(self, job: Job) -> None:
        if job is not self._job:
            return
        self._collect()
        self._finish()
        states = [row.outcome.state for row in self.rows]
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        said = ", ".join(f"{count} {state}" for state, count in counts.items())
        self._say(f"Done: {said}. Areas are in {self.table}.")

    def _on_error(self, job: Job, error: Exception) -> None:
        if job is not self._job:
            return
        self._collect()
        self._finish()
        if not isinstance(error, Cancelled):
            self._say("Stopped by an error.")
            self._report(error)

    def _collect(self) -> None:
        arrived = self._order.arrived if self._order is not None else None
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

        from napari_localdisc.core.image.files import is_large, open_large, read_image
        from napari_localdisc.io.labels import read_labels
        from napari_localdisc.layers.files import layer_data_of

        task = row.outcome.task
        try:
            large = is_large(task.source)
            pixels = open_large(task.source)[0] if large else read_image(task.source)
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


def _concept_recipe(path: str | Path) -> Recipe:
    from napari_localdisc.batch.recipes import ConceptRecipe
    from napari_localdisc.core.learning.concept import load_concept

    return ConceptRecipe(load_concept(path))
