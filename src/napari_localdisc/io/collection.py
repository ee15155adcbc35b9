"""A collection of images as one file that is searched where it lies on the disk.

The file is safetensors: half-precision vectors of all regions, where each region lies,
a small picture of each image, and everything else as JSON in the header.  It is mapped,
not read: opening a collection costs its header, a search one pass over its vectors.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field, ValidationError

from napari_localdisc.core.errors import FileError, ModelError, PromptError
from napari_localdisc.core.files import given_path, new_file
from napari_localdisc.core.validation import first_fault, read_json
from napari_localdisc.core.work import torch_threads

if TYPE_CHECKING:
    from torch import Tensor

    from napari_localdisc.core.image.grid import FloatImage

SUFFIX = ".collection.safetensors"
NAME = f"localdisc{SUFFIX}"
"""Name of a folder's own collection."""

KEY = "localdisc_collection"
FORMAT_VERSION = 1

_BLOCK = 1 << 13
"""Regions that are compared at once: their vectors stay in the processor's cache."""

_TYPES = {"vectors": "F16", "points": "F32", "pictures": "U8"}
_BYTES = {"F16": 2, "F32": 4, "U8": 1}


@dataclass(frozen=True)
class IndexedImage:
    """One image of a collection.

    Attributes
    ----------
    path : str
        Of its file; relative to the collection's folder where it lies within that.
    size, modified : int
        Bytes, and nanoseconds since 1970, of the file when it was looked at.
    height, width : int
        Its pixels.
    regions : int
        How many regions describe it.
    picture : int
        Bytes of its small JPEG picture.
    """

    path: Annotated[str, Field(min_length=1, max_length=4096, pattern="^[^\0]+$")]
    size: Annotated[int, Field(ge=0)]
    modified: int
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    regions: Annotated[int, Field(ge=0)]
    picture: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Entry:
    """What a collection holds of one image.

    Attributes
    ----------
    image : IndexedImage
        What it is.
    vectors : ndarray
        (n, D) float16 unit vectors of its regions.
    points : ndarray
        (n, 2) float32 (row, column) of a pixel of each.
    picture : bytes
        The small picture, JPEG.
    """

    image: IndexedImage
    vectors: NDArray[np.float16]
    points: NDArray[np.float32]
    picture: bytes


@dataclass(frozen=True)
class Found:
    """A region of a collection that is like what was looked for.

    Attributes
    ----------
    path : Path
        The image's file.
    point : tuple of float
        (row, column) in its pixels.
    similarity : float
        In [0, 1], as of `Likeness`.
    number : int
        Of the image in the collection.
    """

    path: Path
    point: tuple[float, float]
    similarity: float
    number: int


class About(BaseModel):
    """What a collection's header says beside its images."""

    format: Annotated[int, Field(ge=1)] = FORMAT_VERSION
    model: Annotated[str, Field(min_length=1, max_length=200)]
    model_hash: Annotated[str, Field(min_length=1, max_length=200)]
    settings: dict[str, Any] = Field(default_factory=dict)
    """What regions depend on beside image and model."""


class _Header(About):
    images: list[IndexedImage] = Field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Collection:
    """A collection's file, opened by `open_collection`.

    Attributes
    ----------
    path : Path
        The file.
    about : About
        The model and how regions were made.
    images : tuple of IndexedImage
        In the order of the regions.
    """

    path: Path
    about: About
    images: tuple[IndexedImage, ...]
    _arrays: dict[str, Tensor] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of regions."""
        return len(self._arrays["vectors"])

    def __str__(self) -> str:
        return (
            f"{self.path}: {len(self.images)} images, {len(self)} regions; model "
            f"{self.about.model} ({self.about.model_hash})"
        )

    @property
    def dimension(self) -> int:
        """D, of the vectors."""
        return int(self._arrays["vectors"].shape[1])

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """(images + 1,) the first region of each image."""
        return np.cumsum([0, *(image.regions for image in self.images)])

    @cached_property
    def _pictures(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(image.picture for image in self.images)])

    def file_of(self, image: IndexedImage) -> Path:
        """Return where an image's file is."""
        return self.path.parent / image.path

    def picture(self, number: int) -> bytes:
        """Return the small picture of an image, JPEG."""
        start, stop = self._pictures[number : number + 2]
        return bytes(self._arrays["pictures"][start:stop].numpy())

    def entry(self, number: int) -> Entry:
        """Return what there is of an image; views of the file."""
        start, stop = self._starts[number : number + 2]
        vectors, points = (
            self._arrays[name][start:stop].numpy() for name in ("vectors", "points")
        )
        return Entry(self.images[number], vectors, points, self.picture(number))

    def check(self, model_name: str, model_hash: str) -> None:
        """Raise a ModelError where a model is not the collection's own."""
        if model_hash != self.about.model_hash:
            raise ModelError(
                f"The collection {self.path} was made with the model "
                f"{self.about.model!r} ({self.about.model_hash}), not with "
                f"{model_name!r} ({model_hash}): choose the first model, or make the "
                "collection again."
            )

    def search(
        self,
        positive: ArrayLike,
        negative: ArrayLike = (),
        *,
        number: int = 24,
        per_image: int | None = 3,
        without: str | Path | None = None,
    ) -> list[Found]:
        """Find the regions that are most like some vectors: all of them are compared.

        Parameters
        ----------
        positive, negative : array_like
            (k, D) unit vectors of the collection's model; at least one positive.
        number : int
            How many to return, at most.
        per_image : int, optional
            How many of one image at most; None: any number.
        without : str or Path, optional
            An image that is left out, such as the one that is asked about.

        Returns
        -------
        list of Found
            Most similar first.

        Raises
        ------
        PromptError
            If there is no positive vector, or they are of another model.
        FileError
            If the file is damaged.
        """
        from napari_localdisc.core.embedding.similarity import (
            as_rows,
            require_positive,
        )

        likes, dislikes = (as_rows(v, self.dimension) for v in (positive, negative))
        require_positive(likes)
        if number < 1 or (per_image is not None and per_image < 1):
            raise PromptError("At least one region is to be found.")
        scores = self._scores(likes, dislikes)
        if without is not None:
            left_out = given_path(without).resolve()
            for at, image in enumerate(self.images):
                if self.file_of(image).resolve() == left_out:
                    scores[self._starts[at] : self._starts[at + 1]] = -1
        return [self._found(*one) for one in self._best(scores, number, per_image)]

    def _scores(self, likes: FloatImage, dislikes: FloatImage) -> Tensor:
        """(n,) similarity of every region, in one pass over the file."""
        import torch

        from napari_localdisc.core.embedding.similarity import SPREAD, Likeness

        vectors = self._arrays["vectors"]
        queries = torch.from_numpy(np.concatenate([likes, dislikes])).T / SPREAD
        scores = torch.empty(len(vectors))

        @torch.no_grad()
        def compare(start: int, stop: int) -> None:
            for begin in range(start, stop, _BLOCK):
                some = slice(begin, min(begin + _BLOCK, stop))
                near = (vectors[some].float() @ queries).sub_(1 / SPREAD).exp_()
                likes, dislikes = near.unbind(1)[:positives], near.unbind(1)[positives:]
                scores[some] = Likeness(likes, dislikes).at()

        positives, cores = len(likes), os.cpu_count() or 1
        ends = np.linspace(0, len(vectors), cores + 1).astype(int).tolist()
        # Threads that each go their way: those of torch wait for each other at each
        # step, which takes 100 times as long where the processor does other work too
        with torch_threads(cores) as pool:
            list(pool.map(compare, ends[:-1], ends[1:]))
        return scores

    def _best(
        self, scores: Tensor, number: int, per_image: int | None
    ) -> Iterator[tuple[int, float]]:
        """Yield regions and their scores, the best first, so many of an image."""
        looked = min(len(scores), 64 * number)
        while True:
            values, regions = (part.numpy() for part in scores.topk(looked))
            if not np.isfinite(values).all():
                raise FileError(f"{self.path} is damaged: make the collection again.")
            values, regions = values[values >= 0], regions[values >= 0]
            owners = np.searchsorted(self._starts, regions, "right") - 1
            kept = _first_of_each(owners, per_image or number)[:number]
            if len(kept) == number or looked == len(scores):
                break
            looked = min(len(scores), 8 * looked)
        yield from zip(regions[kept].tolist(), values[kept].tolist(), strict=True)

    def _found(self, region: int, similarity: float) -> Found:
        at = int(np.searchsorted(self._starts, region, "right")) - 1
        row, column = self._arrays["points"][region].tolist()
        path = self.file_of(self.images[at])
        return Found(path, (row, column), min(1.0, similarity), at)


def _first_of_each(owners: NDArray[np.int64], most: int) -> NDArray[np.intp]:
    """Return places of the first ``most`` of each owner, in order."""
    order = np.argsort(owners, kind="stable")
    ranked = owners[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]][: len(ranked)])
    counts = np.diff(np.r_[starts, len(ranked)])
    place = np.arange(len(ranked)) - np.repeat(starts, counts)
    return np.sort(order[place < most])


def open_collection(path: str | Path) -> Collection:
    """Open a collection; its vectors stay on the disk.

    Parameters
    ----------
    path : str or Path
        The file, or the folder of images whose own collection is meant.

    Raises
    ------
    FileError
        If there is none, or it is damaged or of a later version.
    """
    from safetensors import SafetensorError, safe_open

    path = given_path(path)
    if path.is_dir():
        path /= NAME
    if not path.is_file():
        raise FileError(
            f"There is no collection {path}: make it with 'localdisc index'."
        )
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(KEY)
            names = set(file.keys())
            if text is None or names != set(_TYPES):
                raise FileError(f"{path} is not a collection of napari-localdisc.")
            types = {name: file.get_slice(name).get_dtype() for name in names}
            arrays = {name: file.get_tensor(name) for name in names}
        version = read_json(text)["format"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise FileError(
                f"{path} was written by a later version: install a newer "
                "napari-localdisc."
            )
        header = _Header.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise FileError(
            f"{path} is not a whole collection: {first_fault(error)}."
        ) from error
    except FileError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} is damaged ({error}): make it again.") from error
    images = tuple(header.images)
    regions = sum(image.regions for image in images)
    dimension = arrays["vectors"].shape[-1]
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    if types != _TYPES or shapes != _shapes(images, regions, dimension):
        raise FileError(f"{path} does not hold what its header says: make it again.")
    about = About(**header.model_dump(exclude={"images"}))
    return Collection(path, about, images, arrays)


def _shapes(
    images: Sequence[IndexedImage], regions: int, dimension: int
) -> dict[str, tuple[int, ...]]:
    pictures = sum(image.picture for image in images)
    return {
        "vectors": (regions, dimension),
        "points": (regions, 2),
        "pictures": (pictures,),
    }


def find_collection(image: Path) -> Path:
    """Return the collection that lies beside an image or in a folder above it.

    Raises
    ------
    FileError
        If there is none.
    """
    for folder in image.resolve().parents:
        if (folder / NAME).is_file():
            return folder / NAME
    raise FileError(
        f"There is no {NAME} beside {image} or above: make one with 'localdisc index', "
        "or say where it is."
    )


def is_ours(path: Path) -> bool:
    """Whether a file is a collection, of whatever version."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            return KEY in (file.metadata() or {})
    except (OSError, SafetensorError):
        return False


def relative_to(path: Path, folder: Path) -> str:
    """Name a file as a collection in a folder does."""
    path, folder = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    if path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    return str(path)


def write_collection(
    path: Path, about: About, dimension: int, sources: Sequence[tuple[Path, int]]
) -> None:
    """Join what other collections hold of images into one file.

    One image's data is in memory at a time.  The file appears whole or not at all, and
    may be one of those that it is made of.

    Parameters
    ----------
    path : Path
        Where to.
    about : About
        Model and settings, the same as those of the others.
    dimension : int
        D, of the vectors.
    sources : sequence of (Path, int)
        A collection and the number of an image in it; in the order of the new file.

    Raises
    ------
    FileError
        If it cannot be written, or something else is there.
    """
    with new_file(path, is_ours) as temporary, temporary.open("wb") as file:
        _write(file, about, dimension, lambda: _entries(sources, path.parent))


def write_entry(path: Path, about: About, entry: Entry) -> None:
    """Write a collection of one image."""
    with new_file(path, is_ours) as temporary, temporary.open("wb") as file:
        _write(file, about, entry.vectors.shape[1], lambda: iter([entry]))


def _entries(sources: Sequence[tuple[Path, int]], folder: Path) -> Iterator[Entry]:
    """Open one collection after the other; paths become those of the new folder."""
    opened: Collection | None = None
    for path, number in sources:
        if opened is None or opened.path != path:
            opened = open_collection(path)
        entry = opened.entry(number)
        named = relative_to(opened.file_of(entry.image), folder)
        image = IndexedImage(**(asdict(entry.image) | {"path": named}))
        yield Entry(image, entry.vectors, entry.points, entry.picture)


def _write(
    file: BinaryIO,
    about: About,
    dimension: int,
    entries: Callable[[], Iterator[Entry]],
) -> None:
    """Write safetensors piece by piece: its own writer wants all of it in memory."""
    images = [entry.image for entry in entries()]
    header = _Header(**about.model_dump(), images=images)
    regions = sum(image.regions for image in images)
    tensors: dict[str, Any] = {"__metadata__": {KEY: header.model_dump_json()}}
    places, end = {}, 0
    for name, shape in _shapes(images, regions, dimension).items():
        size = _BYTES[_TYPES[name]] * int(np.prod(shape))
        tensors[name] = {
            "dtype": _TYPES[name],
            "shape": shape,
            "data_offsets": [end, end + size],
        }
        places[name], end = end, end + size
    text = json.dumps(tensors).encode()
    text += b" " * (-len(text) % 8)  # so that numbers are where processors like them
    file.write(len(text).to_bytes(8, "little") + text)
    begin = file.tell()
    places = {name: begin + start for name, start in places.items()}
    for entry in entries():
        parts = {
            "vectors": np.ascontiguousarray(entry.vectors, "<f2").tobytes(),
            "points": np.ascontiguousarray(entry.points, "<f4").tobytes(),
            "pictures": entry.picture,
        }
        for name, part in parts.items():
            file.seek(places[name])
            places[name] += file.write(part)
