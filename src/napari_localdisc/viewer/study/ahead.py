"""What is made ready before a grader asks for it: images, and what is proposed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.batch.studying import (
    ProposeRecipe,
    embedded,
    plan_study,
    read_picture,
    teach,
)
from napari_localdisc.batch.tasks import Job, run_task
from napari_localdisc.core.errors import FileError
from napari_localdisc.core.model.card import ModelFile
from napari_localdisc.core.work import Steps
from napari_localdisc.io.study import Masks, Study, StudyImage
from napari_localdisc.layers.structures import structure_values
from napari_localdisc.viewer.embeddings import ModelShelf
from napari_localdisc.viewer.preferences import preferred_cache
from napari_localdisc.viewer.work import Runner, Slot, disconnect_all

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding


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


class Ahead:
    """Reads and looks at the images around the one that is worked on.

    Parameters
    ----------
    runner, report
        As of `Workspace`.
    shelf : ModelShelf
        Where the study's model is.
    is_awaited : callable
        Whether the grader waits for something: then nothing is taught.

    Attributes
    ----------
    work : Slot
        What is made ready.
    """

    proposed = Signal(object)
    """A `StudyImage` has a proposal."""
    taught = Signal()
    """What was accepted sharpens proposals from now on."""

    def __init__(
        self,
        runner: Runner,
        report: Callable[[Exception], None],
        shelf: ModelShelf,
        is_awaited: Callable[[], bool],
    ) -> None:
        self.work = Slot(runner, report)
        self._teaching = Slot(runner, report)
        self._shelf = shelf
        self._is_awaited = is_awaited
        self._study: Study | None = None
        self._grader = ""
        self._ready: dict[int, Ready] = {}
        self._recipe: ProposeRecipe | None = None
        self._to_teach: list[tuple[int, bool]] = []

    @property
    def is_busy(self) -> bool:
        """Whether an image is made ready, or taught."""
        return self.work.is_busy or self._teaching.is_busy

    def close(self) -> None:
        """Stop and tell nobody any more."""
        disconnect_all(self, self.work, self._teaching)
        for slot in (self.work, self._teaching):
            slot.cancel()

    def follow(self, study: Study, grader: str) -> None:
        """Work for another study, or another grader."""
        self._study, self._grader = study, grader
        self._ready.clear()
        self._to_teach.clear()
        self._recipe = None

    # What is ready

    def get(self, number: int) -> Ready | None:
        """Return an image if it is ready."""
        return self._ready.get(number)

    def put(self, number: int, ready: Ready) -> None:
        """Keep an image that was made ready."""
        self._ready[number] = ready

    def put_masks(self, number: int, masks: Masks) -> None:
        """Let an image that is ready show other masks."""
        ready = self._ready.get(number)
        if ready is not None:
            self._ready[number] = replace(ready, masks=masks, labels=_labels_of(masks))

    def forget(self, numbers: Iterable[int]) -> None:
        """Make images ready anew when they are asked for."""
        for number in numbers:
            self._ready.pop(number, None)

    def prepare(self, here: int, near: list[int]) -> None:
        """Read what comes next, and look at it, while the grader works.

        Parameters
        ----------
        here : int
            The image that is worked on.
        near : list of int
            Those that are to be ready; others but this one are forgotten.
        """
        study = self._study
        assert study is not None
        self.forget([each for each in self._ready if each not in (here, *near)])
        missing = [number for number in near if number not in self._ready]
        if not missing:
            self._teach_next()
            return

        def work() -> Steps[None]:
            for number in missing:
                arrived[number] = yield from self.make(number)
                yield 0, 0

        arrived: dict[int, Ready] = {}

        def collect(*progress: int) -> None:
            while arrived:
                number, ready = arrived.popitem()
                self._ready.setdefault(number, ready)
                self.proposed.emit(study.image(number, self._grader))

        def end(nothing: None) -> None:
            collect()
            self._teach_next()

        def failed(error: Exception) -> None:
            collect()  # it is said when the image is opened
            self._teach_next()

        self.work.run(work, end, failed=failed, progressed=collect)

    def make(self, number: int) -> Steps[Ready]:
        """Read an image and its masks; propose some where there are none."""
        study = self._study
        assert study is not None
        yield 0, 0
        image = study.image(number, self._grader)
        if not study.is_graded(number, self._grader):
            yield from self._propose(study, image)
        from napari_localdisc.core.image.files import read_placement

        picture = read_picture(image.path)
        yield 0, 0
        masks = study.masks(number, self._grader)
        shapes = {mask.shape for mask in masks.values()}
        if shapes != {picture.shape[:2]}:
            raise FileError(
                f"{image.path} has another size than when the study was made of it: "
                "put the picture back that it was."
            )
        return Ready(picture, read_placement(image.path), masks, _labels_of(masks))

    def embedding(self, number: int) -> Embedding:
        """Return an image's embedding with what was taught; takes long, in a worker."""
        study = self._study
        assert study is not None
        banks = self._recipe_of(study).banks
        model = self._shelf.load(ModelFile.of(study.about.model))
        picture = read_picture(study.image(number, self._grader).path)
        return embedded(picture, model, banks, preferred_cache())

    def _recipe_of(self, study: Study) -> ProposeRecipe:
        if self._recipe is None or self._recipe.study is not study:
            who = self._grader if study.about.learns else ""
            self._recipe = ProposeRecipe(study, 1, who, preferred_cache())
        return self._recipe

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

    def set_learns(self, learns: bool) -> None:
        """Let accepted masks sharpen later proposals, or not."""
        assert self._study is not None
        self._study.set_learns(learns)
        self._recipe = None

    def teach(self, number: int, accepted: bool) -> None:
        """Let an image teach what it shows, or no longer."""
        self._to_teach = [each for each in self._to_teach if each[0] != number]
        self._to_teach.append((number, accepted))
        if not (self.work.is_busy or self._is_awaited()):
            self._teach_next()

    def _teach_next(self) -> None:
        study, grader = self._study, self._grader
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
                self.taught.emit()

        self._teaching.run(work, done)


def _labels_of(masks: Masks) -> dict[str, NDArray[np.uint8]]:
    values = structure_values(list(masks))
    return {name: mask * np.uint8(values[name]) for name, mask in masks.items()}
