"""What was annotated on an image, as plain values that can be written as JSON.

How it is meant to be used
--------------------------
Everything here is immutable, compares by value and knows neither napari nor Qt.

* `ImageAnnotation` is the whole description of one image layer: per plane (see
  `Plane.key`) its prompts and mask options, the classes, which class is chosen, what
  the labels layer is called, and the log of operations.  ``to_json`` gives dicts,
  lists, strings, numbers and None; ``ImageAnnotation.from_json`` takes them back.
* `Controller.annotation()` describes the image that is worked on, and
  `Controller.restore_annotation(annotation, labels)` puts a description back; its
  signal `annotation_changed` says when there is something new to save.
* Pixels are not in here.  They are in layers: `Controller.labels_layer` (the classes)
  and `Controller.strokes_layer` (what was painted to learn from).  Save and restore
  these beside the description.
* An `Operation` in the log is something that was done and not undone, in order, with
  all that is needed to do it again.  Its ``kind`` is one of

  ========== =====================================================================
  kind       parameters
  ========== =====================================================================
  prompts    ``prompts``: all prompts of the plane afterwards
  options    ``options``: the plane's mask options afterwards
  classes    ``classes``: all classes afterwards
  write      ``source``, ``value``, ``overwrite``, ``model``, ``model_hash``
  erase      ``value``: this class was removed, on all planes
  ========== =====================================================================

  A ``write`` can be repeated from its parameters alone, with the public API: with
  ``labels`` the plane's pixels before it and ``mask`` what the source stands for, ::

      free = True if overwrite else (labels == 0) | (labels == value)
      labels[mask & free] = value

  ``source["kind"]`` is one of

  * ``"prompts"``: ``embedding.mask(positive, negative, threshold=…, connected=…,
    smooth=…, minimum_size=…)`` with the source's other items as arguments;
  * ``"clusters"``: ``np.isin(embedding.clusters(number), clusters)``;
  * ``"structure"``: ``embedding.structure(name) >= threshold``;
  * ``"strokes"``: ``learn(embedding, strokes).predict(embedding)``, where ``strokes``
    lists ``(value, start, stop)`` runs of the flat (H, W) strokes (`from_runs`);
    ``value`` is None: each class of the prediction but those in ``background`` is
    written as itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.embedding.prompts import MaskOptions, Prompts

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

Point = tuple[float, float]
PlaneKey = tuple[int | None, ...]
Json = dict[str, Any]

LARGEST_CLASS = 65535


@dataclass(frozen=True)
class Prompt:
    """A point (row, column) of an image that is, or is not, like what is looked for."""

    row: float
    column: float
    positive: bool = True

    @property
    def point(self) -> Point:
        """(row, column)."""
        return self.row, self.column


def split(prompts: Iterable[Prompt]) -> tuple[list[Point], list[Point]]:
    """Separate the points of positive and of negative prompts."""
    sides: dict[bool, list[Point]] = {True: [], False: []}
    for prompt in prompts:
        sides[prompt.positive].append(prompt.point)
    return sides[True], sides[False]


def within(prompts: Iterable[Prompt], mask: NDArray[np.bool_]) -> tuple[Prompt, ...]:
    """Keep the prompts that lie on true pixels of an (H, W) mask."""
    return tuple(
        prompt
        for prompt in prompts
        if mask[int(np.rint(prompt.row)), int(np.rint(prompt.column))]
    )


@dataclass(frozen=True)
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
    """

    value: int
    name: str
    colour: str
    visible: bool = True
    background: bool = False


@dataclass(frozen=True)
class PlaneAnnotation:
    """Prompts and mask options of one plane."""

    prompts: tuple[Prompt, ...] = ()
    options: MaskOptions = field(default_factory=MaskOptions)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was done."""
        return self == PlaneAnnotation()


@dataclass(frozen=True)
class Operation:
    """Something that was done; see this module's docstring for kinds and parameters.

    Attributes
    ----------
    kind : str
        ``prompts``, ``options``, ``classes``, ``write`` or ``erase``.
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

    def to_json(self) -> Json:
        """Return JSON values."""
        return {
            "kind": self.kind,
            "text": self.text,
            "plane": list(self.plane),
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Operation:
        """Take back what `to_json` gave."""
        return cls(
            values["kind"], values["text"], tuple(values["plane"]), values["parameters"]
        )


@dataclass(frozen=True)
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
        Name of the labels layer, if there is one; no layer is found by its name.
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
        return {
            "planes": [
                {
                    "plane": list(key),
                    "prompts": prompts_to_json(plane.prompts),
                    "options": asdict(plane.options),
                }
                for key, plane in self.planes.items()
            ],
            "classes": classes_to_json(self.classes),
            "chosen": self.chosen,
            "labels_name": self.labels_name,
            "log": [operation.to_json() for operation in self.log],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ImageAnnotation:
        """Take back what `to_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the values are not of that form.
        """
        return cls(
            planes={
                tuple(plane["plane"]): PlaneAnnotation(
                    prompts_from_json(plane["prompts"]),
                    MaskOptions(**plane["options"]),
                )
                for plane in values["planes"]
            },
            classes=classes_from_json(values["classes"]),
            chosen=values["chosen"],
            labels_name=values["labels_name"],
            log=tuple(Operation.from_json(entry) for entry in values["log"]),
        )


def prompts_to_json(prompts: Iterable[Prompt]) -> list[Json]:
    """Return a list of {row, column, positive}."""
    return [asdict(prompt) for prompt in prompts]


def prompts_from_json(values: Iterable[Mapping[str, Any]]) -> tuple[Prompt, ...]:
    """Take back what `prompts_to_json` gave."""
    return tuple(Prompt(**entry) for entry in values)


def classes_to_json(classes: Iterable[AnnotationClass]) -> list[Json]:
    """Return a list of {value, name, colour, visible, background}."""
    return [asdict(entry) for entry in classes]


def classes_from_json(
    values: Iterable[Mapping[str, Any]],
) -> tuple[AnnotationClass, ...]:
    """Take back what `classes_to_json` gave."""
    return tuple(AnnotationClass(**entry) for entry in values)


def changed_class(
    classes: Sequence[AnnotationClass], value: int, **changes: Any
) -> tuple[AnnotationClass, ...]:
    """Return the classes with one of them changed."""
    return tuple(
        replace(entry, **changes) if entry.value == value else entry
        for entry in classes
    )


def background_values(classes: Iterable[AnnotationClass]) -> tuple[int, ...]:
    """Values of classes that are never written to labels."""
    return tuple(entry.value for entry in classes if entry.background)


def runs(labels: NDArray[np.integer]) -> list[list[int]]:
    """Write an (H, W) array of few labelled pixels as (value, start, stop) runs."""
    flat = np.asarray(labels).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], edges])
    stops = np.concatenate([edges, [flat.size]])
    return [
        [int(flat[start]), int(start), int(stop)]
        for start, stop in zip(starts, stops, strict=True)
        if stop > start and flat[start]
    ]


def from_runs(
    entries: Iterable[Sequence[int]], shape: Sequence[int]
) -> NDArray[np.uint16]:
    """Take back what `runs` gave."""
    labels = np.zeros(int(np.prod(shape)), np.uint16)
    for value, start, stop in entries:
        labels[start:stop] = value
    return labels.reshape(tuple(shape))


def mask_of(
    embedding: Embedding, annotation: PlaneAnnotation
) -> tuple[NDArray[np.bool_], float]:
    """Make the mask of prompts.

    Returns
    -------
    mask : ndarray
        (H, W) bool.
    threshold : float
        The similarity that it was cut at.
    """
    asked = Prompts(*split(annotation.prompts))
    reading = embedding.read(asked, annotation.options)
    return reading.mask, reading.threshold
