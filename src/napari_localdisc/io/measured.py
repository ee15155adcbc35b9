"""Which files belong to what is measured: labels, and beside them what helps.

``NAME_<structure>.ext`` is the mask of a structure in the image ``NAME``, as `segment`,
`export --format masks` and `labelled` name them; any other file of labels stands for
itself.  Beside them in the folder ``NAME.ext`` is the picture, ``NAME_fov.ext`` its
field of view and ``NAME_<structure>_probability.tif`` the probability of a structure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.image.files import IMAGE_SUFFIXES, read_image, read_placement
from napari_localdisc.core.image.upright import ORIENTATION, UPRIGHT, turned
from napari_localdisc.core.measure.structures import split_name
from napari_localdisc.core.measure.subject import class_masks
from napari_localdisc.core.names import plain_name, stem_of

from .labelled import FIELD_OF_VIEW
from .labels import find_labels, read_labels, read_made_by
from .labels.label_map import metres, pixel_size

_PROBABILITY = "_probability"
_SUFFIXES = (*IMAGE_SUFFIXES, ".json")


@dataclass(frozen=True)
class Measured:
    """The files of one image that is measured.

    Attributes
    ----------
    name : str
        What tables call it: of a study's images no two alike.
    labels : tuple of Path
        Files of labels.
    picture, field_of_view : Path, optional
        What lies beside them.
    probabilities : tuple of (str, Path)
        Structures and where their probabilities are.
    """

    name: str
    labels: tuple[Path, ...]
    picture: Path | None = None
    field_of_view: Path | None = None
    probabilities: tuple[tuple[str, Path], ...] = ()

    @property
    def files(self) -> list[Path]:
        """All of them."""
        others = [self.picture, self.field_of_view]
        maps = [path for _, path in self.probabilities]
        return [*self.labels, *(path for path in others if path), *maps]

    def read(self) -> Read:
        """Read them.

        Raises
        ------
        FileError
            If a file cannot be read, holds a stack, or has another size.
        """
        masks: dict[str, NDArray[np.bool_]] = {}
        labels: NDArray[Any] | None = None
        names: dict[int, str] = {}
        scale: float | None = None
        for path in self.labels:
            (found, *images) = read_labels(path)
            if images:
                raise FileError(
                    f"{path} holds the labels of several images: export them to a file "
                    "each first."
                )
            # Drawn on a picture as its file stores it, which is read upright
            as_stored = found.made_by.get(ORIENTATION)
            plane = turned(found.plane("A table"), as_stored or UPRIGHT)
            for other in found.others:
                upright = turned(other.plane("A table"), as_stored or UPRIGHT)
                masks |= class_masks(upright, other.names)
            scale = scale or millimetres(found.placement, len(found.shape))
            structure = split_name(path)[1]
            if structure is None:
                labels, names = plane, dict(found.names)
            else:
                (called,) = set(found.names.values()) if len(found.names) == 1 else [""]
                masks[called or structure.replace("_", " ")] = plane > 0
        field_of_view = None
        if self.field_of_view is not None:
            seen = read_image(self.field_of_view)
            seen = seen if seen.ndim == 2 else seen[..., :3].max(axis=2)
            field_of_view = seen > seen.max() / 2
        picture = None
        if self.picture is not None:
            picture = read_image(self.picture)
            scale = scale or millimetres(read_placement(self.picture), 2)
        maps = {
            name: turned(
                read_image(path),
                (read_made_by(path) or {}).get(ORIENTATION, UPRIGHT),
            )
            for name, path in self.probabilities
        }
        probabilities = {
            name: maps[plain_name(name)]
            for name in [*masks, *names.values()]
            if plain_name(name) in maps
        }
        read = Read(masks, labels, names, picture, field_of_view, probabilities, scale)
        shapes = {array.shape[:2] for array in read.arrays}
        if len(shapes) > 1:
            raise FileError(
                f"Labels of {self.name} and what lies beside them differ in size."
            )
        return read


@dataclass(frozen=True, eq=False)
class Read:
    """What the files of one image hold.

    Attributes
    ----------
    masks : dict
        (H, W) bool by structure, of files of one structure each.
    labels : ndarray, optional
        (H, W) int, of a file of several classes.
    names : dict
        Names of its classes, as far as it has them.
    picture, field_of_view, probabilities
        As of `Measured`, read.
    scale : float, optional
        Millimetres of a pixel.
    """

    masks: dict[str, NDArray[np.bool_]]
    labels: NDArray[Any] | None = None
    names: dict[int, str] = field(default_factory=dict)
    picture: NDArray[Any] | None = None
    field_of_view: NDArray[np.bool_] | None = None
    probabilities: dict[str, NDArray[Any]] = field(default_factory=dict)
    scale: float | None = None

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """All that have the image's size."""
        given = [self.labels, self.picture, self.field_of_view]
        return [
            *self.masks.values(),
            *(array for array in given if array is not None),
            *self.probabilities.values(),
        ]


def find_measured(paths: Iterable[str | Path]) -> list[Measured]:
    """Find what files, folders and patterns mean, an image each.

    Parameters
    ----------
    paths : iterable of str or Path
        As for `find_labels`; what is no labels, but belongs to some, is left out.

    Returns
    -------
    list of Measured
        In the order in which they were found.

    Raises
    ------
    FileError
        If there are no labels.
    """
    listings: dict[Path, list[Path]] = {}
    # Masks of one image go together, each file of classes stands for itself
    groups: dict[tuple[Path, str, str], dict[str, Path]] = {}
    for path in find_labels(paths):
        folder = path.parent
        if folder not in listings:
            listings[folder] = _listing(folder)
        if _is_beside(path, listings[folder]):
            continue
        image, structure = split_name(path)
        alone = "" if structure else path.name
        group = groups.setdefault((folder, image, alone), {})
        other = group.setdefault(structure or "", path)
        if other != path:
            raise FileError(
                f"{other} and {path} are both masks of {structure} in {image}: give "
                "one of them."
            )
    if not groups:
        raise FileError("No labels were given: only pictures, fields of view or maps.")
    given = {path for labels in groups.values() for path in labels.values()}
    return told_apart(
        _measured(
            name,
            tuple(labels.values()),
            [path for path in listings[folder] if path not in given],
        )
        for (folder, name, _), labels in groups.items()
    )


def told_apart(measured: Iterable[Measured]) -> list[Measured]:
    """Give images of one name as much of their paths as tells them apart.

    ``left/eye`` and ``right/eye``; ``eye.png`` and ``eye.tif`` of one folder.

    Parameters
    ----------
    measured : iterable of Measured
        In any order, of any names.

    Returns
    -------
    list of Measured
        The same, no two of one name.
    """
    found = list(measured)
    folders = [files.labels[0].absolute().parent.parts for files in found]
    beside = Counter(zip(folders, (files.name for files in found), strict=True))
    last = [
        files.labels[0].name if beside[folder, files.name] > 1 else files.name
        for files, folder in zip(found, folders, strict=True)
    ]
    depth = [0] * len(found)

    def names() -> list[str]:
        return [
            "/".join([*folder[len(folder) - deep :], name])
            for folder, deep, name in zip(folders, depth, last, strict=True)
        ]

    while True:
        called = names()
        times = Counter(called)
        alike = [
            index
            for index, name in enumerate(called)
            if times[name] > 1 and depth[index] < len(folders[index])
        ]
        if not alike:
            break
        for index in alike:
            depth[index] += 1
    return [
        replace(files, name=name) for files, name in zip(found, called, strict=True)
    ]


def _listing(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )


def _is_beside(path: Path, listing: list[Path]) -> bool:
    """Tell whether a file helps others, but is no labels itself."""
    stem = stem_of(path)
    if stem.endswith((_PROBABILITY, f"_{FIELD_OF_VIEW}")):
        return True
    return any(
        split_name(other)[0] == stem and other != path
        for other in listing
        if split_name(other)[1]
    )


def _measured(name: str, labels: tuple[Path, ...], listing: list[Path]) -> Measured:
    picture = view = None
    maps = []
    for path in listing:
        stem = stem_of(path)
        if stem == name:
            picture = picture or path
        elif stem == f"{name}_{FIELD_OF_VIEW}":
            view = view or path
        elif stem.endswith(_PROBABILITY):
            image, structure = split_name(
                Path(f"{stem.removesuffix(_PROBABILITY)}.tif")
            )
            if image == name and structure is not None:
                maps.append((structure, path))
    return Measured(name, labels, picture, view, tuple(maps))


def millimetres(placement: Any, ndim: int) -> float | None:
    """Return the side of a square pixel, where a file says it as a length."""
    scale, units = pixel_size(placement, ndim)
    sides = [
        1000 * step * metres(unit)
        for step, unit in zip(scale[-2:], units[-2:], strict=True)
    ]
    is_square = sides[0] > 0 and abs(sides[0] - sides[1]) < 0.005 * sides[0]
    return sides[1] if is_square else None
