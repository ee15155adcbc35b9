"""Folders of images: the same pure function for every image, whoever runs it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_localdisc.core.errors import (
    Cancelled,
    FileError,
    LocalDiscError,
    ModelError,
)
from napari_localdisc.core.files import unfinished_folder
from napari_localdisc.core.image.roles import check_no_result
from napari_localdisc.core.names import stem_of
from napari_localdisc.core.work import Steps, run
from napari_localdisc.io.labels import ome_zarr, read_made_by
from napari_localdisc.io.labels.label_map import LabelMap

from .recipes import Progress, Recipe, look

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.clusters import ClusterMaps
    from napari_localdisc.core.model.model import Model

ATTEMPTS = 3
"""Times that a task is tried where what went wrong may pass: a full disk, memory."""

LARGE_ENDING = ".ome.zarr"
"""Of what is made of images that are read block by block."""

State = Literal["written", "skipped", "planned", "failed"]


class FileRecipe(ABC):
    """What is made of an image by something that reads and writes files itself."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the result depends on beside image and model; JSON."""

    @abstractmethod
    def is_done(self, task: Task, made_by: Mapping[str, object]) -> bool:
        """Tell whether a task's files are there, made of what there is now."""

    @abstractmethod
    def check_source(self, task: Task, model: Model | None) -> None:
        """Raise what making the files would raise about what they are made of."""

    @abstractmethod
    def write(
        self,
        task: Task,
        model: Model | None,
        made_by: Mapping[str, object],
        progress: Progress | None = None,
    ) -> None:
        """Make a task's files."""


@dataclass(frozen=True)
class Job:
    """What is to be made of every image, small enough to be sent to other machines.

    Attributes
    ----------
    recipe : Recipe or FileRecipe
        What to make.
    model : str or None
        Name or file of the model, as each machine finds it; None: none is needed.
    model_hash : str
        Of its weights, so that no machine uses another model of that name.
    device : str, optional
        Where to compute; by default a GPU where a machine has one.
    overwrite : bool
        Replace files that are there.
    dry_run : bool
        Only say what would be done.
    """

    recipe: Recipe | FileRecipe
    model: str | None
    model_hash: str
    device: str | None = None
    overwrite: bool = False
    dry_run: bool = False

    def load_model(self) -> Model | None:
        """Load the model and make sure that it is the one that the job means.

        Raises
        ------
        ModelError
            If it is not there, or is another one.
        """
        from napari_localdisc.core.model.model import load_model

        if self.model is None:
            return None
        model = load_model(self.model, self.device)
        if model.hash != self.model_hash:
            raise ModelError(
                f"The model {self.model!r} is another one here ({model.hash}) than "
                f"where the work was started ({self.model_hash}): put the same file on "
                "every machine."
            )
        return model


@dataclass(frozen=True)
class Task:
    """One image and the files that shall be made of it."""

    source: Path
    outputs: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    task : Task
        The image and its files.
    state : {"written", "skipped", "planned", "failed"}
        Skipped: was done already.  Planned: would be done.
    reason : str
        Why it failed, in a sentence.
    seconds : float
        Time it took.
    may_pass : bool
        Whether trying again may help: nothing is wrong with image or settings.
    worker : str
        Name of the cluster's worker that did it; empty on this machine.
    """

    task: Task
    state: State
    reason: str = ""
    seconds: float = 0.0
    may_pass: bool = False
    worker: str = ""

    @classmethod
    def failed(cls, task: Task, reason: str) -> Outcome:
        """Return a failure whose sentence names the image."""
        if task.source.name not in reason:
            reason = f"{task.source}: {reason}"
        return cls(task, "failed", reason)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        where = {"worker": self.worker} if self.worker else {}
        return where | {
            "image": str(self.task.source),
            "outputs": [str(path) for path in self.task.outputs],
            "state": self.state,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
        }


Outcomes = Generator[Outcome | None, None, None]
"""One for each task as it ends; None where nothing ended for a while."""


def count_states(outcomes: Iterable[Outcome]) -> str:
    """Say how many were written, skipped, …: in the order in which they came."""
    counts = Counter(outcome.state for outcome in outcomes)
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def plan_tasks(
    sources: Iterable[Path], folder: Path, endings: Sequence[str]
) -> list[Task]:
    """Say which files each image becomes.

    Parameters
    ----------
    sources : iterable of Path
        Images.
    folder : Path
        Where the files go.
    endings : sequence of str
        What follows the image's name, for instance ``"_clusters.tif"``.

    Raises
    ------
    FileError
        If two images would be written to one file, or an output is an image.
    """
    from napari_localdisc.core.image.files import is_large

    sources = list(sources)
    images = {source.resolve() for source in sources}
    owners: dict[Path, Path] = {}
    tasks = []
    for source in sources:
        if is_large(source):  # labels alone, as large
            names = [f"{stem_of(source)}{Path(endings[0]).stem}{LARGE_ENDING}"]
        else:
            names = [f"{source.stem}{ending}" for ending in endings]
        outputs = tuple(folder / name for name in names)
        for output in outputs:
            if output in owners:
                raise FileError(
                    f"{owners[output]} and {source} would both become {output}: "
                    "give them other names or other output folders."
                )
            if output.resolve() in images:
                raise FileError(
                    f"{source} would become {output}, which is one of the images: "
                    "choose another folder."
                )
            owners[output] = source
        tasks.append(Task(source, outputs))
    return tasks


class Looked:
    """What a model has seen of one image, for several recipes to read.

    Parameters
    ----------
    embeds : bool
        Whether one of them needs the embedding.
    """

    def __init__(self, embeds: bool) -> None:
        self._embeds = embeds
        self._known: dict[str, ClusterMaps] = {}

    def at(
        self, image: Any, recipe: Recipe, model: Model, progress: Progress | None
    ) -> ClusterMaps:
        """Look as a recipe does, unless another one has looked so before."""
        key = repr(sorted(recipe.how.items()))
        if key not in self._known:
            made = look(image, model, self._embeds, progress, **recipe.how)
            self._known[key] = made
        return self._known[key]


def run_image(
    tasks: Sequence[Task],
    jobs: Sequence[Job],
    model: Model | None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Do several tasks of one image, at which the model looks once; see `run_task`."""
    looked = Looked(any(isinstance(j.recipe, Recipe) and j.recipe.embeds for j in jobs))
    return [
        run_task(task, job, model, progress, looked)
        for task, job in zip(tasks, jobs, strict=True)
    ]


def run_task(
    task: Task,
    job: Job,
    model: Model | None,
    progress: Progress | None = None,
    looked: Looked | None = None,
) -> Outcome:
    """Make the files of one image; whatever goes wrong is part of the outcome.

    Idempotent: a task whose files are there, made with the same settings and model, is
    skipped.  Each file appears whole or not at all.  What failed and is not the user's
    to put right is tried again.

    Parameters
    ----------
    task : Task
        From `plan_tasks`.
    job : Job
        What to make.
    model : Model or None
        The job's.
    progress : callable, optional
        Called with (tiles done, tiles in all).
    looked : Looked, optional
        What the model has seen of the image already.

    Raises
    ------
    Cancelled
        If ``progress`` raised it.
    """
    for number in range(1, ATTEMPTS + 1):
        outcome = _try(task, job, model, progress, looked)
        if not outcome.may_pass or number == ATTEMPTS:
            break
        time.sleep(0.1 * 2**number)
    return outcome


def _try(
    task: Task,
    job: Job,
    model: Model | None,
    progress: Progress | None,
    looked: Looked | None,
) -> Outcome:
    from napari_localdisc.io.labels.formats import check_targets

    started = time.perf_counter()
    recipe, made_by = job.recipe, job.recipe.settings
    if model is not None:
        made_by |= {"model": model.card.name, "model_hash": model.hash}
    is_done = recipe.is_done if isinstance(recipe, FileRecipe) else _is_done
    try:
        if not job.overwrite and is_done(task, made_by):
            return Outcome(task, "skipped")
        if isinstance(recipe, Recipe):
            check_targets(task.outputs)
        if job.dry_run:
            if isinstance(recipe, FileRecipe):
                recipe.check_source(task, model)
            else:
                assert model is not None
                _check_source(task, recipe, model)
            return Outcome(task, "planned")
        if isinstance(recipe, FileRecipe):
            recipe.write(task, model, made_by, progress)
        else:
            assert model is not None
            _make_files(task, recipe, model, made_by, progress, looked)
    except Cancelled:
        raise
    except LocalDiscError as error:
        return Outcome.failed(task, str(error))
    # One image must not stop a study of thousands
    except Exception as error:
        reason = f"unexpected {type(error).__name__}: {error}"
        return replace(Outcome.failed(task, reason), may_pass=True)
    return Outcome(task, "written", seconds=time.perf_counter() - started)


def _is_done(task: Task, made_by: Mapping[str, object]) -> bool:
    there = [output for output in task.outputs if output.exists()]
    for output in there:
        if read_made_by(output) != made_by:
            raise FileError(
                f"{output} is there already, made with other settings or by another "
                "program: choose another folder, or overwrite it."
            )
    return len(there) == len(task.outputs)


def _check_source(task: Task, recipe: Recipe, model: Model) -> None:
    """Raise what making the files would raise about the image."""
    from napari_localdisc.core.image.files import open_large
    from napari_localdisc.core.image.rgb import check_layout

    if task.outputs[0].name.endswith(LARGE_ENDING):
        _check_whole(task, recipe)
        check_no_result(task.source)
        array, _ = open_large(task.source)
        check_layout(tuple(map(int, array.shape)), array.dtype)
        return
    check_image(task.source, model)


def check_image(path: Path, model: Model) -> None:
    """Raise what a model would raise about an image, without its looking at it."""
    from napari_localdisc.core.image.files import check_fits, read_image
    from napari_localdisc.core.image.working import look

    check_no_result(path)
    check_fits(path)
    card = model.card
    look(read_image(path), card.modality, card.working_diameter)


def _check_whole(task: Task, recipe: Recipe) -> None:
    if recipe.flips != 1:
        raise FileError(
            f"{task.source} is read block by block, without mirrored copies: leave "
            "out --flips."
        )
    if recipe.magnification is not None:
        raise FileError(
            f"{task.source} is read block by block, in as much detail as --detail "
            "says: leave out --magnification."
        )


def _make_files(
    task: Task,
    recipe: Recipe,
    model: Model,
    made_by: Mapping[str, object],
    progress: Progress | None,
    looked: Looked | None,
) -> None:
    from napari_localdisc.core.image.files import (
        open_large,
        read_image,
        read_placement,
    )
    from napari_localdisc.io.labels.tiff import write_tiff
    from napari_localdisc.io.measured import millimetres

    check_no_result(task.source)
    image = task.source.name
    if not task.outputs[0].name.endswith(LARGE_ENDING):
        pixels, placement = read_image(task.source), read_placement(task.source)
        seen = recipe.by_scale(pixels, model.card, millimetres(placement, 2))
        arrays = (
            seen.make(pixels, model, progress)
            if looked is None
            else seen.read(looked.at(pixels, seen, model, progress))
        )
        looks = recipe.looks(model)
        for output, array in zip(task.outputs, arrays, strict=True):
            write_tiff(
                output, array, made_by, **looks, image=image, placement=placement
            )
        return
    _check_whole(task, recipe)
    array, placement = open_large(task.source)
    about = {"placement": placement, "image": image, "made_by": made_by}
    run(label_file_steps(array, recipe, model, task.outputs[0], **about), progress)


def label_file_steps(
    array: Any, recipe: Recipe, model: Model, path: Path, **about: Any
) -> Steps[None]:
    """Label a large image into an OME-Zarr label image, never whole in memory.

    Parameters
    ----------
    array : array_like
        From `open_large`, or any other lazy array.
    recipe : Recipe
        What to label; clusters or a structure.
    model : Model
        With which.
    path : Path
        Ends with ``.ome.zarr``; appears whole or not at all.
    **about
        ``placement``, ``image`` and ``made_by`` as of `LabelMap`.

    Yields
    ------
    done, total : int
        After each block.

    Raises
    ------
    FileError
        If it cannot be written.
    ImageError
        If the image cannot be used.
    """
    import zarr

    from napari_localdisc.core.embedding.large import CHUNK

    with unfinished_folder(path) as folder:
        shape = int(array.shape[0]), int(array.shape[1])
        chunks = min(CHUNK, shape[0]), min(CHUNK, shape[1])
        target = zarr.create_array(
            folder / "labels.zarr", shape=shape, chunks=chunks, dtype="uint8"
        )
        yield from recipe.label_large(array, model, target)
        name = path.name.removesuffix(LARGE_ENDING)
        about |= recipe.looks(model)
        ome_zarr.write(path, LabelMap(target, name=name, **about))
