"""The collection of a folder's images: made, kept up to date, and searched.

What a collection holds already, of files that are as they were, is taken over; each
other image becomes a file of its own in a hidden folder first, so that stopped work
goes on where it was, and all are joined in the end.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_localdisc.core.errors import FileError, ModelError
from napari_localdisc.core.files import check_replaceable, given_path
from napari_localdisc.io.collection import (
    NAME,
    SUFFIX,
    About,
    Collection,
    Entry,
    Found,
    IndexedImage,
    is_ours,
    open_collection,
    relative_to,
    write_collection,
    write_entry,
)

from .recipes import Progress
from .tasks import FileRecipe, Job, Outcome, Task, check_image

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.model.model import Model

PICTURE = 384
"""Pixels along the longer side of the small picture that is kept of an image."""


@dataclass(frozen=True)
class IndexTask(Task):
    """One image, and the file that waits for the collection.

    Attributes
    ----------
    known : int or None
        Its number in the collection that is there, which has the file as it is now.
    """

    known: int | None = None


@dataclass(frozen=True)
class IndexRecipe(FileRecipe):
    """Describe images by their regions.

    Attributes
    ----------
    cell : int
        As of `describe_regions`.
    """

    cell: int

    @property
    def settings(self) -> dict[str, Any]:
        """What regions depend on."""
        return {"made": "regions", "cell": self.cell}

    def is_done(self, task: Task, made_by: Mapping[str, object]) -> bool:
        """Tell whether the collection, or a file that waits for it, has the image."""
        assert isinstance(task, IndexTask)
        if task.known is not None:
            return True
        (part,) = task.outputs
        if not part.is_file():
            return False
        try:
            waiting = open_collection(part)
        except FileError:  # of another version, say: it is made anew
            return False
        (image,) = waiting.images
        same = waiting.about == _about(made_by)
        return same and (image.size, image.modified) == _state(task.source)

    def check_source(self, task: Task, model: Model | None) -> None:
        """Raise what the model would raise about the image."""
        assert model is not None
        check_image(task.source, model)

    def write(
        self,
        task: Task,
        model: Model | None,
        made_by: Mapping[str, object],
        progress: Progress | None = None,
    ) -> None:
        """Describe one image."""
        from napari_localdisc.core.embedding.embed import embed
        from napari_localdisc.core.embedding.patches import describe_regions
        from napari_localdisc.core.image.files import check_fits, read_image
        from napari_localdisc.core.image.roles import check_no_result

        assert model is not None
        check_no_result(task.source)
        check_fits(task.source)
        (part,) = task.outputs
        state = _state(task.source)  # before it is read: an edit meanwhile is seen
        pixels = read_image(task.source)
        regions = describe_regions(embed(pixels, model, progress=progress), self.cell)
        picture = small_picture(pixels)
        height, width = map(int, pixels.shape[:2])
        image = IndexedImage(
            relative_to(task.source, part.parent),
            *state,
            height,
            width,
            len(regions.points),
            len(picture),
        )
        vectors = regions.vectors.astype(np.float16)
        write_entry(
            part, _about(made_by), Entry(image, vectors, regions.points, picture)
        )


def small_picture(image: NDArray[Any], side: int = PICTURE) -> bytes:
    """Return an image of any kind as a small JPEG file."""
    from PIL import Image

    from napari_localdisc.core.image.working import as_rgb

    step = max(1, min(image.shape[:2]) // (2 * side))
    rgb = as_rgb(image)[::step, ::step]
    small = Image.fromarray((255 * rgb + 0.5).astype(np.uint8))
    small.thumbnail((side, side))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()


def plan_index(
    sources: Iterable[Path], path: Path, job: Job, model_name: str
) -> list[IndexTask]:
    """Plan one task an image.

    Parameters
    ----------
    sources : iterable of Path
        The images.
    path : Path
        The collection.
    job : Job
        With an `IndexRecipe`.
    model_name : str
        Of the job's model, as its card says it.

    Raises
    ------
    FileError
        If something else is there.
    ModelError
        If the collection that is there was made with another model.
    """
    check_replaceable(path, is_ours)
    known: dict[Path, tuple[int, IndexedImage]] = {}
    if path.is_file() and not job.overwrite:
        old = open_collection(path)
        wanted = _about(
            job.recipe.settings | {"model": model_name, "model_hash": job.model_hash}
        )
        if old.about != wanted:
            raise ModelError(
                f"{path} was made with the model {old.about.model!r} "
                f"({old.about.model_hash}) and {old.about.settings}, not with "
                f"{wanted.model!r} ({wanted.model_hash}) and {wanted.settings}: "
                "overwrite it, or choose another file."
            )
        known = {
            old.file_of(image).absolute(): (number, image)
            for number, image in enumerate(old.images)
        }
    folder = parts_folder(path)
    tasks = []
    for source in sources:
        source = source.absolute()
        mark = hashlib.sha256(str(source).encode()).hexdigest()[:16]
        part = folder / f"{source.stem[:60]}-{mark}{SUFFIX}"
        number, image = known.get(source, (None, None))
        if image is not None and (image.size, image.modified) != _state(source):
            number = None
        tasks.append(IndexTask(source, (part,), number))
    return tasks


def join_index(
    tasks: Sequence[IndexTask], outcomes: Sequence[Outcome], path: Path
) -> Collection:
    """Make the collection of what became of the tasks; parts are removed.

    Images that failed, or are no longer among the tasks, are left out.

    Parameters
    ----------
    tasks : sequence of IndexTask
        From `plan_index`.
    outcomes : sequence of Outcome
        Of each, in the same order.
    path : Path
        The collection.

    Raises
    ------
    FileError
        If there is nothing to join, or the file cannot be written.
    """
    sources: list[tuple[Path, int]] = []
    about, dimension = None, 0
    for task, outcome in zip(tasks, outcomes, strict=True):
        if outcome.state not in ("written", "skipped"):
            continue
        source = (task.outputs[0], 0)
        if task.known is not None and outcome.state == "skipped":
            source = (path, task.known)
        if about is None:
            first = open_collection(source[0])
            about, dimension = first.about, first.dimension
        sources.append(source)
    if about is None:
        raise FileError("No image could be looked at: there is no collection to make.")
    if not _is_as_it_was(sources, path):
        write_collection(path, about, dimension, sources)
    shutil.rmtree(parts_folder(path), ignore_errors=True)
    return open_collection(path)


def _is_as_it_was(sources: Sequence[tuple[Path, int]], path: Path) -> bool:
    if any(file != path for file, _ in sources):
        return False
    numbers = [number for _, number in sources]
    return numbers == list(range(len(open_collection(path).images)))


def parts_folder(path: Path) -> Path:
    """Return where images wait for the whole collection."""
    return path.with_name(f".{path.name}.parts")


def collection_path(images: Sequence[str | Path], out: str | Path | None) -> Path:
    """Return where a collection goes: by default into the folder of its images.

    Raises
    ------
    FileError
        If it does not end with `SUFFIX`, or several things were given and no file.
    """
    if out is not None:
        path = given_path(out)
        path = path / NAME if path.is_dir() else path
        if not path.name.endswith(SUFFIX):
            raise FileError(f"{path} must end with {SUFFIX}.")
        return path
    first = given_path(images[0]) if len(images) == 1 else Path()
    if not first.is_dir() or len(images) != 1:
        raise FileError("Say where the collection goes: it is not of one folder.")
    return first / NAME


def index(
    images: str | Path | Sequence[str | Path],
    path: str | Path | None = None,
    model: str | Path = "fundus",
    *,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Callable[[Outcome], None] | None = None,
) -> Collection:
    """Make the collection of a folder of images, or bring it up to date.

    Parameters
    ----------
    images : str, Path or sequence
        A folder, files, patterns; as of the command line.
    path : str or Path, optional
        The collection's file; by default ``localdisc.collection.safetensors`` in the
        folder of images.
    model : str or Path
        Name or file of the model.
    overwrite : bool
        Look at all images anew; else only at those that are new or were changed.
    workers : int, optional
        Images at once; by default one a core.
    progress : callable, optional
        Told the `Outcome` of each image, failures with their reason.

    Returns
    -------
    Collection
        Of all images that could be looked at.

    Raises
    ------
    FileError
        If there is no image, none can be used, or the file cannot be written.
    ModelError
        If there is no such model, or the collection was made with another one.
    """
    from napari_localdisc.core.embedding.patches import CELL
    from napari_localdisc.core.image.files import find_images
    from napari_localdisc.core.model.model import load_model

    from .run import run_tasks

    given = [images] if isinstance(images, str | Path) else list(images)
    sources = find_images(given)
    target = collection_path(given, path)
    loaded = load_model(model)
    job = Job(IndexRecipe(CELL), str(model), loaded.hash, overwrite=overwrite)
    tasks = plan_index(sources, target, job, loaded.card.name)
    outcomes: list[Outcome] = []
    with closing(run_tasks(tasks, job, model=loaded, workers=workers)) as work:
        for outcome in work:
            if outcome is not None:
                outcomes.append(outcome)
                if progress is not None:
                    progress(outcome)
    return join_index(tasks, in_order(outcomes, tasks), target)


def in_order(outcomes: Iterable[Outcome], tasks: Sequence[Task]) -> list[Outcome]:
    """Return outcomes in the order of their tasks."""
    order = {task.source: place for place, task in enumerate(tasks)}
    return sorted(outcomes, key=lambda outcome: order[outcome.task.source])


def find(
    collection: Collection | str | Path,
    embedding: Embedding,
    positive: ArrayLike,
    negative: ArrayLike = (),
    *,
    number: int = 24,
    per_image: int | None = 3,
    without: str | Path | None = None,
) -> list[Found]:
    """Find the regions of a collection that are most like points of an image.

    Parameters
    ----------
    collection : Collection, str or Path
        From `index`, or its file or folder.
    embedding : Embedding
        Of the image, which need not be in the collection, by the collection's model.
    positive, negative : array_like
        (k, 2) points (row, column) in the image's pixels; at least one positive.
    number, per_image, without
        As of `Collection.search`.

    Returns
    -------
    list of Found
        Most similar first, each with the image's file and a point in it.

    Raises
    ------
    ModelError
        If the embedding is another model's.
    PromptError
        If there is no positive point, or one lies outside the field of view.
    FileError
        If there is no such collection, or it is damaged.
    """
    from napari_localdisc.core.embedding.similarity import require_positive

    if not isinstance(collection, Collection):
        collection = open_collection(collection)
    collection.check(embedding.card.name, embedding.model_hash)
    require_positive(positive)
    likes, dislikes = (embedding.vectors_at(points) for points in (positive, negative))
    return collection.search(
        likes, dislikes, number=number, per_image=per_image, without=without
    )


def _about(made_by: Mapping[str, object]) -> About:
    settings = {k: v for k, v in made_by.items() if k not in ("model", "model_hash")}
    model, weights = str(made_by["model"]), str(made_by["model_hash"])
    return About(model=model, model_hash=weights, settings=settings)


def _state(path: Path) -> tuple[int, int]:
    """Return a file's size and when it was changed; (0, 0) where it is gone."""
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns
