"""Concepts: what was learned on one image, as a small file, for any other image.

A concept is either prompts (the embedding's vectors at the points that were clicked,
and how their similarity becomes a mask) or a learned classifier.  Its file is
safetensors: arrays, and everything else as JSON in the header.  Nothing in it is code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import safetensors
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field, FiniteFloat, JsonValue, ValidationError
from safetensors.numpy import load_file, save

from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.embedding.prompts import MaskOptions, Prompts
from napari_localdisc.core.errors import FileError, ModelError, PromptError
from napari_localdisc.core.files import given_path, new_file
from napari_localdisc.core.image.grid import FloatImage, Mask
from napari_localdisc.core.validation import first_fault, read_json

from .classifier import Classifier
from .features import FEATURES
from .landmark import Landmark, landmark_from

Kind = Literal["prompts", "classifier", "point"]
Labels = NDArray[np.unsignedinteger[Any]]

SUFFIX = ".concept.safetensors"
KEY = "localdisc_concept"
FORMAT_VERSION = 3
_SINCE: dict[Kind, int] = {"prompts": 2, "classifier": 2, "point": 3}
"""The version that a file says: the first that knew its kind."""

MARK = 1 / 40
"""Diameter of the disc that labels a point, as a part of the working grid's longer
side."""

LARGEST_CLASS = 65535


@dataclass(frozen=True)
class ConceptClass:
    """One class of a concept.

    Attributes
    ----------
    value : int
        In the labels that the concept makes; from 1 on.
    name : str
        What it is.
    colour : str
        ``#rrggbb``.
    background : bool
        Whether it is none of the other classes: its pixels become 0.
    """

    value: Annotated[int, Field(ge=0, le=LARGEST_CLASS)]
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    colour: Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")] = "#e6550d"
    background: bool = False


@dataclass(frozen=True, eq=False)
class Concept:
    """Something learned on one image that can be found in any other.

    Attributes
    ----------
    name : str
        What it is, for instance ``"optic disc"``.
    rule : PromptRule, Classifier or Landmark
        How it is found.
    classes : tuple of ConceptClass
        Of the labels; one for prompts and points.
    model_name, model_hash : str
        Of the model whose embeddings it reads; another model's mean nothing to it.
    """

    name: str
    rule: PromptRule | Classifier | Landmark
    classes: tuple[ConceptClass, ...]
    model_name: str
    model_hash: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """``"prompts"``, ``"classifier"`` or ``"point"``."""
        if isinstance(self.rule, Landmark):
            return "point"
        return "prompts" if isinstance(self.rule, PromptRule) else "classifier"

    @property
    def hash(self) -> str:
        """What tells it from other concepts, whatever their names."""
        arrays, settings = _rule_to_file(self.rule)
        classes = [asdict(entry) for entry in self.classes]
        text = json.dumps([self.model_hash, settings, classes], sort_keys=True)
        digest = hashlib.sha256(text.encode())
        for key in sorted(arrays):
            digest.update(np.ascontiguousarray(arrays[key]).tobytes())
        return digest.hexdigest()[:16]

    def with_threshold(self, threshold: float) -> Concept:
        """Return the same concept cut at another similarity.

        Raises
        ------
        PromptError
            If it is a classifier or a point, which have no threshold.
        """
        if not isinstance(self.rule, PromptRule):
            takes = "class" if self.kind == "classifier" else "place"
            raise PromptError(
                f"The concept {self.name!r} is a {self.kind}: it takes the most "
                f"probable {takes} and has no threshold."
            )
        return replace(self, rule=replace(self.rule, threshold=threshold))

    @classmethod
    def from_prompts(
        cls,
        name: str,
        embedding: Embedding,
        positive: ArrayLike = (),
        negative: ArrayLike = (),
        *,
        threshold: float | None = None,
        smooth: bool = False,
        minimum_size: int = 0,
        colour: str = "#e6550d",
        frames: Sequence[ArrayLike] = (),
        negative_frames: Sequence[ArrayLike] = (),
    ) -> Concept:
        """Learn from prompts on an image: what they mean, not how they correct it.

        Parameters
        ----------
        name : str
            What the concept is.
        embedding : Embedding
            Of the image.
        positive, negative : array_like
            (k, 2) points (row, column) in the image's pixels.
        frames, negative_frames : sequence of array_like
            As for `Embedding.mask`.  Of each what is typical of the object in it
            counts, wherever it is in other images.
        threshold : float, optional
            Similarity from which a pixel belongs to it; by default see `PromptRule`.
        smooth, minimum_size
            As for `Embedding.mask`.
        colour : str
            ``#rrggbb``, of its labels.

        Raises
        ------
        PromptError
            As `Embedding.similarity`, or if the name is empty.
        """
        area = minimum_size * float(np.prod(embedding.grid.scale))
        seen = embedding.read(Prompts(positive, negative, frames, negative_frames))
        vectors = seen.likes, seen.dislikes
        rule = PromptRule(*vectors, threshold, smooth, area, seen.weights)
        classes = (ConceptClass(1, name, colour),)
        card = embedding.card
        return cls(_checked_name(name), rule, classes, card.name, embedding.model_hash)

    @classmethod
    def from_classifier(
        cls,
        name: str,
        classifier: Classifier,
        classes: Sequence[ConceptClass] = (),
    ) -> Concept:
        """Keep what `learn` returned.

        Parameters
        ----------
        name : str
            What the concept is.
        classifier : Classifier
            What was learned.
        classes : sequence of ConceptClass
            Names and colours of its classes; those left out are named by their number.

        Raises
        ------
        PromptError
            If the name is empty.
        """
        given = {entry.value: entry for entry in classes}
        complete = tuple(
            given.get(int(value), ConceptClass(int(value), f"class {value}"))
            for value in classifier.classes
        )
        return cls(
            _checked_name(name),
            classifier,
            complete,
            classifier.model_name,
            classifier.model_hash,
        )

    @classmethod
    def from_landmark(
        cls, name: str, mark: Landmark, *, colour: str = "#e6550d"
    ) -> Concept:
        """Keep what `landmark` returned.

        Parameters
        ----------
        name : str
            What the point is.
        mark : Landmark
            What lies around it.
        colour : str
            ``#rrggbb``, of its labels.

        Raises
        ------
        PromptError
            If the name is empty.
        """
        classes = (ConceptClass(1, name, colour),)
        return cls(_checked_name(name), mark, classes, mark.model_name, mark.model_hash)

    def check(self, model_name: str, model_hash: str) -> None:
        """Raise a ModelError where a model is not the concept's own."""
        if model_hash != self.model_hash:
            raise ModelError(
                f"The concept {self.name!r} was learned with the model "
                f"{self.model_name!r} ({self.model_hash}) and says nothing about "
                f"embeddings of {model_name!r} ({model_hash}): choose the first model, "
                "or learn the concept again."
            )

    def labels(self, embedding: Embedding) -> Labels:
        """Find the concept in an image.

        Parameters
        ----------
        embedding : Embedding
            Of an image, by the concept's model.

        Returns
        -------
        ndarray
            (H, W) uint8, or uint16 where a class exceeds 255: values of ``classes``,
            0 where none is and outside the field of view.  A point is a disc of 1/40
            of the field of view's diameter.

        Raises
        ------
        ModelError
            If the embedding was made by another model.
        """
        self.check(embedding.card.name, embedding.model_hash)
        if isinstance(self.rule, PromptRule):
            return self.rule.mask(embedding).astype(np.uint8)
        if isinstance(self.rule, Landmark):
            return _marked(self.rule.find(embedding).point, embedding)
        labels = self.rule.predict(embedding)
        background = [entry.value for entry in self.classes if entry.background]
        labels[np.isin(labels, background)] = 0
        return labels

    def save(self, path: str | Path) -> Path:
        """Write the concept; the file appears whole or not at all.

        Parameters
        ----------
        path : str or Path
            Its name gets the ending ``.concept.safetensors`` unless it has it.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        FileError
            If it cannot be written there.
        """
        path = given_path(path)
        if not path.name.endswith(SUFFIX):
            path = path.with_name(path.name.removesuffix(".safetensors") + SUFFIX)
        arrays, settings = _rule_to_file(self.rule)
        text = json.dumps(
            {
                "format": _SINCE[self.kind],
                "name": self.name,
                "kind": self.kind,
                "classes": [asdict(entry) for entry in self.classes],
                "model": self.model_name,
                "model_hash": self.model_hash,
                "settings": settings,
                "details": dict(self.details),
            }
        )
        contiguous = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
        with new_file(path, is_ours) as temporary:
            temporary.write_bytes(save(contiguous, {KEY: text}))
        return path

    def __str__(self) -> str:
        names = ", ".join(entry.name for entry in self.classes)
        return (
            f"concept {self.name!r}: {self.kind}, classes {names}; model "
            f"{self.model_name} ({self.model_hash})"
        )


def is_ours(path: Path) -> bool:
    """Whether a file is a concept, of whatever version."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            return KEY in (file.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return False


def load_concept(path: str | Path) -> Concept:
    """Read a concept's file.

    Parameters
    ----------
    path : str or Path
        What `Concept.save` wrote.

    Raises
    ------
    FileError
        If there is no such file, or it is damaged or no concept.
    """
    path = given_path(path)
    if not path.is_file():
        raise FileError(f"There is no concept file {path}.")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(KEY)
        arrays = load_file(path)
    # Of numpy: more axes than it can have
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise FileError(
            f"{path} is damaged or not a {SUFFIX} file ({error})."
        ) from error
    if text is None:
        raise FileError(f"{path} is not a concept of napari-localdisc.")
    try:
        version = read_json(text)["format"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise FileError(
                f"{path} was written by a later version: install a newer "
                "napari-localdisc."
            )
        header = _Header.model_validate_json(text, strict=True)
        rule = _rule_from_file(header, arrays)
    except ValidationError as error:
        raise FileError(
            f"{path} is not a whole concept: {first_fault(error)}."
        ) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} is not a whole concept: {error}.") from error
    return Concept(
        header.name,
        rule,
        tuple(header.classes),
        header.model,
        header.model_hash,
        header.details,
    )


def _rule_to_file(
    rule: PromptRule | Classifier | Landmark,
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return its arrays, and everything else but the model, which the concept names."""
    values = asdict(rule)
    arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
    others = values.keys() - arrays.keys() - {"model_name", "model_hash"}
    return arrays, {k: v for k, v in values.items() if k in others}


class _PromptSettings(BaseModel):
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    smooth: bool = False
    minimum_area: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    meaning: dict[str, FiniteFloat] = Field(default_factory=dict)


class _Header(BaseModel):
    """What a file says beside its arrays."""

    format: Annotated[int, Field(ge=1)]
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    kind: Kind
    classes: Annotated[list[ConceptClass], Field(min_length=1)]
    model: str
    model_hash: str
    settings: dict[str, Any]
    details: dict[str, JsonValue] = Field(default_factory=dict)


def _rule_from_file(
    header: _Header, arrays: Mapping[str, NDArray[Any]]
) -> PromptRule | Classifier | Landmark:
    for name, array in arrays.items():
        kinds = "biuf" if header.kind == "point" else "iuf"
        if array.dtype.kind not in kinds or not np.isfinite(array).all():
            raise ValueError(f"its {name} are no numbers")
    if header.kind == "prompts":
        positive, negative = arrays["positive"], arrays["negative"]
        if positive.ndim != 2 or not len(positive) or negative.ndim != 2:
            raise ValueError("its vectors are not of that form")
        if len(negative) and positive.shape[1] != negative.shape[1]:
            raise ValueError("its vectors are of two lengths")
        settings = _PromptSettings.model_validate(header.settings)
        return PromptRule(positive, negative, **dict(settings))
    if header.kind == "point":
        return landmark_from(arrays, header.model, header.model_hash)
    classes, weights = arrays["classes"], arrays["coefficients"]
    intercepts, features = arrays["intercepts"], header.settings["features"]
    if weights.ndim != 2 or not (
        classes.shape == intercepts.shape == weights.shape[:1] > (1,)
    ):
        raise ValueError("its coefficients are not of that form")
    if classes.dtype.kind not in "iu" or not (
        classes.min() >= 0 and classes.max() <= LARGEST_CLASS
    ):
        raise ValueError("its classes are no labels")
    if features not in FEATURES:
        raise ValueError(f"it reads unknown features, {features!r}")
    return Classifier(
        classes, weights, intercepts, header.model, header.model_hash, features
    )


def _marked(point: tuple[float, float], embedding: Embedding) -> Labels:
    """Return (H, W) labels that are 1 on a disc about a point."""
    radius = 0.5 * MARK * max(embedding.grid.shape)
    away = (
        (np.arange(side) - at) * scale
        for side, at, scale in zip(
            embedding.shape, point, embedding.grid.scale, strict=True
        )
    )
    rows, columns = away
    near = rows[:, None] ** 2 + columns**2 <= max(radius, 1.0) ** 2
    return (near & embedding.field_of_view).astype(np.uint8)


def _checked_name(name: str) -> str:
    if not name.strip():
        raise PromptError("Give the concept a name.")
    return name.strip()


@dataclass(frozen=True, eq=False)
class PromptRule:
    """Similar to some vectors and not to others.

    Attributes
    ----------
    positive, negative : ndarray
        (k, D) float32 unit vectors; at least one positive.
    threshold : float or None
        Similarity from which a pixel belongs to the mask; None: Otsu's, on each image,
        or 0.5 where the model's card names structures.
    smooth : bool
        Round the outline, as `Embedding.mask` does.
    minimum_area : float
        Pixels *of the working grid* below which a piece is left out, so that it means
        the same in images of any size.
    meaning : mapping of str to float
        Weights of named structures, from `Embedding.meaning`.
    """

    positive: FloatImage
    negative: FloatImage
    threshold: float | None = None
    smooth: bool = False
    minimum_area: float = 0.0
    meaning: Mapping[str, float] = field(default_factory=dict)

    def mask(self, embedding: Embedding) -> Mask:
        """Return (H, W) bool."""
        smallest = round(self.minimum_area / float(np.prod(embedding.grid.scale)))
        options = MaskOptions(self.threshold, False, self.smooth, smallest)
        return embedding.read_vectors(
            self.positive, self.negative, self.meaning, options
        ).mask
