"""A study worked through in napari: what the dock “Study” is a skin on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from psygnal import Signal

from napari_localdisc.core.errors import FileError, LocalDiscError
from napari_localdisc.core.files import given_path
from napari_localdisc.core.work import Steps
from napari_localdisc.io.study import (
    About,
    ConflictError,
    Masks,
    State,
    Study,
    StudyImage,
    default_grader,
    is_study,
    matching_structures,
)
from napari_localdisc.layers.plane import METADATA_KEY
from napari_localdisc.layers.structures import (
    show_instead,
    structure_layers,
    structure_values,
    structures_in,
)
from napari_localdisc.viewer.chosen import ModelChoice, labels_wanted
from napari_localdisc.viewer.embeddings import ModelShelf
from napari_localdisc.viewer.keys import KeyBindings
from napari_localdisc.viewer.status import Status
from napari_localdisc.viewer.work import (
    Pacer,
    Runner,
    Slot,
    disconnect_all,
    raise_error,
    reporting,
)

from .ahead import Ahead, Ready
from .correcting import Correcting
from .listing import StudyList
from .results import StudyResults
from .stopwatch import Stopwatch

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

AHEAD, BEHIND = 2, 1
"""Images that are made ready before they are asked for, and kept after."""

SAVE_SOON = 1000
"""Milliseconds after an edit until it is in the study's file."""


class StudyControl:
    """One study, one grader, and the image that is worked on.

    Parameters
    ----------
    viewer : ViewerModel
        Where images are shown.
    runner, report, pacer
        As of `Workspace`.

    Attributes
    ----------
    work : Slot
        What the grader waits for: opening, tables, agreement.
    ahead : Ahead
        What is made ready meanwhile.
    list : StudyList
        The study's images.
    results : StudyResults
        Its table, and agreement with others.
    status : Status
        What was done.
    models : ModelChoice
        For new studies.
    study : Study or None
        The one that is open.
    grader : str
        Who works.
    current : StudyImage or None
        The image that is shown.
    layers : dict
        Its Labels layers, by structure.
    correcting : Correcting
        Clicks that correct what is proposed.
    """

    opened = Signal()
    """Another study, or another grader of it, is open."""
    changed = Signal(object)
    """A `StudyImage` has another state, note or proposal."""
    shown = Signal()
    """Another image is shown."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
        pacer: Pacer | None = None,
    ) -> None:
        self.viewer = viewer
        self._report = report
        self._pacer = pacer or Pacer()
        runner = runner or Runner()
        self.work = Slot(runner, report)
        self._shelf = ModelShelf()
        self.ahead = Ahead(runner, report, self._shelf, lambda: self.work.is_busy)
        self.status = Status()
        self.status.say("Open a study, or begin one of a folder of images.")
        self.models = ModelChoice()
        self.study: Study | None = None
        self.grader = default_grader()
        self.current: StudyImage | None = None
        self.layers: dict[str, Labels] = {}
        self.list = StudyList()
        self.results = StudyResults(self)
        self._image: Image | None = None
        self._saved: Masks = {}
        self._watch = Stopwatch()
        self._is_closed = False
        self._conflict: ConflictError | None = None
        self._complained = ""
        self.correcting = Correcting(viewer, runner, report, self)
        self.keys = KeyBindings(
            viewer,
            {
                "correct by clicks": self.correcting.toggle,
                "next image": self.next,
                "previous image": self.previous,
                "accept image": self.accept,
                "reject image": self.reject,
            },
        )
        self.list.changed.connect(self._prepare)
        self.ahead.proposed.connect(self._on_proposed)
        self.ahead.taught.connect(self._on_taught)
        viewer.mouse_move_callbacks.append(self._on_mouse)
        viewer.layers.selection.events.active.connect(self._on_selected)

    def close(self) -> None:
        """Save, stop all work and tell nobody any more; layers stay."""
        if self._is_closed:
            return
        with self.reporting():
            self.save()
        self._is_closed = True
        self.correcting.close()
        self.keys.unbind()
        self._pacer.stop()
        if self._on_mouse in self.viewer.mouse_move_callbacks:
            self.viewer.mouse_move_callbacks.remove(self._on_mouse)
        self.viewer.layers.selection.events.active.disconnect(self._on_selected)
        self._follow_edits(on=False)
        self.ahead.close()
        disconnect_all(self, self.work, self.status, self.list, self.results)
        self.work.cancel()

    @property
    def image(self) -> Image | None:
        """The layer of the image that is shown."""
        return self._image

    @property
    def structure(self) -> str | None:
        """The structure that is worked on: the selected layer's, else the first."""
        active = self.viewer.layers.selection.active
        for name, layer in self.layers.items():
            if layer is active:
                return name
        return next(iter(self.layers), None)

    def look(self, number: int) -> Embedding:
        """Return an image's embedding with what was taught; takes long, in a worker."""
        return self.ahead.embedding(number)

    def reporting(self) -> Any:
        """Report what the user can put right; let everything else through."""
        return reporting(self._report)

    # The study

    def open(self, path: str | Path, grader: str = "") -> None:
        """Open a study, at the image where its grader was.

        Parameters
        ----------
        path : str or Path
            Its file, or the folder that it is in.
        grader : str
            Who works; by default who did before.
        """
        with self.reporting():
            if not str(path).strip():
                raise FileError("Choose the study's file or folder first.")
            self.save()
            study = Study(str(path).strip())
            self._leave()
            self.study = study
            self.grader = grader.strip() or self.grader
            self.ahead.follow(study, self.grader)
            self.list.fill(study.images(self.grader))
            self.opened.emit()
            self.list.changed.emit()
            number = study.current(self.grader)
            images = self.list.images
            if number is not None and number in self.list:
                self.show(number)
            elif images:
                self.show(images[0].id)
            else:
                self.status.say("The study has no image.")

    def begin(
        self, folder: str | Path, structures: Sequence[str], grader: str = ""
    ) -> None:
        """Begin a study of a folder's images, or open the one that is there.

        Parameters
        ----------
        folder : str or Path
            Of the images; the study's file goes there.
        structures : sequence of str
            What to annotate; none: what the model knows.
        grader : str
            Who works.
        """
        with self.reporting():
            if not str(folder).strip():
                raise FileError("Choose the folder of images first.")
            place = given_path(str(folder).strip())
            if is_study(place):
                self.open(place, grader)
                return
            file = self.models.file
            known = self.models.structures
            wanted = matching_structures(known, structures or self.models.named)
            if not wanted:
                raise FileError("Say which structures to annotate.")

            def work() -> Steps[Study]:
                """Find the images and make the file."""
                yield 0, 0
                from napari_localdisc.core.image.files import find_images

                model = self._shelf.load(file)
                yield 0, 0
                is_fundus = model.card.modality == "fundus"
                about = About(
                    model=self.models.name or "",
                    model_hash=model.hash,
                    kind="fundus" if is_fundus else "chest",
                    structures=tuple(wanted),
                )
                return Study.create(place, find_images([place]), about)

            self.status.say("Looking for images…")
            self.work.run(work, lambda study: self.open(study.path, grader))

    def set_learns(self, learns: bool) -> None:
        """Let accepted masks sharpen later proposals, or not."""
        if self.study is None or self.study.about.learns == learns:
            return
        with self.reporting():
            self.ahead.set_learns(learns)
            self._on_taught()

    def thumbnails(self) -> dict[int, bytes]:
        """Return the small pictures that there are, as PNG, by image."""
        return {} if self.study is None else self.study.thumbnails()

    # Moving on

    def next(self) -> None:
        """Show the image that follows in the list."""
        self._step(1)

    def previous(self) -> None:
        """Show the image before this one in the list."""
        self._step(-1)

    def accept(self) -> None:
        """Accept what is drawn and go on; it teaches what is proposed later."""
        self._decide("accepted")

    def reject(self) -> None:
        """Leave the image out of the study and go on."""
        self._decide("rejected")

    def reopen(self) -> None:
        """Take accept or reject back."""
        if self.current is not None and self.study is not None:
            graded = self.study.is_graded(self.current.id, self.grader)
            self._set_state("corrected" if graded else "proposed")
            self.ahead.teach(self.current.id, False)

    def set_note(self, note: str) -> None:
        """Write a note about the image."""
        if self.current is not None and note != self.current.note:
            self.current = replace(self.current, note=note)
            with self.reporting():
                self.save(always=True)

    def _decide(self, state: State) -> None:
        if self.current is None or self.work.is_busy:
            return
        following = self.list.neighbours(self.current, 1)
        number = self.current.id
        if not self._set_state(state):
            return
        self.ahead.teach(number, state == "accepted")
        said = f"{self.current.name} is {state}."
        if following:
            self.show(following[0])
            self.status.say(f"{said} {self.list.progress}.")
        else:
            self.status.say(
                f"{said} It was the last of the list: {self.list.progress}."
            )

    def _set_state(self, state: State) -> bool:
        assert self.current is not None
        before = self.current
        self.current = replace(self.current, state=state)
        try:
            self.save(always=True)
        except LocalDiscError as error:
            self.current = before
            self._report(error)
            return False
        return True

    def _step(self, by: int) -> None:
        neighbours = self.list.neighbours(self.current, by)
        if neighbours:
            self.show(neighbours[0])
        elif self.study is not None:
            self.status.say("There is no image further on in the list.")

    def show(self, number: int) -> None:
        """Show an image of the study in place of the one that is shown.

        At once where it is ready; else when it was read and looked at.
        """
        study = self.study
        if study is None or (self.current is not None and self.current.id == number):
            return
        with self.reporting():
            self.save()
            study.set_current(self.grader, number)
            if self._conflict is not None and self.current is not None:
                self.ahead.forget([self.current.id])
            ready = self.ahead.get(number)
            if ready is not None:
                self.work.cancel()
                self._show(number, ready)
                return
            self.ahead.work.cancel()
            name = self.list[number].name
            self.status.say(f"Opening {name}…")
            self.work.run(
                lambda: self.ahead.make(number),
                lambda made: self._on_ready(number, made),
            )

    def _on_ready(self, number: int, ready: Ready) -> None:
        self.ahead.put(number, ready)
        self._show(number, ready)

    def _show(self, number: int, ready: Ready) -> None:
        study = self.study
        assert study is not None
        image, shown = study.image(number, self.grader), self._image
        picture = ready.picture
        # A copy: brushes paint in place, and the image may be shown again
        labels = {name: data.copy() for name, data in ready.labels.items()}
        is_colour = picture.ndim == 3 and picture.shape[-1] in (3, 4)
        before = None if shown is None else shown.data.shape[:2]
        self.current = None  # nothing is saved in between
        self.correcting.forget()
        if shown is not None and shown.rgb == is_colour and self._fits(shown, labels):
            self._remove(self._made_of_it())
            show_instead(shown, self.layers, picture, labels, ready.placement)
            shown.name = image.name
        else:
            self._leave()
            shown = Image(picture, name=image.name, rgb=is_colour, **ready.placement)
            self._image = shown
            self.viewer.add_layer(shown)
            values = structure_values(list(labels))
            self.layers = structure_layers(shown, labels, values)
            for layer in self.layers.values():
                self.viewer.add_layer(layer)
            self._follow_edits()
            if self.layers:
                self.viewer.layers.selection.active = next(iter(self.layers.values()))
        if before != picture.shape[:2]:
            self.viewer.reset_view()
        self.current = image
        self.list.put(image)
        self._saved, self._conflict = ready.masks, None
        self._watch.restart()
        self.status.say(
            f"{self.current.name}: {self.current.state}. {self.list.progress}."
        )
        self.shown.emit()
        self._prepare()

    def _fits(self, shown: Image, labels: Masks | dict[str, Any]) -> bool:
        """Whether the layers that are there can show another image."""
        there = [shown, *self.layers.values()]
        return list(self.layers) == list(labels) and all(
            layer in self.viewer.layers for layer in there
        )

    def _made_of_it(self) -> list[Layer]:
        """Clusters, prompts, masks: what was made of the image that is shown."""
        own = self.layers.values()
        return [
            layer
            for layer in self.viewer.layers
            if METADATA_KEY in layer.metadata and layer not in own
        ]

    def _remove(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def _leave(self) -> None:
        """Take the layers of the image that was shown away."""
        self._follow_edits(on=False)
        if self._image is not None:
            self._remove([*self._made_of_it(), *self.layers.values(), self._image])
        self._image, self.current, self.layers, self._saved = None, None, {}, {}
        self._conflict = None

    # Saving

    def masks(self) -> Masks:
        """Return what is drawn now, by structure."""
        if self._image is None:
            return {}
        values = structure_values(list(self.layers))
        labels = [layer for layer in self.viewer.layers if isinstance(layer, Labels)]
        return structures_in(labels, self.layers, values, self._image)

    def save(self, always: bool = False) -> None:
        """Keep what was drawn, if it is new; always: also a state, a note, the time.

        Raises
        ------
        FileError
            If the study's file cannot be written, or another window has been there.
        """
        study, image = self.study, self.current
        if study is None or image is None or self._is_closed:
            return
        if self._conflict is not None:
            if always:
                raise self._conflict
            return  # it was said
        self._watch.touch()
        drawn = self.masks()
        is_new = any(
            name not in self._saved or not np.array_equal(mask, self._saved[name])
            for name, mask in drawn.items()
        )
        decided = image.state in ("accepted", "rejected")
        if is_new and not decided:
            image = replace(image, state="corrected")
        seconds = self._watch.seconds
        if not (is_new or always or seconds >= 1):
            return
        image = replace(image, seconds=image.seconds + seconds)
        keeps = is_new or image.state == "accepted"
        try:
            self.current = study.save(image, self.grader, drawn if keeps else None)
        except ConflictError as error:
            self._conflict = error
            raise
        self._watch.seconds = 0.0
        self.list.put(self.current)
        if keeps:
            self._saved = drawn
            self.ahead.put_masks(image.id, drawn)
            if is_new and image.state == "accepted":
                self.ahead.teach(image.id, True)
        self.changed.emit(self.current)

    def save_soon(self, event: Any = None) -> None:
        """Save a little later: a hand goes on painting."""
        self._pacer.soon("save the study", SAVE_SOON, self._save_now)

    def _save_now(self) -> None:
        try:
            self.save()
            self._complained = ""
        except LocalDiscError as error:
            if str(error) != self._complained:  # it is tried again and again
                self._complained = str(error)
                self._report(error)

    def _follow_edits(self, on: bool = True) -> None:
        for layer in self.layers.values():
            for event in (layer.events.paint, layer.events.data):
                (event.connect if on else event.disconnect)(self.save_soon)

    def _on_mouse(self, viewer: Any, event: Any) -> None:
        self._watch.touch()

    def _on_selected(self, event: Any) -> None:
        """Let the other dock write where the hand works."""
        if self._image is not None and event.value in self.layers.values():
            labels_wanted.emit(self.viewer, self._image, event.value)

    # What is made ready

    def _prepare(self) -> None:
        if self.study is None or self.current is None or self._is_closed:
            return
        after, before = (self.list.neighbours(self.current, by) for by in (1, -1))
        self.ahead.prepare(self.current.id, [*after[:AHEAD], *before[:BEHIND]])

    def _on_proposed(self, image: StudyImage) -> None:
        self.list.put(image)
        self.changed.emit(image)

    def _on_taught(self) -> None:
        """Propose anew where nobody has worked: proposals are others."""
        self.ahead.forget(
            image.id
            for image in self.list.every
            if image.state in ("new", "proposed")
            and (self.current is None or image.id != self.current.id)
        )
        self._prepare()

    def cancel(self) -> None:
        """Stop what the grader waits for."""
        if self.work.cancel():
            self.status.say("Stopped; what was saved stays.")
