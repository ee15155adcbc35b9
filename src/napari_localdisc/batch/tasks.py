"""Folders of images: the same pure function for every image, whoever runs it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_localdisc.core.errors import (
    Cancelled,
    FileError,
    LocalDiscError,
    ModelError,
)
from napari_localdisc.io.labels import ome_zarr
from napari_localdisc.io.labels.label_map import Colour, LabelMap

from .recipes import ClusterRecipe, Progress, Recipe, StructureRecipe

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model

ATTEMPTS = 3
"""Times that a task is tried where what went wrong may pass: a full disk, memory."""

LARGE_ENDING = ".ome.zarr"
"""Of what is made of images that are read block by block."""

State = Literal["written", "skipped", "planned", "failed"]


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

    Returns
    -------
    list of Task

    Raises
    ------
    FileError
        If two images would be written to one file, or a file is its own output.
    """
    owners: dict[Path, Path] = {}
    tasks = []
    for source in sources:
        outputs = _outputs(source, folder, endings)
        for output in outputs:
            if output in owners:
                raise FileError(
                    f"{owners[output]} and {source} would both become {output}: "
                    "give them other names or other output folders."
                )
            owners[output] = source
        tasks.append(Task(source, outputs))
    return tasks


def _outputs(source: Path, folder: Path, endings: Sequence[str]) -> tuple[Path, ...]:
    """Name what is made of an image; of a large one labels alone, as large, in zarr."""
    from napari_localdisc.core.image.files import is_large

    if not is_large(source):
        return tuple(folder / f"{source.stem}{ending}" for ending in endings)
    name = source.name
    for suffix in (".ome.zarr", ".ome.tiff", ".ome.tif", source.suffix):
        name = name.removesuffix(suffix)
    return (folder / f"{name}{Path(endings[0]).stem}{LARGE_ENDING}",)


def run_task(
    task: Task,
    recipe: Recipe,
    model: Model,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Make the files of one image; whatever goes wrong is part of the outcome.

    Idempotent: a task whose files are there, made with the same settings and model, is
    skipped.  Each file appears whole or not at all.

    Parameters
    ----------
    task : Task
        From `plan_tasks`.
    recipe : Recipe
        What to make.
    model : Model
        With which.
    overwrite : bool
        Replace files that are there.
    dry_run : bool
        Only say what would be done.
    progress : callable, optional
        Called with (tiles done, tiles in all).

    Returns
    -------
    Outcome

    Raises
    ------
    Cancelled
        If ``progress`` raised it.
    """
    started = time.perf_counter()
    made_by = {**recipe.settings, "model": model.card.name, "model_hash": model.hash}
    try:
        if not overwrite and _is_done(task, made_by):
            return Outcome(task, "skipped")
        if dry_run:
            if not task.source.exists():
                raise FileError(f"There is no file {task.source}.")
            return Outcome(task, "planned")
        _make_files(task, recipe, model, made_by, progress)
    except Cancelled:
        raise
    except LocalDiscError as error:
        return Outcome(task, "failed", _about(task, str(error)))
    # One image must not stop a study of thousands
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        about = _about(task, f"unexpected {reason}")
        return Outcome(task, "failed", about, may_pass=True)
    return Outcome(task, "written", seconds=time.perf_counter() - started)


def _about(task: Task, reason: str) -> str:
    """Begin with the image's name where the sentence does not say it."""
    return reason if task.source.name in reason else f"{task.source}: {reason}"


def _is_done(task: Task, made_by: Mapping[str, object]) -> bool:
    from napari_localdisc.io.labels.ome_zarr import read_made_by as read_large
    from napari_localdisc.io.labels.tiff import read_made_by

    there = [output for output in task.outputs if output.exists()]
    for output in there:
        read = read_large if output.name.endswith(LARGE_ENDING) else read_made_by
        if read(output) != made_by:
            raise FileError(
                f"{output} is there already, made with other settings or by another "
                "program: choose another folder, or overwrite it."
            )
    return len(there) == len(task.outputs)


def _make_files(
    task: Task,
    recipe: Recipe,
    model: Model,
    made_by: Mapping[str, object],
    progress: Progress | None,
) -> None:
    from napari_localdisc.core.image.files import read_image
    from napari_localdisc.io.labels.tiff import write_tiff

    if task.outputs[0].name.endswith(LARGE_ENDING):
        _make_large(task, recipe, model, made_by, progress)
        return
    image = read_image(task.source)
    arrays = recipe.make(image, model, progress)
    classes = recipe.classes(model)
    for output, array in zip(task.outputs, arrays, strict=True):
        write_tiff(
            output,
            array,
            made_by,
            names={value: name for value, (name, _) in classes.items() if name},
            colours={value: colour for value, (_, colour) in classes.items()},
            image=task.source.name,
        )


def _make_large(
    task: Task,
    recipe: Recipe,
    model: Model,
    made_by: Mapping[str, object],
    progress: Progress | None,
) -> None:
    from napari_localdisc.core.image.files import open_large

    if not isinstance(recipe, ClusterRecipe | StructureRecipe):
        raise FileError(
            f"{task.source} is read block by block, and only clusters and structures "
            "are made so: save a smaller image."
        )
    if recipe.flips != 1:
        raise FileError(
            f"{task.source} is read block by block, without mirrored copies: leave "
            "out --flips."
        )
    array, placement = open_large(task.source)
    classes = recipe.classes(model)
    steps = label_file_steps(
        array,
        lambda target: recipe.label_large(array, model, target),
        task.outputs[0],
        names={value: name for value, (name, _) in classes.items() if name},
        colours={value: colour for value, (_, colour) in classes.items()},
        placement=placement,
        image=task.source.name,
        made_by=made_by,
    )
    for done, total in steps:
        if progress is not None:
            progress(done, total)


def label_file_steps(
    array: Any,
    label: Callable[[Any], Generator[tuple[int, int], None, None]],
    path: Path,
    *,
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, Colour] | None = None,
    placement: Mapping[str, Any] | None = None,
    image: str = "",
    made_by: Mapping[str, Any] | None = None,
) -> Generator[tuple[int, int], None, None]:
    """Label a large image into an OME-Zarr label image, never whole in memory.

    Parameters
    ----------
    array : array_like
        From `open_large`, or any other lazy array.
    label : callable
        Gets an (H, W) uint8 target that can be written to by slices, and labels it
        step by step, as `paint_large` does.
    path : Path
        Ends with ``.ome.zarr``; appears whole or not at all.
    names, colours, placement, image, made_by
        As of `LabelMap`.

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

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", dir=path.parent
    ) as folder:
        shape = int(array.shape[0]), int(array.shape[1])
        chunks = min(CHUNK, shape[0]), min(CHUNK, shape[1])
        target = zarr.create_array(
            f"{folder}/labels.zarr", shape=shape, chunks=chunks, dtype="uint8"
        )
        yield from label(target)
        ome_zarr.write(
            path,
            LabelMap(
                target,
                names=dict(names or {}),
                colours=dict(colours or {}),
                placement=dict(placement or {}),
                name=path.name.removesuffix(".ome.zarr"),
                image=image,
                made_by=dict(made_by or {}),
            ),
        )


@dataclass(frozen=True)
class Job:
    """What is to be made of every image, small enough to be sent to other machines.

    Attributes
    ----------
    recipe : Recipe
        What to make.
    model : str
        Name or file of the model, as each machine finds it.
    model_hash : str
        Of its weights, so that no machine uses another model of that name.
    device : str, optional
        Where to compute; by default a GPU where a machine has one.
    overwrite, dry_run : bool
        As for `run_task`.
    """

    recipe: Recipe
    model: str
    model_hash: str
    device: str | None = None
    overwrite: bool = False
    dry_run: bool = False


def attempt(
    task: Task, job: Job, model: Model, progress: Progress | None = None
) -> Outcome:
    """Run a task, again where something failed that is not the user's to put right."""
    for number in range(ATTEMPTS):
        outcome = run_task(
            task,
            job.recipe,
            model,
            overwrite=job.overwrite,
            dry_run=job.dry_run,
            progress=progress,
        )
        if not outcome.may_pass:
            break
        time.sleep(0.2 * 2**number if number + 1 < ATTEMPTS else 0)
    return outcome


def load_same_model(job: Job) -> Model:
    """Load a job's model and make sure that it is the one that the job means.

    Raises
    ------
    ModelError
        If it is not there, or is another one.
    """
    from napari_localdisc.core.model.model import load_model

    model = load_model(job.model, job.device)
    if model.hash != job.model_hash:
        raise ModelError(
            f"The model {job.model!r} is another one here ({model.hash}) than where "
            f"the work was started ({job.model_hash}): put the same file on every "
            "machine."
        )
    return model
