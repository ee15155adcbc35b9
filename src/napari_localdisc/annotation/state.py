"""What was annotated on an image, as plain values that can be written as JSON.

How it is meant to be used
--------------------------
Everything here is immutable, compares by value and knows neither napari nor Qt.

* `ImageAnnotation` is the whole description of one image layer: per plane (see
  `Plane.index`) its prompts and mask options, the classes, which class is chosen, what
  the labels layer is called, and the log of operations.  ``to_json`` gives dicts,
  lists, strings, numbers and None; ``ImageAnnotation.from_json`` takes them back.
* `Controller.annotation()` describes the image that is worked on, and
  `Controller.restore_annotation(annotation, labels)` puts a description back; its
  signal `annotation_changed` says when there is something new to save.
* Pixels are not in here.  They are in layers: `Classes.layers` (the classes, a layer a
  group) and `Controller.strokes_layer` (what was painted to learn from).  Save and
  restore these beside the description.
* An `Operation` in the log is something that was done and not undone, in order, with
  all that is needed to do it again.  Its ``kind`` is one of

  ========== =====================================================================
  kind       parameters
  ========== =====================================================================
  prompts    ``prompts``: all prompts of the plane afterwards
  options    ``options``: the plane's mask options afterwards
  structures ``structures``: how the plane's structures are tuned afterwards
  classes    ``classes``: all classes afterwards
  write      ``source``, ``value``, ``overwrite``, ``model``, ``model_hash``, and
             ``meaning``: the structure that prompts were taken to mean, if any;
             ``magnification`` where the user chose one;
             ``instead``: the source of the structure that it replaces, if any;
             ``groups``: of what is written, {value: group} where that is not 0
  correct    ``what``: drop, split or merge pieces; ``value``, ``pixels``: how many.
             Which they are is left between what is repeated and the labels
  accept     ``accepted``: the plane's accepted pieces afterwards
  group      ``value``, ``group``: this class lies in another group now, on all
             planes, where it may overlap those that it left; ``classes``
  erase      ``value``: this class was removed, on all planes
  ========== =====================================================================

  A ``write`` can be repeated from its parameters alone, with the public API: `sources`
  makes labels of its ``source``, and `merge_classes` writes them.  ``value`` is None
  where each class of a prediction is written as itself.
* Classes of one *group* exclude each other: each pixel of the group's labels layer has
  one of them.  Classes of different groups may overlap.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from pydantic_core import to_jsonable_python

from napari_localdisc.core.embedding.prompts import MaskOptions
from napari_localdisc.core.embedding.tuning import StructureOptions

Point = tuple[float, float]
Frame = tuple[Point, ...]
"""Corners of what is drawn around an object: two of a box, or more of a lasso."""

PlaneKey = tuple[int | None, ...]
Json = dict[str, Any]

Run = tuple[int, int, int]
"""(value, start, stop) of flattened labels."""

LARGEST_CLASS = 65535

STRICT = ConfigDict(extra="forbid")
"""What a later version added is not left out in silence."""


@dataclass(frozen=True, config=STRICT)
class Prompt:
    """What is, or is not, like what is looked for: a point of an image, or a frame.

    Attributes
    ----------
    row, column : float
        The point; of a frame a point within it.
    positive : bool
        Whether it is meant.
    frame : tuple of (row, column)
        Corners of what is drawn around an object; empty: it is a point.
    """

    row: float
    column: float
    positive: bool = True
    frame: Frame = ()

    @classmethod
    def around(cls, corners: Sequence[Point], positive: bool = True) -> Prompt:
        """Make a prompt of a frame."""
        frame = tuple((float(row), float(column)) for row, column in corners)
        row, column = np.mean(frame, axis=0).tolist()
        return cls(row, column, positive, frame)

    @property
    def point(self) -> Point:
        """(row, column)."""
        return self.row, self.column


def upright(corners: Sequence[Point]) -> tuple[Point, ...]:
    """Return two corners of a frame that is an upright box, else all of them."""
    points = np.array(corners, float)
    low, high = points.min(0), points.max(0)
    at_corner = (np.isclose(points, low) | np.isclose(points, high)).all()
    if len(points) == 4 and at_corner:
        points = np.array([low, high])
    return tuple((float(row), float(column)) for row, column in points)


def with_edited(
    before: Sequence[Prompt], edited: Sequence[Prompt], are_frames: bool
) -> tuple[Prompt, ...]:
    """Put points or frames that were edited in the place of those that were there."""
    kept = [each for each in before if bool(each.frame) is not are_frames]
    if len(edited) != len(before) - len(kept):
        return (*kept, *edited)
    new = iter(edited)
    return tuple(
        next(new) if bool(each.frame) is are_frames else each for each in before
    )


def within(prompts: Iterable[Prompt], mask: NDArray[np.bool_]) -> tuple[Prompt, ...]:
    """Keep the prompts that lie on true pixels of an (H, W) mask."""
    return tuple(
        prompt
        for prompt in prompts
        if mask[int(np.rint(prompt.row)), int(np.rint(prompt.column))]
    )


@dataclass(frozen=True, config=STRICT)
class AnnotationClass:
    """One class of the labels.

    Attributes
    ----------
    value : int
        In the labels layer; from 1 on.
    name : str
        What it is.
    colour : str
        ``#rrggbb``.
    visible : bool
        Whether it is shown.
    background : bool
        Whether it only says, in strokes, what is none of the other classes; it is
        never written to the labels.
    group : int
        Those of one group exclude each other, those of others it may overlap.
    """

    value: int
    name: str
    colour: str
    visible: bool = True
    background: bool = False
    group: int = 0


@dataclass(frozen=True, config=STRICT)
class PlaneAnnotation:
    """Prompts and mask options of one plane.

    Attributes
    ----------
    prompts : tuple of Prompt
        In the order they were made.
    options : MaskOptions
        How they become a mask.
    into : int or None
        Value of the class that the user chose for the mask; None: what it means.
    structures : mapping of str to StructureOptions
        Named structures that were tuned, and how they become masks.
    accepted : tuple of (int, point)
        Pieces that somebody looked at and left: value of the class, and a pixel.
    """

    prompts: tuple[Prompt, ...] = ()
    options: MaskOptions = field(default_factory=MaskOptions)
    into: int | None = None
    structures: Mapping[str, StructureOptions] = field(default_factory=dict)
    accepted: tuple[tuple[int, Point], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was done."""
        return self == PlaneAnnotation()


@dataclass(frozen=True, config=STRICT)
class Operation:
    """Something that was done; see this module's docstring for kinds and parameters.

    Attributes
    ----------
    kind : str
        As in the module's table: ``prompts``, ``write`` and so on.
    text : str
        What it was, for people: “add a prompt”.
    plane : tuple
        The plane it was done on.
    parameters : mapping
        JSON values.
    """

    kind: str
    text: str
    plane: PlaneKey
    parameters: Mapping[str, Any]


@dataclass(frozen=True, config=STRICT)
class ImageAnnotation:
    """Everything about one image layer but pixels.

    Attributes
    ----------
    planes : dict of PlaneKey to PlaneAnnotation
        Planes on which something was done.
    classes : tuple of AnnotationClass
        In the order of the table.
    chosen : int or None
        Value of the class that masks become.
    labels_name : str or None
        Name of the labels layer of group 0, if there is one; no layer is found by its
        name.
    log : tuple of Operation
        What was done and not undone, in order.
    """

    planes: Mapping[PlaneKey, PlaneAnnotation] = field(default_factory=dict)
    classes: tuple[AnnotationClass, ...] = ()
    chosen: int | None = None
    labels_name: str | None = None
    log: tuple[Operation, ...] = ()

    def to_json(self) -> Json:
        """Return JSON values."""
        planes = [{"plane": key, **vars(plane)} for key, plane in self.planes.items()]
        return dict(to_jsonable_python({**vars(self), "planes": planes}))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ImageAnnotation:
        """Take back what `to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the values are not of that form.
        """
        planes = {
            tuple(plane["plane"]): PlaneAnnotation(
                plane["prompts"],
                plane["options"],
                plane.get("into"),
                plane.get("structures", {}),
                plane.get("accepted", ()),
            )
            for plane in values["planes"]
        }
        return cls(**{**values, "planes": planes})


def changed_class(
    classes: Sequence[AnnotationClass], value: int, **changes: Any
) -> tuple[AnnotationClass, ...]:
    """Return the classes with one of them changed."""
    return tuple(
        replace(entry, **changes) if entry.value == value else entry
        for entry in classes
    )


def groups_of(classes: Iterable[AnnotationClass]) -> dict[int, int]:
    """Return the group of each class that is not of group 0, by its value."""
    return {entry.value: entry.group for entry in classes if entry.group}


def free_group(entries: Sequence[AnnotationClass]) -> int:
    """Return the first group that none of the classes belongs to."""
    used = {entry.group for entry in entries if not entry.background}
    return next(group for group in itertools.count() if group not in used)


def groups_in(
    entries: Sequence[AnnotationClass],
) -> dict[int, list[AnnotationClass]]:
    """Return the classes of each group."""
    found: dict[int, list[AnnotationClass]] = {}
    for entry in entries:
        if not entry.background:
            found.setdefault(entry.group, []).append(entry)
    return dict(sorted(found.items()))


def by_group(
    wanted: NDArray[np.integer], groups: Mapping[int, int]
) -> dict[int, NDArray[np.integer]]:
    """Part (H, W) labels by the groups of their classes.

    ``groups`` gives the group of each value that is not of group 0, as `groups_of`.
    """
    if not any(groups.values()):
        return {0: wanted}
    values = [int(value) for value in np.flatnonzero(np.bincount(wanted.ravel()))]
    parts = {}
    for group in sorted({groups.get(value, 0) for value in values if value}):
        own = [value for value in values if groups.get(value, 0) == group]
        parts[group] = np.where(np.isin(wanted, own), wanted, 0)
    return parts


def background_values(classes: Iterable[AnnotationClass]) -> tuple[int, ...]:
    """Values of classes that are never written to labels."""
    return tuple(entry.value for entry in classes if entry.background)


def runs(labels: NDArray[np.integer]) -> list[Run]:
    """Write an (H, W) array of few labelled pixels as runs."""
    flat = np.asarray(labels).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges])
    stops = np.concatenate([edges, [flat.size]])
    return [
        (int(flat[start]), int(start), int(stop))
        for start, stop in zip(starts, stops, strict=True)
        if stop > start and flat[start]
    ]


def from_runs(entries: Iterable[Run], shape: Sequence[int]) -> NDArray[np.uint16]:
    """Take back what `runs` gave."""
    labels = np.zeros(int(np.prod(shape)), np.uint16)
    for value, start, stop in entries:
        labels[start:stop] = value
    return labels.reshape(tuple(shape))


def take_back(
    before: NDArray[np.integer],
    wanted: NDArray[np.integer],
    earlier: NDArray[np.integer],
) -> NDArray[np.integer]:
    """Take away what was written of a class earlier, and is no longer wanted.

    Parameters
    ----------
    before : ndarray
        (H, W) labels.
    wanted, earlier : ndarray
        (H, W) labels of the class, now and earlier, and 0.

    Returns
    -------
    ndarray
        (H, W) labels; what was painted elsewhere stays.
    """
    gone = (earlier > 0) & (wanted == 0) & (before == earlier)
    return np.where(gone, 0, before).astype(before.dtype)


def merge_classes(
    before: NDArray[np.integer],
    wanted: NDArray[np.integer],
    overwrite: bool,
) -> NDArray[np.integer]:
    """Write labels into labels.

    Parameters
    ----------
    before : ndarray
        (H, W) labels.
    wanted : ndarray
        (H, W) labels to write where they are not 0.
    overwrite : bool
        Whether pixels of other classes are written to, too.
    """
    written = wanted > 0
    if not overwrite:
        written &= (before == 0) | (before == wanted)
    return np.where(written, wanted, before).astype(before.dtype)
