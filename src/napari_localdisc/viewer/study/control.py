"""A study worked through in napari: what the dock “Study” is a skin on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.batch.comparing import Comparison, StudySide, compare_steps
from napari_localdisc.batch.studying import (
    MeasureStudyRecipe,
    ProposeRecipe,
    embedded,
    is_study_table,
    join_study,
    plan_study,
    read_picture,
    teach,
)
from napari_localdisc.batch.tasks import Job, run_task
from napari_localdisc.core.errors import FileError, LocalDiscError
from napari_localdisc.core.files import check_replaceable, given_path
from napari_localdisc.core.model.card import ModelFile
from napari_localdisc.core.work import Steps, torch_threads
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
from napari_localdisc.viewer.preferences import preferred_cache
from napari_localdisc.viewer.status import Status
from napari_localdisc.viewer.work import (
    Pacer,
    Runner,
    Slot,
    disconnect_all,
    raise_error,
    reporting,
)

from .correcting import Correcting

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

AHEAD, BEHIND = 2, 1
"""Images that are made ready before they are asked for, and kept after."""

IDLE = 60.0
"""Seconds without a hand's doing that still count as work on an image."""

SAVE_SOON = 1000
"""Milliseconds after an edit until it is in the study's file."""

ORDERS: dict[str, Callable[[StudyImage], Any]] = {
    "as added": lambda image: image.id,
    "by name": lambda image: image.name.lower(),
    "by patient, eye, visit": lambda image: (*image.origin, image.name),
    "least certain first": lambda image: (
        image.certainty is None,
        image.certainty or 0.0,
    ),
    "longest worked on first": lambda image: -image.seconds,
}
"""What a list of images may be sorted by."""

EVERY = "all"


@dataclass(frozen=True, eq=False)
class Ready:
    """An image that can be shown at once.

    Attributes
    ----------
    picture : ndarray
        As `read_image` gives it.
    placement : dict
        Where it lies.
    masks : dict
        (H, W) bool by structure: the grader's, or the proposal.
    labels : dict
        (H, W) uint8 of the same, with the structures' values.
    """

    picture: NDArray[Any]
    placement: dict[str, Any]
    masks: Masks
    labels: dict[str, NDArray[np.uint8]]


class Stopwatch:
    """Counts the time that somebody works: what is between two doings of a hand.

    Parameters
    ----------
    now : callable
        Returns seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last = now()
        self.seconds = 0.0

    def restart(self) -> None:
        """Count from now on."""
        self._last, self.seconds = self._now(), 0.0

    def touch(self) -> None:
        """Count what has passed, at most `IDLE`."""
        now = self._now()
        self.seconds += min(now - self._last, IDLE)
        self._last = now


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
    ahead : Slot
        What is made ready meanwhile.
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
    listed = Signal()
    """Other images are listed, or in another order."""
    changed = Signal(object)
    """A `StudyImage` has another state, note or proposal."""
    shown = Signal()
    """Another image is shown."""
    compared = Signal(object)
    """A `Comparison`."""

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
        self.ahead = Slot(runner, report)
        self._teaching = Slot(runner, report)
        self.status = Status()
        self.status.say("Open a study, or begin one of a folder of images.")
        self.models = ModelChoice()
        self.study: Study | None = None
        self.grader = default_grader()
        self.current: StudyImage | None = None
        self.layers: dict[str, Labels] = {}
        self.state_filter: str = EVERY
        self.order = next(iter(ORDERS))
        self._image: Image | None = None
        self._saved: Masks = {}
        self._images: dict[int, StudyImage] = {}
        self._ready: dict[int, Ready] = {}
        self._shelf = ModelShelf()
        self._recipe: ProposeRecipe | None = None
        self._to_teach: list[tuple[int, bool]] = []
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
        disconnect_all(self, self.work, self.ahead, self._teaching, self.status)
        for slot in (self.work, self.ahead, self._teaching):
            slot.cancel()

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
        assert self.study is not None
        study = self.study
        recipe = self._recipe_of(study)
        model = self._shelf.load(ModelFile.of(study.about.model))
        picture = read_picture(study.image(number, self.grader).path)
        return embedded(picture, model, recipe.banks, preferred_cache())

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
            self._ready.clear()
            self._recipe = None
            self._to_teach.clear()
            self._images = {image.id: image for image in study.images(self.grader)}
            self.opened.emit()
            self.listed.emit()
            number = study.current(self.grader)
            images = self.images
            if number in self._images:
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
            self.study.set_learns(learns)
            self._recipe = None
            self._forget_ahead()
            self._prepare()

    # The list

    @property
    def images(self) -> list[StudyImage]:
        """The images that are listed, in their order."""
        wanted = (EVERY, self.state_filter)
        found = [
            image
            for image in self._images.values()
            if EVERY in wanted[1:] or image.state == self.state_filter
        ]
        return sorted(found, key=ORDERS[self.order])

    def count(self, *states: State) -> int:
        """Return how many images are in one of these states; all without any."""
        return sum(
            not states or image.state in states for image in self._images.values()
        )

    @property
    def progress(self) -> str:
        """How far the study is, and how long an image takes, in a line."""
        done = self.count("accepted", "rejected")
        worked = [image.seconds for image in self._images.values() if image.seconds]
        pace = f", {np.mean(worked):.0f} s an image" if worked else ""
        return f"{done} of {self.count()} images done{pace}"

    def list_only(self, state: str) -> None:
        """List the images in a state, or all."""
        self.state_filter = state
        self.listed.emit()
        self._prepare()

    def sort(self, order: str) -> None:
        """Sort the list; see `ORDERS`."""
        self.order = order
        self.listed.emit()
        self._prepare()

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
            self._teach(self.current.id, False)

    def set_note(self, note: str) -> None:
        """Write a note about the image."""
        if self.current is not None and note != self.current.note:
            self.current = replace(self.current, note=note)
            with self.reporting():
                self.save(always=True)

    def _decide(self, state: State) -> None:
        if self.current is None or self.work.is_busy:
            return
        following = self._neighbours(1)
        number = self.current.id
        if not self._set_state(state):
            return
        self._teach(number, state == "accepted")
        said = f"{self.current.name} is {state}."
        if following:
            self.show(following[0])
            self.status.say(f"{said} {self.progress}.")
        else:
            self.status.say(f"{said} It was the last of the list: {self.progress}.")

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
        neighbours = self._neighbours(by)
        if neighbours:
            self.show(neighbours[0])
        elif self.study is not None:
            self.status.say("There is no image further on in the list.")

    def _neighbours(self, by: int) -> list[int]:
        """Return the images after the current one in the list, or before it."""
        numbers = [image.id for image in self.images]
        if self.current is None:
            return numbers
        if self.current.id not in numbers:  # another state is listed
            key = ORDERS[self.order]
            every = sorted(self._images.values(), key=key)
            place = [image.id for image in every].index(self.current.id)
            numbers = [
                image.id
                for at, image in enumerate(every)
                if image.id in numbers and (at - place) * by > 0
            ]
            return numbers if by > 0 else numbers[::-1]
        at = numbers.index(self.current.id)
        return numbers[at + 1 :] if by > 0 else numbers[:at][::-1]

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
                self._ready.pop(self.current.id, None)
            ready = self._ready.get(number)
            if ready is not None:
                self.work.cancel()
                self._show(number, ready)
                return
            self.ahead.cancel()
            name = self._images[number].name
            self.status.say(f"Opening {name}…")
            self.work.run(
                lambda: self._make_ready(study, number),
                lambda made: self._on_ready(number, made),
            )

    def _on_ready(self, number: int, ready: Ready) -> None:
        self._ready[number] = ready
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
        self.current = self._images[number] = image
        self._saved, self._conflict = ready.masks, None
        self._watch.restart()
        self.status.say(f"{self.current.name}: {self.current.state}. {self.progress}.")
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
        self._images[image.id] = self.current
        if keeps:
            self._saved = drawn
            ready = self._ready.get(image.id)
            if ready is not None:
                self._ready[image.id] = replace(
                    ready,
                    masks=drawn,
                    labels=_labels_of(drawn),
                )
            if is_new and image.state == "accepted":
                self._teach(image.id, True)
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
        """Read what comes next, and look at it, while the grader works."""
        study = self.study
        if study is None or self.current is None or self._is_closed:
            return
        after, before = (self._neighbours(by) for by in (1, -1))
        near = [*after[:AHEAD], *before[:BEHIND]]
        for number in list(self._ready):
            if number not in near and number != self.current.id:
                del self._ready[number]
        missing = [number for number in near if number not in self._ready]
        if not missing:
            self._teach_next()
            return

        def work() -> Steps[None]:
            for number in missing:
                arrived[number] = yield from self._make_ready(study, number)
                yield 0, 0

        arrived: dict[int, Ready] = {}

        def collect(*progress: int) -> None:
            while arrived:
                number, ready = arrived.popitem()
                self._ready.setdefault(number, ready)
                self._images[number] = study.image(number, self.grader)
                self.changed.emit(self._images[number])

        def end(nothing: None) -> None:
            collect()
            self._teach_next()

        def failed(error: Exception) -> None:
            collect()  # it is said when the image is opened
            self._teach_next()

        self.ahead.run(work, end, failed=failed, progressed=collect)

    def _forget_ahead(self) -> None:
        """Make images ready anew that nobody has worked on: proposals are others."""
        here = None if self.current is None else self.current.id
        for number in list(self._ready):
            if number != here and self._images[number].state in ("new", "proposed"):
                del self._ready[number]

    def _recipe_of(self, study: Study) -> ProposeRecipe:
        if self._recipe is None or self._recipe.study is not study:
            who = self.grader if study.about.learns else ""
            self._recipe = ProposeRecipe(study, 1, who, preferred_cache())
        return self._recipe

    def _make_ready(self, study: Study, number: int) -> Steps[Ready]:
        """Read an image and its masks; propose some where there are none."""
        yield 0, 0
        image = study.image(number, self.grader)
        if not study.is_graded(number, self.grader):
            yield from self._propose(study, image)
        from napari_localdisc.core.image.files import read_placement

        picture = read_picture(image.path)
        yield 0, 0
        masks = study.masks(number, self.grader)
        shapes = {mask.shape for mask in masks.values()}
        if shapes != {picture.shape[:2]}:
            raise FileError(
                f"{image.path} has another size than when the study was made of it: "
                "put the picture back that it was."
            )
        return Ready(picture, read_placement(image.path), masks, _labels_of(masks))

    def _propose(self, study: Study, image: StudyImage) -> Steps[None]:
        model = self._shelf.load(ModelFile.of(study.about.model))
        yield 0, 0
        recipe = self._recipe_of(study)
        job = Job(recipe, study.about.model, model.hash)
        (task,) = plan_study(study, [image])
        outcome = run_task(task, job, model)
        if outcome.state == "failed":
            raise FileError(outcome.reason)

    # Learning

    def _teach(self, number: int, accepted: bool) -> None:
        """Let an image teach what it shows, or no longer."""
        if self.study is not None:
            self._to_teach = [each for each in self._to_teach if each[0] != number]
            self._to_teach.append((number, accepted))
            if not (self.ahead.is_busy or self.work.is_busy):
                self._teach_next()

    def _teach_next(self) -> None:
        study, grader = self.study, self.grader
        if study is None or self._teaching.is_busy or not self._to_teach:
            return
        number, accepted = self._to_teach.pop(0)

        def work() -> Steps[None]:
            yield 0, 0
            model = self._shelf.load(ModelFile.of(study.about.model))
            teach(study, number, grader, accepted, model, preferred_cache())

        def done(nothing: None) -> None:
            self._recipe = None
            if self._to_teach:
                self._teach_next()
            elif study.about.learns:
                self._forget_ahead()
                self._prepare()

        self._teaching.run(work, done)

    # Tables, and other graders

    def save_table(self, path: str | Path, then: Callable[[int], None]) -> None:
        """Measure the study into one CSV file; ``then`` gets how many rows it has."""
        study = self.study
        if study is None:
            return
        with self.reporting():
            self.save()
            output = given_path(str(path))
            if output.exists():
                check_replaceable(output, is_study_table)
            wanted = [
                image
                for image in self._images.values()
                if image.state in ("proposed", "corrected", "accepted")
            ]
            recipe = MeasureStudyRecipe(study, self.grader)
            tasks = plan_study(study, wanted)

            def work() -> Steps[int]:
                with torch_threads(1):
                    for done, task in enumerate(tasks):
                        yield done, len(tasks)
                        outcome = run_task(task, Job(recipe, None, ""), None)
                        if outcome.state == "failed":
                            raise FileError(outcome.reason)
                return join_study(recipe, wanted, output)

            def end(rows: int) -> None:
                self.status.say(f"{len(tasks)} images measured: {output}.")
                then(rows)

            self.status.say("Measuring…")
            self.work.run(work, end)

    def compare(self, other: str | Path, grader: str = "") -> None:
        """Compare with another grader of this study, or of another file.

        Parameters
        ----------
        other : str or Path
            Another study's file; empty: this study.
        grader : str
            Whose work; may be left out where the other study has one grader.
        """
        study = self.study
        if study is None:
            return
        with self.reporting():
            self.save()
            there = Study(other) if str(other).strip() else study
            known = [
                name
                for name in there.graders
                if there is not study or name != self.grader
            ]
            who = grader.strip() or (known[0] if len(known) == 1 else "")
            if who not in known:
                names = ", ".join(known) or "nobody else"
                raise FileError(f"{there.path} was graded by {names}: say whom.")
            sides = StudySide(study, self.grader), StudySide(there, who)

            def end(found: Comparison) -> None:
                images = len({row.image for row in found.masks})
                self.status.say(f"{self.grader} and {who} on {images} images.")
                self.compared.emit(found)

            self.status.say("Comparing…")
            self.work.run(lambda: compare_steps(*sides), end)

    def cancel(self) -> None:
        """Stop what the grader waits for."""
        if self.work.cancel():
            self.status.say("Stopped; what was saved stays.")


def _labels_of(masks: Masks) -> dict[str, NDArray[np.uint8]]:
    values = structure_values(list(masks))
    return {name: mask * np.uint8(values[name]) for name, mask in masks.items()}
