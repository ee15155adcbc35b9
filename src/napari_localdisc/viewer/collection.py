"""A collection searched from napari: what the collection panel is a skin on."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.annotation.state import Prompt
from napari_localdisc.batch.collecting import (
    IndexRecipe,
    collection_path,
    in_order,
    join_index,
    plan_index,
)
from napari_localdisc.batch.tasks import Job, Outcome, count_states
from napari_localdisc.core.errors import FileError, LocalDiscError, PromptError
from napari_localdisc.core.work import Steps
from napari_localdisc.io.collection import Collection, Found, open_collection
from napari_localdisc.layers.plane import displayed_plane, show_point

from .controller import Controller
from .embeddings import Embedded
from .shown import Place
from .status import Status, working_on_folder
from .work import Runner, Slot, disconnect_all, raise_error, reporting

if TYPE_CHECKING:
    from napari.components import ViewerModel

NUMBER = 24
"""Regions that are shown."""


class CollectionControl:
    """Makes a folder searchable, and finds in it what was clicked on an image.

    Parameters
    ----------
    viewer : ViewerModel
        Where images are opened.
    controller : callable
        Returns the viewer's controller, whose prompts are looked for.
    runner, report
        As of `Workspace`.

    Attributes
    ----------
    work : Slot
        Indexing, searching, or reading an image.
    status : Status
        What was done and what to do next.
    collection : Collection or None
        The one that was opened last.
    found : tuple of Found
        What was found last.
    others : bool
        Whether the image that is asked about is left out.
    """

    found_changed = Signal()
    collection_changed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        controller: Callable[[], Controller],
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
    ) -> None:
        self.viewer = viewer
        self._controller = controller
        self._report = report
        self.work = Slot(runner or Runner(), report)
        self.status = Status()
        self.status.say("Choose a folder of images, and make it searchable.")
        self.collection: Collection | None = None
        self.found: tuple[Found, ...] = ()
        self.others = False
        self._layers: weakref.WeakValueDictionary[Path, Image]
        self._layers = weakref.WeakValueDictionary()

    def close(self) -> None:
        """Stop all work and tell nobody any more."""
        disconnect_all(self, self.work, self.status)
        self.cancel()

    def cancel(self) -> None:
        """Stop; images that were looked at need not be again."""
        self.work.cancel()

    # Making a collection

    def choose(self, folder: str) -> None:
        """Open the collection of a folder, if it has one."""
        self.work.cancel()
        self.collection = None
        self._show(())
        text = "Choose a folder of images, and make it searchable."
        if folder.strip():
            try:
                self.collection = open_collection(folder.strip())
            except LocalDiscError:
                text = "Make the folder searchable first: a second or two an image."
            else:
                text = self._ready()
        self.status.say(text)
        self.collection_changed.emit()

    def _ready(self) -> str:
        assert self.collection is not None
        images, regions = len(self.collection.images), len(self.collection)
        return (
            f"{images} images, {regions:,} regions. Click on something in an image "
            "(“Find similar”), then find it in all."
        )

    def index(self, folder: str) -> None:
        """Make a folder searchable, or look at what is new or changed in it."""
        with reporting(self._report):
            if not folder.strip():
                raise FileError("Choose the folder of images first.")
            path = collection_path([folder.strip()], None)
            file = self._controller().workspace.models.file
            failed: list[Outcome] = []

            def work() -> Steps[tuple[Collection, str]]:
                yield 0, 0
                from napari_localdisc.batch.run import run_tasks
                from napari_localdisc.core.embedding.patches import CELL
                from napari_localdisc.core.image.files import find_images
                from napari_localdisc.core.model.model import load_model

                sources = find_images([folder.strip()])
                model = load_model(file.path)
                job = Job(IndexRecipe(CELL), str(file.path), model.hash)
                tasks = plan_index(sources, path, job, model.card.name)
                yield 0, len(tasks)
                outcomes: list[Outcome] = []
                running = run_tasks(tasks, job, model=model, spare_cores=1)
                with closing(running):
                    for outcome in running:
                        if outcome is not None:
                            outcomes.append(outcome)
                        yield len(outcomes), len(tasks)
                failed.extend(each for each in outcomes if each.state == "failed")
                said = count_states(outcomes)
                return join_index(tasks, in_order(outcomes, tasks), path), said

            def done(made: tuple[Collection, str]) -> None:
                self.collection, said = made
                self._show(())
                trouble = f" {failed[0].reason}" if failed else ""
                self.status.say(f"{said}: {self._ready()}{trouble}")
                self.collection_changed.emit()

            self.status.say("Getting ready…")
            self.work.run(
                work,
                done,
                failed=self._on_error,
                dropped=lambda: self.status.say("Stopped; it goes on from there."),
                progressed=self._on_progress,
            )

    def _on_progress(self, done: int, total: int) -> None:
        if total:
            self.status.say(working_on_folder(done, total))

    def _on_error(self, error: Exception) -> None:
        self.status.say("Stopped by an error.")
        self._report(error)

    # Searching

    def find(self) -> None:
        """Find what the prompts of the image that is worked on are on."""
        controller, collection = self._controller(), self.collection
        with reporting(self._report):
            if collection is None:
                raise FileError("Choose a folder, and make it searchable first.")
            prompts = controller.prompts.points
            if not any(prompt.positive for prompt in prompts):
                raise PromptError(
                    "Click on what is to be found first: “Find similar” in the main "
                    "panel, then a click on the image."
                )
            kinds = [
                [(p.row, p.column) for p in prompts if p.positive is positive]
                for positive in (True, False)
            ]

            def search(place: Place, known: Embedded) -> None:
                with reporting(self._report):
                    collection.check(known.model.card.name, known.model.hash)
                    likes, dislikes = map(known.embedding.vectors_at, kinds)
                    source = self._path_of(place.layer) if self.others else None
                    self._search(collection, likes, dislikes, source)

            controller.workspace.do("collection", search)

    def _search(
        self,
        collection: Collection,
        likes: NDArray[Any],
        dislikes: NDArray[Any],
        without: Path | None,
    ) -> None:
        def work() -> Steps[list[Found]]:
            yield 0, 0
            return collection.search(likes, dislikes, number=NUMBER, without=without)

        def done(found: list[Found]) -> None:
            self._show(tuple(found))
            images = len({one.path for one in found})
            self.status.say(
                f"The {len(found)} most similar regions, in {images} images; a click "
                "opens the image there."
            )

        self.work.run(work, done)

    def _show(self, found: tuple[Found, ...]) -> None:
        self.found = found
        self.found_changed.emit()

    def _path_of(self, layer: Image) -> Path | None:
        """Return the file that a layer shows, as far as that is known."""
        for path, opened in self._layers.items():
            if opened is layer:
                return path
        source = layer.source.path
        return None if source is None else Path(source).resolve()

    # What was found

    def open(self, found: Found) -> None:
        """Show an image at what was found in it, which becomes its prompt."""
        path = found.path.resolve()
        for layer in self._controller().workspace.images.images:
            if self._path_of(layer) == path and layer.ndim == 2:
                self._prompt(layer, found)
                return

        def work() -> Steps[NDArray[Any]]:
            yield 0, 0
            from napari_localdisc.core.image.files import read_image

            return read_image(found.path)

        def add(pixels: NDArray[Any]) -> None:
            is_colour = pixels.ndim == 3
            layer = Image(pixels, name=found.path.stem, rgb=is_colour)
            self._layers[path] = layer
            self.viewer.add_layer(layer)
            self._prompt(layer, found)

        self.status.say(f"Opening {found.path.name}…")
        self.work.run(work, add, failed=self._on_error)

    def _prompt(self, layer: Image, found: Found) -> None:
        controller = self._controller()
        layer.visible = True
        controller.workspace.images.choose(layer)
        self.viewer.layers.selection.active = layer
        with reporting(self._report):
            plane = displayed_plane(layer, self.viewer.dims)
            show_point(self.viewer, layer, plane, found.point)
            controller.prompts.set(
                [Prompt(*found.point, True)], "look at what was found"
            )
        row, column = found.point
        self.status.say(
            f"{found.path.name}, row {row:.0f}, column {column:.0f}: similarity "
            f"{found.similarity:.2f}."
        )
