"""What labels are made from: each source makes them, and says how in Python and JSON.

A fifth source is a class here and its name in `SOURCES`.
"""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import to_jsonable_python

from napari_localdisc.core.embedding.prompts import MaskOptions
from napari_localdisc.core.embedding.prompts import Prompts as Points
from napari_localdisc.core.embedding.tuning import StructureOptions
from napari_localdisc.core.errors import FileError

from .state import (
    STRICT,
    Frame,
    Json,
    Operation,
    PlaneKey,
    Point,
    Prompt,
    Run,
    from_runs,
    runs,
)

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding, Reading

_WIDTH = 88


class Source(ABC):
    """What labels of one image are made from."""

    kind: ClassVar[str]
    """Tells it from other sources in JSON."""

    @property
    def pointed_at(self) -> tuple[Point, ...]:
        """Points that a hand says are meant, whatever it did there before."""
        return ()

    @abstractmethod
    def labels(self, embedding: Embedding, value: int | None) -> NDArray[np.integer]:
        """Make (H, W) labels: ``value``, or each class of a prediction as itself."""

    @abstractmethod
    def code(self, embedding: str, value: int | None, overwrite: bool) -> str:
        """Say the same, and that it is written to ``labels``, as lines of a script.

        They use its ``write``, ``paint``, ``image`` and the variable ``embedding``.
        """

    def to_json(self) -> Json:
        """Return JSON values: the kind and all attributes."""
        return {"kind": self.kind, **to_jsonable_python(vars(self))}


def _labels(mask: NDArray[np.bool_], value: int | None) -> NDArray[np.integer]:
    return np.where(mask, value or 0, 0).astype(np.uint16)


def _write(mask: str, value: int | str | None, overwrite: bool) -> str:
    return f"write(labels, {mask}, {value}, overwrite={overwrite})\n"


@dataclass(frozen=True, config=STRICT)
class Prompts(MaskOptions, Points, Source):
    """Points, frames and how they become a mask: arguments of `Embedding.mask`."""

    kind: ClassVar[str] = "prompts"

    positive: tuple[Point, ...]
    negative: tuple[Point, ...] = ()
    frames: tuple[Frame, ...] = field(default=(), kw_only=True)
    negative_frames: tuple[Frame, ...] = field(default=(), kw_only=True)

    @classmethod
    def of(cls, prompts: Iterable[Prompt], options: MaskOptions) -> Prompts:
        """Take prompts and options as they are."""
        sides: dict[bool, list[Point]] = {True: [], False: []}
        frames: dict[bool, list[Frame]] = {True: [], False: []}
        for prompt in prompts:
            if prompt.frame:
                frames[prompt.positive].append(prompt.frame)
            else:
                sides[prompt.positive].append((prompt.row, prompt.column))
        return cls(
            tuple(sides[True]),
            tuple(sides[False]),
            **vars(options),
            frames=tuple(frames[True]),
            negative_frames=tuple(frames[False]),
        )

    @property
    def is_positive(self) -> bool:
        """Whether they say what is meant, and not only what is not."""
        return bool(self.positive or self.frames)

    @property
    def pointed_at(self) -> tuple[Point, ...]:
        """The positive points, and the middles of positive frames."""
        middles = [Prompt.around(frame).point for frame in self.frames]
        return (*self.positive, *middles)

    def to_json(self) -> Json:
        """Leave out what earlier versions did not know where there is none."""
        return {"kind": self.kind, **to_jsonable_python(self._given)}

    @property
    def _given(self) -> dict[str, Any]:
        values = dict(vars(self))
        for name in ("frames", "negative_frames"):
            if not values[name]:
                del values[name]
        return values

    def read(self, embedding: Embedding, closer: bool = True) -> Reading:
        """Ask the embedding once what the points find; see `Embedding.read`."""
        return embedding.read(self, self, closer)

    def labels(self, embedding: Embedding, value: int | None) -> NDArray[np.integer]:
        """Give the mask to a class."""
        return _labels(self.read(embedding).mask, value)

    def code(self, embedding: str, value: int | None, overwrite: bool) -> str:
        """Say it with all arguments by name."""
        given = [
            f"{name}={list(value) if isinstance(value, tuple) else value!r}"
            for name, value in self._given.items()
        ]
        mask = call(f"mask = {embedding}.mask", given)
        return mask + _write("mask", value, overwrite)


@dataclass(frozen=True, config=STRICT)
class Clusters(Source):
    """Some of ``number`` clusters, merged."""

    kind: ClassVar[str] = "clusters"

    number: int
    clusters: tuple[int, ...]

    def labels(self, embedding: Embedding, value: int | None) -> NDArray[np.integer]:
        """Give all of the clusters to a class."""
        found = np.isin(embedding.clusters(self.number), self.clusters)
        return _labels(found, value)

    def code(self, embedding: str, value: int | None, overwrite: bool) -> str:
        """Say which of how many."""
        found = f"{embedding}.clusters({self.number}), {list(self.clusters)}"
        return f"mask = np.isin({found})\n" + _write("mask", value, overwrite)


@dataclass(frozen=True, config=STRICT)
class _Named:
    name: str


@dataclass(frozen=True, config=STRICT)
class Structure(StructureOptions, _Named, Source):
    """A structure that the model names, as tuned by hand."""

    kind: ClassVar[str] = "structure"

    def to_json(self) -> Json:
        """Leave out what is as by default, but for the threshold."""
        values = {"name": self.name, "threshold": self.threshold, **self.given}
        return {"kind": self.kind, **values}

    def mask(self, embedding: Embedding) -> NDArray[np.bool_]:
        """Return where it is."""
        options = {name: vars(self)[name] for name in vars(StructureOptions())}
        return embedding.structure_mask(self.name, **options)

    def labels(self, embedding: Embedding, value: int | None) -> NDArray[np.integer]:
        """Give it to a class."""
        return _labels(self.mask(embedding), value)

    def code(self, embedding: str, value: int | None, overwrite: bool) -> str:
        """Say how it was tuned."""
        return f"mask = {self.expression(embedding)}\n" + _write(
            "mask", value, overwrite
        )

    def code_instead(
        self, embedding: str, value: int, overwrite: bool, earlier: Structure
    ) -> str:
        """Say that it is written instead of how it was tuned earlier."""
        return (
            f"earlier = {earlier.expression(embedding)}\n"
            f"mask = {self.expression(embedding)}\n"
            f"take_back(labels, earlier & ~mask, {value})\n"
        ) + _write("mask", value, overwrite)

    def expression(self, embedding: str) -> str:
        """Return an expression of where it is."""
        if not self.given.keys() - {"threshold"}:
            return f"{embedding}.structure({self.name!r}) >= {self.threshold!r}"
        options = {"threshold": self.threshold, **self.given}
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        return f"{embedding}.structure_mask({self.name!r}, {given})"


@dataclass(frozen=True, config=STRICT)
class Strokes(Source):
    """What is predicted from painted strokes, but for the classes of the background."""

    kind: ClassVar[str] = "strokes"

    strokes: tuple[Run, ...]
    background: tuple[int, ...]

    @classmethod
    def of(cls, strokes: NDArray[np.integer], background: Iterable[int]) -> Strokes:
        """Take (H, W) strokes as they were painted."""
        return cls(tuple(runs(strokes)), tuple(background))

    def kept(self, prediction: NDArray[np.integer]) -> NDArray[np.integer]:
        """Leave the background out of what is predicted."""
        return np.where(np.isin(prediction, self.background), 0, prediction)

    def labels(self, embedding: Embedding, value: int | None) -> NDArray[np.integer]:
        """Learn from the strokes anew, and predict."""
        from napari_localdisc.core.learning.classifier import learn

        strokes = from_runs(self.strokes, embedding.shape)
        return self.kept(learn(embedding, strokes).predict(embedding))

    def code(self, embedding: str, value: int | None, overwrite: bool) -> str:
        """Say that it is learned, predicted and written class by class."""
        return (
            "strokes = np.zeros(image.shape[:2], np.uint16)\n"
            + paint_code("strokes", self.strokes)
            + f"prediction = ld.learn({embedding}, strokes).predict({embedding})\n"
            "for value in np.unique(prediction):\n"
            f"    if value not in {sorted({0, *self.background})}:\n"
            f"        {_write('prediction == value', 'value', overwrite)}"
        )


SOURCES: Mapping[str, type[Source]] = {
    source.kind: source for source in (Prompts, Clusters, Structure, Strokes)
}


def source_from_json(values: Mapping[str, Any]) -> Source:
    """Take back what `Source.to_json` gave.

    Raises
    ------
    FileError
        If a later version added the kind, or values are missing or of another form.
    """
    given = dict(values)
    kind = str(given.pop("kind", None))
    if kind not in SOURCES:
        raise FileError(
            f"Labels were made from {kind!r}, which a later version added: install a "
            "newer napari-localdisc."
        )
    try:
        return SOURCES[kind](**given)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise FileError(
            f"How labels were made from {kind} is not described whole ({wrong})."
        ) from error


def prompts_written(log: Sequence[Operation], plane: PlaneKey) -> Prompts | None:
    """Return the prompts whose mask was written to a plane last."""
    last = _mask_written(log, plane)
    source = None if last is None else source_from_json(last.parameters["source"])
    return source if isinstance(source, Prompts) else None


def class_written(log: Sequence[Operation], plane: PlaneKey) -> int | None:
    """Return the value of the class that these became."""
    last = _mask_written(log, plane)
    return None if last is None else last.parameters["value"]


def structure_written(
    log: Sequence[Operation], plane: PlaneKey, value: int, name: str, model_hash: str
) -> Structure | None:
    """Return how a structure was written to a plane last, as a class that is there."""
    for entry in reversed(log):
        given = entry.parameters
        if entry.kind == "erase" and given["value"] == value:
            return None
        if (entry.kind, entry.plane, given.get("value")) != ("write", plane, value):
            continue
        source = source_from_json(given["source"])
        if isinstance(source, Structure) and source.name == name:
            return source if given["model_hash"] == model_hash else None
    return None


def _mask_written(log: Sequence[Operation], plane: PlaneKey) -> Operation | None:
    written = (
        entry
        for entry in reversed(log)
        if entry.kind == "write"
        and entry.plane == plane
        and entry.parameters["source"]["kind"] == Prompts.kind
    )
    return next(written, None)


# Python in lines of a script's width


def call(function: str, arguments: Sequence[str]) -> str:
    """Return a call, on one line or with a line for each argument."""
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return line + "\n"
    inner = "\n".join(textwrap.indent(entry, "    ") + "," for entry in arguments)
    return f"{function}(\n{inner}\n)\n"


def paint_code(target: str, entries: Iterable[Run]) -> str:
    """Return the call of ``paint`` that writes runs to ``target``."""
    text = str([tuple(int(number) for number in entry) for entry in entries])
    if len(text) >= _WIDTH - 20:
        lines = textwrap.wrap(text[1:-1] + ",", _WIDTH - 8, break_long_words=False)
        text = "[\n" + textwrap.indent("\n".join(lines), "    ") + "\n]"
    return call("paint", [target, text])
