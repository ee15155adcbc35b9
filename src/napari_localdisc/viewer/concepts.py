"""Concepts in a viewer: saved from what was done, applied to images."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from psygnal import Signal

from napari_localdisc.annotation.sources import (
    Prompts,
    class_written,
    prompts_written,
)
from napari_localdisc.annotation.state import AnnotationClass
from napari_localdisc.core.colours import colour_rows
from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.layers.files import CLASSES, IMAGE
from napari_localdisc.layers.ours import Look
from napari_localdisc.layers.plane import displayed_plane

from .controller import Controller
from .embeddings import Embedded
from .shown import Place

if TYPE_CHECKING:
    from napari_localdisc.core.learning.concept import Concept

    from .session.session import Sessions


class Concepts:
    """Saves and applies concepts in a controller's viewer.

    Parameters
    ----------
    controller : Controller
        Of the viewer.
    sessions : Sessions
        Runs work on files.
    """

    saved = Signal(object)
    """A concept was saved to this path."""
    applied = Signal(object)
    """A concept was applied to an image; the new Labels layer."""

    def __init__(self, controller: Controller, sessions: Sessions) -> None:
        self._controller = controller
        self._workspace = controller.workspace
        self._sessions = sessions

    # Saving

    @property
    def kinds(self) -> tuple[str, ...]:
        """What of the image can be saved now: ``prompts``, ``classifier``."""
        kinds = []
        if self._source() is not None:
            kinds.append("prompts")
        if self._controller.strokes.learned is not None:
            kinds.append("classifier")
        return tuple(kinds)

    @property
    def prompts_class(self) -> AnnotationClass | None:
        """The class of the prompts that `save_prompts` saves; None: a new one."""
        place, entries = (
            self._workspace.place_or_none(),
            self._controller.classes.entries,
        )
        if place is None:
            return None
        if any(prompt.positive for prompt in place.state.annotation.prompts):
            return self._controller.mask.destination.entry
        value = class_written(place.document.history.log, place.plane.index)
        return next((entry for entry in entries if entry.value == value), None)

    @property
    def prompts_name(self) -> str:
        """What the prompts are: the name of their class; empty if it has none."""
        entry = self.prompts_class
        return self._controller.mask.destination.name if entry is None else entry.name

    def _source(self) -> Prompts | None:
        """Return the prompts of the plane; those added to the labels last."""
        place = self._workspace.place_or_none()
        if place is None:
            return None
        annotation, mask = place.state.annotation, place.shown.mask
        threshold = mask.threshold if mask is not None else None
        options = replace(annotation.options, threshold=threshold)
        source = Prompts.of(annotation.prompts, options)
        if source.is_positive:
            return source
        return prompts_written(place.document.history.log, place.plane.index)

    def save_prompts(self, name: str, path: str | Path) -> None:
        """Save what the prompts on the image mean, with the mask's options.

        Where there are none, those whose mask was added to the labels last count.

        Parameters
        ----------
        name : str
            What it is.
        path : str or Path
            Its name gets the ending ``.concept.safetensors`` unless it has it.
        """
        from napari_localdisc.core.learning.concept import Concept

        controller = self._controller
        source, chosen = self._source(), self.prompts_class
        with controller.reporting():
            if source is None:
                raise PromptError(
                    "Click on what the concept is first: “Find similar”, then save it."
                )
            colour = {"colour": chosen.colour} if chosen is not None else {}

            def save(place: Place, known: Embedded) -> None:
                concept = Concept.from_prompts(
                    name,
                    known.embedding,
                    source.positive,
                    source.negative,
                    threshold=source.threshold,
                    smooth=source.smooth,
                    minimum_size=source.minimum_size,
                    frames=source.frames,
                    negative_frames=source.negative_frames,
                    **colour,
                )
                self._write(concept, path)

            self._workspace.do("concept", save)

    @property
    def point(self) -> tuple[float, float] | None:
        """The one click on the image, which may be kept as a landmark."""
        place = self._workspace.place_or_none()
        prompts = place.state.annotation.prompts if place is not None else ()
        if len(prompts) != 1 or not prompts[0].positive or prompts[0].frame:
            return None
        return prompts[0].row, prompts[0].column

    def save_point(self, name: str, path: str | Path) -> None:
        """Save where the one click on the image is, to find that place in others.

        Parameters
        ----------
        name, path
            As for `save_prompts`.
        """
        from napari_localdisc.core.learning.concept import Concept
        from napari_localdisc.core.learning.landmark import landmark

        controller, point, chosen = self._controller, self.point, self.prompts_class
        with controller.reporting():
            if point is None:
                raise PromptError(
                    "A landmark is one place: leave one click (+) on the image, then "
                    "save it."
                )
            colour = {"colour": chosen.colour} if chosen is not None else {}

            def save(place: Place, known: Embedded) -> None:
                mark = landmark(known.embedding, point)
                self._write(Concept.from_landmark(name, mark, **colour), path)

            self._workspace.do("concept", save)

    def save_classes(self, name: str, path: str | Path) -> None:
        """Save the classes that were learned from strokes.

        Parameters
        ----------
        name, path
            As for `save_prompts`.
        """
        from napari_localdisc.core.learning.concept import Concept, ConceptClass

        controller = self._controller
        learned = controller.strokes.learned
        with controller.reporting():
            if learned is None:
                raise PromptError(
                    "Paint a few pixels of at least two classes first, then save what "
                    "was learned from them."
                )
            classes = [
                ConceptClass(entry.value, entry.name, entry.colour, entry.background)
                for entry in controller.classes.entries
            ]
            concept = Concept.from_classifier(name, learned.classifier, classes)
            self._write(concept, path)

    def _write(self, concept: Concept, path: str | Path) -> None:
        def done(written: Path) -> None:
            self._workspace.status.say(
                f"The concept “{concept.name}” is saved in {written}."
            )
            self.saved.emit(written)

        self._sessions.run(lambda: concept.save(path), done, must_finish=True)

    # Applying

    def apply_file(self, path: str | Path, to_all: bool = False) -> None:
        """Find a concept that was saved, in the chosen image or in all that are open.

        Parameters
        ----------
        path : str or Path
            Its file.
        to_all : bool
            All open images; of a stack the slice that is shown.
        """
        # Those of now: another one may be chosen when the file has been read
        chosen, images = self._workspace.images.current, self._workspace.images.images
        images = images if to_all else [chosen] if chosen else []
        wanted = [weakref.ref(image) for image in images]

        def work() -> Concept:
            from napari_localdisc.core.learning.concept import load_concept

            return load_concept(path)

        def done(concept: Concept) -> None:
            self.apply(concept, [each for image in wanted if (each := image())])

        self._sessions.run(work, done)

    def apply(self, concept: Concept, images: Iterable[Image]) -> None:
        """Find a concept in images; each gets a new Labels layer.

        Parameters
        ----------
        concept : Concept
            What to find.
        images : iterable of Image
            Layers of the viewer.
        """
        waiting = [weakref.ref(image) for image in images]
        with self._controller.reporting():
            if not waiting:
                raise PromptError("There is no image to find the concept in: open one.")
            self._next(concept, waiting, 0, len(waiting))

    def _next(
        self, concept: Concept, waiting: list[weakref.ref[Image]], done: int, total: int
    ) -> None:
        """Go on with the next image; cancelling the work ends the row."""
        workspace = self._workspace
        while waiting:
            image = waiting.pop(0)()
            if image is None or image not in workspace.viewer.layers:
                continue

            def show(place: Place, known: Embedded) -> None:
                self._show(concept, place, known)
                self._next(concept, waiting, done + 1, total)

            try:
                plane = displayed_plane(image, workspace.viewer.dims)
                workspace.request(workspace.place_on(image, plane), "concept", show)
            except LocalDiscError as error:
                workspace.report(error)
                continue
            return
        noun = "image" if total == 1 else "images"
        workspace.status.say(f"“{concept.name}” was looked for in {done} {noun}.")

    def _show(self, concept: Concept, place: Place, known: Embedded) -> None:
        shown = [entry for entry in concept.classes if not entry.background]
        colours = colour_rows({entry.value: entry.colour for entry in shown})
        metadata = {
            "concept": concept.name,
            **known.provenance(),
            CLASSES: {entry.value: entry.name for entry in shown},
            IMAGE: place.layer.name,
        }
        what = f"concept {concept.name}"
        place.shown.forget(what)  # a layer of its own each time
        labels, look = concept.labels(known.embedding), Look(colours, selects=True)
        layer = place.show(what, labels, look, metadata, name=concept.name)
        self.applied.emit(layer)
