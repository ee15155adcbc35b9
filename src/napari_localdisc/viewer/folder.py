"""A folder of images, worked on from napari: what the folder panel is a skin on."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.layers._source import layer_source
from psygnal import Signal

from napari_localdisc.batch.recipes import (
    ClusterRecipe,
    ConceptRecipe,
    Recipe,
    StructureRecipe,
)
from napari_localdisc.batch.tasks import Job, Outcome, count_states, plan_tasks
from napari_localdisc.core.errors import FileError, LocalDiscError
from napari_localdisc.core.files import given_path
from napari_localdisc.core.names import Modality
from napari_localdisc.core.work import Steps
from napari_localdisc.io.areas import ClassArea, areas_in, read_areas, write_areas

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
    """What became of one image: its files, or why there are none, and their areas.

    Attributes
    ----------
    outcome : Outcome
        Of the image.
    areas : tuple of ClassArea
        What was found in it.
    made : str
        By which model what was looked for.
    """

    outcome: Outcome
    areas: tuple[ClassArea, ...] = ()
    made: str = ""


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
    """Rows are gone, those of an earlier run of the same or all of them."""
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
        self._of_run = 0
        self._again: deque[str] = deque()
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
        recipe: Callable[[], Recipe] | Sequence[Callable[[], Recipe]],
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
        recipe : callable or sequence of callable
            Returns what to make of each image; called by the worker.  For several the
            model looks at each image once.
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
            is_pattern = any(sign in source for sign in "*?[")
            if not is_pattern and not given_path(source).exists():
                raise FileError(f"There is no folder {source}.")
            if not str(out).strip():
                raise FileError("Choose a folder for the results first.")
            if scheduler:
                from napari_localdisc.batch.dask_cluster import check_scheduler

                check_scheduler(scheduler)
            file = self.models.file
        except LocalDiscError as error:
            self._report(error)
            return
        recipes = [recipe] if callable(recipe) else list(recipe)
        if not recipes:
            self._report(FileError("Tick what to find first."))
            return
        arrived = self._arrived = deque()
        remarks = self._remarks = []
        again = self._again = deque()
        self._of_run = 0

        def work() -> Steps[None]:
            """Make the files of every image and measure them."""
            yield 0, 0
            from napari_localdisc.batch.run import run_several
            from napari_localdisc.core.image.files import find_images
            from napari_localdisc.core.model.model import load_model

            wanted = [make() for make in recipes]
            sources = find_images([source], remarks.append)
            plans = [plan_tasks(sources, folder, what.endings) for what in wanted]
            total = len(sources) * len(plans)
            yield 0, total
            model = load_model(file.path)
            for what in wanted:
                what.check(model)
                again.append(f"{model.card.name}: {described(what)}")
            # Other machines find it by its name
            name = file.path.stem if scheduler else str(file.path)
            done, views = 0, FieldsOfView(model.card.modality)
            made = [f"{model.card.name}: {described(what)}" for what in wanted]
            jobs = [Job(what, name, model.hash, overwrite=overwrite) for what in wanted]
            outcomes = run_several(
                plans, jobs, model=model, scheduler=scheduler, spare_cores=1
            )
            with closing(outcomes):
                for ended in outcomes:
                    if ended is not None:
                        number, outcome = ended
                        done += 1
                        arrived.append(_measured(outcome, made[number], views))
                    yield done, total

        if self.table != folder / TABLE:
            self.clear()
        self.table = folder / TABLE
        self.status.say("Getting ready…")
        self.work.run(
            work,
            self._on_end,
            failed=self._on_error,
            dropped=self._on_cancelled,
            progressed=self._on_progress,
        )

    def clear(self) -> None:
        """Forget the rows; the table on the disk stays."""
        self.rows.clear()
        self.cleared.emit()

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
        begun = len(self.rows) - self._of_run
        outcomes = [row.outcome for row in self.rows[begun:]]
        about = " ".join(("", *self._remarks))
        failed = [outcome for outcome in outcomes if outcome.state == "failed"]
        if len(failed) < len(outcomes):
            about = f" Areas are in {self.table}.{about}"
        if not failed:
            self.status.say(f"Done: {count_states(outcomes)}.{about}")
            return
        why = failed[0].reason.rstrip(".")
        self.status.fail(FileError(f"{count_states(outcomes)}. {why}.{about}"))

    def _on_error(self, error: Exception) -> None:
        self._save_table()
        self._report(error)

    def _on_cancelled(self) -> None:
        self._save_table()
        self.status.say(
            f"Stopped after {self._of_run} images; Start goes on from there."
        )

    def _collect(self) -> None:
        again = {self._again.popleft() for _ in range(len(self._again))}
        if any(row.made in again for row in self.rows):
            self.rows = [row for row in self.rows if row.made not in again]
            self.cleared.emit()
        while self._arrived:
            row = self._arrived.popleft()
            self.rows.append(row)
            self._of_run += 1
            self.row_added.emit(row)

    def _save_table(self) -> None:
        self._collect()
        areas = [area for row in self.rows for area in row.areas]
        if self.table is not None and areas:
            with reporting(self._report):
                mine = {(area.image, area.made) for area in areas}
                kept = [
                    area
                    for area in read_areas(self.table)
                    if (area.image, area.made) not in mine
                ]
                write_areas(self.table, [*kept, *areas])

    # Results

    def open_row(self, row: Row) -> list[Layer]:
        """Show an image and its labels in the viewer; return their layers.

        The image that is open already is shown, and so are labels that were shown
        before, unless they were made anew since.
        """
        from napari_localdisc.core.image.files import (
            is_large,
            open_large,
            read_image,
            read_placement,
        )
        from napari_localdisc.io.labels import read_labels
        from napari_localdisc.layers.files import layer_data_of
        from napari_localdisc.layers.results import lay_result, open_image

        task = row.outcome.task
        layers: list[Layer] = []
        with reporting(self._report):
            large = is_large(task.source)
            pixels = open_large(task.source)[0] if large else read_image(task.source)
            is_colour = pixels.ndim == 3 and pixels.shape[-1] in (3, 4)
            found = read_labels(task.outputs[0]) if task.outputs[0].exists() else []
            about = read_placement(task.source)
            image = open_image(self.viewer, task.source, pixels)
            if image is None:
                with layer_source(path=str(task.source)):
                    image = Image(pixels, name=task.source.stem, rgb=is_colour, **about)
                self.viewer.add_layer(image)
            layers.append(image)
            for labels in found:
                for each in labels.maps:
                    made = layer_data_of(each)
                    layers.append(lay_result(self.viewer, image, made))
            self.viewer.layers.selection.active = image
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


def described(recipe: Recipe) -> str:
    """Say in a few words what a recipe finds."""
    if isinstance(recipe, ClusterRecipe):
        return f"{recipe.clusters} clusters"
    if isinstance(recipe, StructureRecipe):
        tuned = str(recipe.options)
        return f"{recipe.structure} ({tuned})" if tuned else recipe.structure
    return recipe.concept.name if isinstance(recipe, ConceptRecipe) else recipe.made


class FieldsOfView:
    """How many pixels of an image show something; each is looked at once.

    Parameters
    ----------
    modality : {"fundus", "frame"}
        The model's.
    """

    def __init__(self, modality: Modality) -> None:
        self._modality = modality
        self._known: dict[Path, int | None] = {}

    def pixels(self, source: Path) -> int | None:
        """Return the number; None of an image that is not read whole."""
        if source not in self._known:
            self._known[source] = self._count(source)
        return self._known[source]

    def _count(self, source: Path) -> int | None:
        from napari_localdisc.core.image.field_of_view import find_field_of_view
        from napari_localdisc.core.image.files import is_large, read_image
        from napari_localdisc.core.image.working import as_rgb

        if is_large(source):
            return None
        seen = find_field_of_view(as_rgb(read_image(source)), self._modality)
        return int(np.count_nonzero(seen))


def _measured(outcome: Outcome, made: str, views: FieldsOfView) -> Row:
    areas: list[ClassArea] = []
    source = outcome.task.source
    if outcome.state in ("written", "skipped"):
        try:
            seen = views.pixels(source)
        except LocalDiscError:
            seen = None  # the image is gone since its files were made
        areas = [
            replace(area, made=made, of_view=100 * area.pixels / seen if seen else None)
            for area in areas_in(outcome.task.outputs[0], source.name)
        ]
    return Row(outcome, tuple(areas), made)
