"""Photographs for training, read once and kept at the working scale.

Each photograph becomes one array of bytes in a cache folder and is mapped into memory
from there, so that thousands of them cost no more than their crops.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import Cancelled, TrainingError
from napari_localdisc.core.files import given_path, new_file
from napari_localdisc.core.image.background import clean_background
from napari_localdisc.core.image.files import (
    image_files,
    is_zarr,
    read_image,
    roles_of,
)
from napari_localdisc.core.image.working import look
from napari_localdisc.core.names import Modality
from napari_localdisc.core.priors import DrawnPrior, Prior

VERSION = 3
"""Of the prepared arrays; part of their file names."""

PHOTOGRAPH, INSIDE, BACKGROUND = slice(0, 3), slice(3, 4), slice(4, 7)
DOUBTFUL = 7
"""Channels of a prepared photograph; fitted priors follow from channel 8."""
FITTED = 8

Source = str | Path | NDArray[np.generic]


@dataclass
class Photographs:
    """Prepared photographs.

    Attributes
    ----------
    arrays : list of ndarray
        (C, S, S) uint8 each: photograph, field of view, background without narrow
        structures, faint ridges left in it, and one map for each fitted prior.
    size : int
        S: the working diameter, rounded up to a multiple of 16.
    skipped : dict of str to str
        What could not be used, and why.
    """

    arrays: list[NDArray[np.uint8]]
    size: int
    skipped: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.arrays)

    def split(self, held_out: int) -> tuple[Photographs, Photographs]:
        """Return (the rest, every so-manieth photograph: ``held_out`` of them)."""
        if held_out <= 0 or len(self) <= held_out + 1:
            return self, self
        chosen = set(np.linspace(0, len(self) - 1, held_out).round().astype(int))
        rest = [a for k, a in enumerate(self.arrays) if k not in chosen]
        kept = [a for k, a in enumerate(self.arrays) if k in chosen]
        return Photographs(rest, self.size), Photographs(kept, self.size)


def photograph_files(folder: str | Path) -> list[Path]:
    """Return a folder's photographs, sorted by name.

    Masks, ``NAME_<structure>.png`` beside ``NAME.ext``, are left out: neither are they
    photographs, nor may a training without labels see them.  So is what this package
    made.  Names that could be understood otherwise are warned of.

    Raises
    ------
    TrainingError
        If there is no such folder.
    """
    folder = given_path(folder)
    if not folder.is_dir():
        raise TrainingError(f"There is no folder {folder}.")
    roles = roles_of(path for path in image_files(folder) if not is_zarr(path))
    for remark in roles.remarks:
        warnings.warn(remark, stacklevel=2)
    return roles.images


def prepare_photographs(
    sources: Iterable[Source],
    *,
    working_diameter: int,
    modality: Modality = "fundus",
    priors: Sequence[Prior] = (),
    cache: Path,
    fewest: int = 2,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Photographs:
    """Read photographs and prepare what training needs of them.

    Parameters
    ----------
    sources : iterable of path or ndarray
        Files, or (H, W[, C]) images.
    working_diameter : int
        Diameter of the field of view in pixels.
    modality : {"fundus", "frame"}
        As in the model card.
    priors : sequence of Prior
        Drawn ones need backgrounds, fitted ones a map each.
    cache : Path
        Folder of the prepared arrays.
    fewest : int
        Fewer usable photographs are an error.
    progress : callable, optional
        Called with (done, total).
    cancel : callable, optional
        Asked before each photograph; True stops.

    Raises
    ------
    TrainingError
        If fewer than ``fewest`` photographs can be used.
    Cancelled
        If ``cancel`` says so.
    """
    sources = list(sources)
    size = -(-working_diameter // 16) * 16
    result = Photographs([], size)
    fitted = [p for p in priors if p.fit is not None]
    drawn = any(isinstance(p, DrawnPrior) for p in priors)
    recipe = f"{VERSION}-{working_diameter}-{modality}-{drawn}"
    recipe += "".join(f"-{p.name}" + f".{p.version}" * (p.version > 1) for p in fitted)
    for number, source in enumerate(sources):
        if cancel is not None and cancel():
            raise Cancelled
        name = str(source) if isinstance(source, str | Path) else f"image {number + 1}"
        try:
            file = cache / f"{_signature(source, recipe)}.npy"
            array = _read_prepared(file, (FITTED + len(fitted), size, size))
            if array is None:
                image = source if isinstance(source, np.ndarray) else read_image(source)
                seen = look(image, modality, working_diameter)
                rgb, inside = seen.colour, seen.inside
                made = _prepare(rgb, inside, size, working_diameter, drawn, fitted)
        # Whatever its reader raises, one damaged file does not stop a training
        except Exception as error:
            result.skipped[name] = str(error)
            about = str(error) if name in str(error) else f"{name}: {error}"
            warnings.warn(f"Left out: {about}", stacklevel=2)
        else:
            if array is None:  # no room for it is no fault of the photograph
                with new_file(file) as temporary, open(temporary, "wb") as stream:
                    np.save(stream, made)
                array = np.load(file, mmap_mode="r")
            result.arrays.append(array)
        if progress is not None:
            progress(number + 1, len(sources))
    if len(result) < fewest:
        unread = len(result.skipped)
        raise TrainingError(
            f"Training needs at least {fewest} images and got {len(result)}"
            f"{f' ({unread} could not be read)' if unread else ''}."
        )
    return result


def _read_prepared(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Open what was prepared before; None where it is not there or is damaged."""
    try:
        array = np.lib.format.open_memmap(file, mode="r")  # no archive, no pickle
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _signature(source: Source, recipe: str) -> str:
    digest = hashlib.sha256(recipe.encode())
    if isinstance(source, str | Path):
        digest.update(Path(source).read_bytes())
    else:
        digest.update(f"{source.shape}{source.dtype}".encode())
        digest.update(np.ascontiguousarray(source).tobytes())
    return digest.hexdigest()[:24]


def _prepare(
    rgb: NDArray[np.float32],
    inside: NDArray[np.bool_],
    size: int,
    working_diameter: int,
    drawn: bool,
    fitted: Sequence[Prior],
) -> NDArray[np.uint8]:
    """Centre the photograph in a square and compute its further channels."""
    array = np.zeros((FITTED + len(fitted), size, size), np.uint8)
    top, left = ((size - side) // 2 for side in inside.shape)
    window = (slice(top, top + inside.shape[0]), slice(left, left + inside.shape[1]))
    array[(PHOTOGRAPH, *window)] = _bytes(rgb)
    array[(INSIDE, *window)] = inside
    if drawn:
        background, doubtful = clean_background(rgb, inside, working_diameter)
        array[(BACKGROUND, *window)] = _bytes(background)
        array[(DOUBTFUL, *window)] = doubtful * np.uint8(255)
    for k, fit in enumerate(prior.fit for prior in fitted if prior.fit is not None):
        array[(FITTED + k, *window)] = fit(rgb, inside)
    return array


def _bytes(rgb: NDArray[np.float32]) -> NDArray[np.uint8]:
    quantised: NDArray[np.uint8] = np.round(rgb * 255).astype(np.uint8)
    return quantised.transpose(2, 0, 1)
