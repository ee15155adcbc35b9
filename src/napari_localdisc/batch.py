"""Folders of images: the same pure function for every image, whoever runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .core.errors import Cancelled, FileError, LocalDiscError
from .core.naming import plain_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .core.models import Model

LabelClass = tuple[str, tuple[float, float, float, float]]
"""Name, "" if it has none, and RGBA in [0, 1]."""

LARGE_ENDING = ".ome.zarr"
"""Of what is made of images that are read block by block."""

STRUCTURE_COLOUR = (0.0, 0.9, 1.0, 1.0)
"""RGBA of a structure's label; a retina does not have it."""

State = Literal["written", "skipped", "planned", "failed"]
Progress = Callable[[int, int], None]


class Recipe(Protocol):
    """What is made of each image."""

    @property
    def endings(self) -> tuple[str, ...]:
        """What follows the image's name in the names of the files made of it."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on beside image and model; JSON."""
        ...

    def check(self, model: Model) -> None:
        """Raise a LocalDiscError where the model cannot do it."""
        ...

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return one (H, W) array per ending."""
        ...

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Say what the labels are called and which colours they have."""
        ...


@dataclass(frozen=True)
class ClusterRecipe:
    """Label each pixel with one of ``clusters`` structures.

    Attributes
    ----------
    clusters : int
        2 to 16.
    flips : {1, 2, 4}
        Mirrored copies that are averaged.
    detail : float
        Of images that are read block by block; see `cluster_large`.
    """

    clusters: int = 8
    flips: int = 1
    detail: float = 1.0

    @property
    def endings(self) -> tuple[str, ...]:
        """One labels file."""
        return ("_clusters.tif",)

    @property
    def settings(self) -> dict[str, Any]:
        """Its own attributes."""
        return {"made": "clusters", **asdict(self)}

    def check(self, model: Model) -> None:
        """Raise where the model has fewer clusters."""
        from .core.clustering import check_number

        check_number(self.clusters, model.card.clusters)

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return (H, W) uint8 labels, 1..n inside the field of view, 0 outside."""
        from .core.embedding import map_clusters

        maps = map_clusters(image, model, flips=self.flips, progress=progress)
        return (maps.clusters(self.clusters),)

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Return the colours that the clusters have in napari."""
        from .core.clustering import cluster_colours

        rows = cluster_colours(model, self.clusters)[1:].tolist()
        return {label: ("", tuple(row)) for label, row in enumerate(rows, 1)}


@dataclass(frozen=True)
class StructureRecipe:
    """Find a structure that the model's card names.

    Attributes
    ----------
    structure : str
        Its name.
    threshold : float
        Probability from which a pixel belongs to the mask.
    flips : {1, 2, 4}
        Mirrored copies that are averaged.
    """

    structure: str
    threshold: float = 0.5
    flips: int = 1

    @property
    def endings(self) -> tuple[str, ...]:
        """A mask and a probability file."""
        name = plain_name(self.structure)
        return (f"_{name}.tif", f"_{name}_probability.tif")

    @property
    def settings(self) -> dict[str, Any]:
        """Its own attributes."""
        return {"made": "structure", **asdict(self)}

    def check(self, model: Model) -> None:
        """Raise where the model does not name the structure."""
        from .core.structures import channel

        channel(model.card, self.structure)

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return the (H, W) bool mask and the (H, W) float32 probability."""
        from .core.embedding import map_clusters

        maps = map_clusters(image, model, flips=self.flips, progress=progress)
        probability = maps.structure(self.structure)
        return probability >= self.threshold, probability

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Return the structure's name; it is label 1."""
        return {1: (self.structure, STRUCTURE_COLOUR)}


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
        outputs = tuple(_output(source, folder, ending) for ending in endings)
        for output in outputs:
            if output in owners:
                raise FileError(
                    f"{owners[output]} and {source} would both become {output}: "
                    "give them other names or other output folders."
                )
            owners[output] = source
        tasks.append(Task(source, outputs))
    return tasks


def _output(source: Path, folder: Path, ending: str) -> Path:
    """Name an output; what is made of a large image is as large, so zarr as well."""
    from .io.large import is_large

    if not is_large(source):
        return folder / f"{source.stem}{ending}"
    name = source.name
    for suffix in (".ome.zarr", ".ome.tiff", ".ome.tif", source.suffix):
        name = name.removesuffix(suffix)
    return folder / f"{name}{Path(ending).stem}{LARGE_ENDING}"


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
    from .io.export.ome_zarr_labels import read_made_by as read_large
    from .io.tiff import read_made_by

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
    from .io.images import read_image
    from .io.tiff import write_tiff

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
    from .io.large import cluster_file, open_large

    if not isinstance(recipe, ClusterRecipe):
        raise FileError(
            f"{task.source} is read block by block, and only clusters are made so: "
            "use 'localdisc cluster', or save a smaller image."
        )
    if recipe.flips != 1:
        raise FileError(
            f"{task.source} is read block by block, without mirrored copies: leave "
            "out --flips."
        )
    array, placement = open_large(task.source)
    cluster_file(
        array,
        model,
        recipe.clusters,
        task.outputs[0],
        detail=recipe.detail,
        placement=placement,
        colours={value: colour for value, (_, colour) in recipe.classes(model).items()},
        image=task.source.name,
        made_by=made_by,
        progress=progress,
    )
