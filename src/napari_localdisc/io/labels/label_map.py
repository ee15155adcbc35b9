"""Labels with all that must not get lost on the way to a file."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.names import NOTE_KEY
from napari_localdisc.core.validation import read_json

if TYPE_CHECKING:
    import pint

_Part = Annotated[float, Field(ge=0, le=1)]
Colour = tuple[_Part, _Part, _Part, _Part]
"""Red, green, blue, alpha in [0, 1]."""


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels, the names and colours of their classes, and where they lie.

    Attributes
    ----------
    labels : array_like
        (…, H, W) integers or bool, possibly lazy (dask, zarr).
    names : mapping of int to str
        Class names; not every value needs one.
    colours : mapping of int to tuple
        RGBA in [0, 1] per value.
    default_colour : tuple, optional
        RGBA of values that have no colour of their own.
    placement : dict
        ``scale``, ``translate``, ``rotate``, ``shear``, ``affine`` as nested lists of
        floats, ``units`` and ``axis_labels`` as lists of str; all optional.
    name : str
        What the labels are called.
    image : str
        File name of the image that they belong to.
    made_by : dict
        How they were made; JSON.
    source : str
        Path of the image, where it is at hand; no file says it.
    others : tuple of LabelMap
        Labels of the same image whose classes may overlap these: a map a group.
    """

    labels: Any
    names: Mapping[int, str] = field(default_factory=dict)
    colours: Mapping[int, Colour] = field(default_factory=dict)
    default_colour: Colour | None = None
    placement: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    image: str = ""
    made_by: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    others: tuple[LabelMap, ...] = ()

    def __post_init__(self) -> None:
        kind = np.dtype(self.labels.dtype).kind
        if kind not in "bui":
            raise FileError(
                f"Labels are whole numbers, not values of type {self.labels.dtype}: "
                "save them as a map (32-bit float TIFF) instead."
            )
        if self.labels.ndim < 2:
            raise FileError("Labels must have at least two dimensions.")
        for value, name in self.names.items():
            if not name.strip() or not name.isprintable():
                raise FileError(
                    f"The name {name!r} of class {value} cannot be written: give it "
                    "letters that can be printed."
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the labels."""
        return tuple(int(side) for side in self.labels.shape)

    @cached_property
    def array(self) -> NDArray[Any]:
        """The labels in memory, in the smallest integer type that holds them all."""
        with self._reading():
            array = np.asarray(self.labels)
        if array.dtype == np.bool_:
            return array.astype(np.uint8)
        low, high = self.smallest, self.largest
        # What holds n holds −n − 1, and the other way round, if it holds any below 0
        smallest = np.min_scalar_type(high if low >= 0 else min(low, -high - 1))
        if smallest.hasobject:
            raise FileError(f"No integer type holds both {low} and {high}.")
        return array.astype(smallest)

    @cached_property
    def counts(self) -> dict[int, int]:
        """How many pixels have each value that occurs; values ascend."""
        if not isinstance(self.labels, np.ndarray):  # block by block
            import dask
            import dask.array

            with self._reading():
                lazy = dask.array.asarray(self.labels)
                found = dask.compute(*dask.array.unique(lazy, return_counts=True))
        else:
            return counted(self.labels)
        return {int(v): int(n) for v, n in zip(*found, strict=True)}

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Say so where lazy labels turn out to be damaged."""
        try:
            yield
        except MemoryError as error:
            shape = "×".join(map(str, self.shape))
            raise FileError(
                f"The labels “{self.name}” ({shape}) do not fit this machine's memory."
            ) from error
        # zarr, dask and their codecs raise what they like
        except Exception as error:
            said = f"{error}".partition("\n")[0] or type(error).__name__
            raise FileError(
                f"The labels “{self.name}” cannot be read: {said}"
            ) from error

    @property
    def values(self) -> list[int]:
        """The values that occur, ascending."""
        return list(self.counts)

    @property
    def largest(self) -> int:
        """The largest value; 0 if there is none."""
        return max(self.counts, default=0)

    @property
    def smallest(self) -> int:
        """The smallest value; 0 if there is none."""
        return min(self.counts, default=0)

    def plane(self, format_name: str) -> NDArray[Any]:
        """Return the labels as (H, W), for formats that hold one picture.

        Raises
        ------
        FileError
            If there is more than one plane.
        """
        if len([side for side in self.shape if side != 1]) > 2:
            shape = "×".join(str(side) for side in self.shape)
            raise FileError(
                f"{format_name} holds one picture, but the labels are a stack of "
                f"shape {shape}: save one slice, or choose TIFF or OME-Zarr."
            )
        picture = self.array
        # A slice of a stack may be thin along any axis
        thin = [axis for axis, side in enumerate(self.shape) if side == 1]
        surplus = tuple(thin[: picture.ndim - 2])
        return np.squeeze(picture, axis=surplus)

    def check_range(self, format_name: str, largest: int, smallest: int = 0) -> None:
        """Refuse values that a format cannot hold.

        Raises
        ------
        FileError
            Naming the value and formats that hold it.
        """
        for value in (self.smallest, self.largest):
            if not smallest <= value <= largest:
                raise FileError(
                    f"{format_name} holds values from {smallest} to {largest}, but "
                    f"the labels hold {value}, and values are not renumbered: choose "
                    "TIFF or OME-Zarr."
                )

    def colour(self, value: int) -> Colour:
        """Return a value's colour: its own, else the default, else mid-grey."""
        if value in self.colours:
            return self.colours[value]
        if value == 0:
            return (0.0, 0.0, 0.0, 0.0)
        return self.default_colour or (0.5, 0.5, 0.5, 1.0)

    def class_name(self, value: int) -> str:
        """Return a value's name, ``label N`` where it has none."""
        return self.names.get(value) or f"label {value}"

    @property
    def classes(self) -> list[int]:
        """Values that occur or have a name, without the background 0; ascending."""
        return sorted({*self.values, *self.names} - {0})

    @property
    def maps(self) -> tuple[LabelMap, ...]:
        """These labels, and those whose classes may overlap them."""
        return self, *self.others

    def each_class(self) -> Iterator[tuple[LabelMap, int]]:
        """Yield each class of all maps: the map that holds it whole, and its value."""
        for labels in self.maps:
            for value in labels.classes:
                yield labels, value


def counted(array: NDArray[Any]) -> dict[int, int]:
    """Return how many pixels have each value that occurs; values ascend.

    Part by part, as most parts of labels have one value: sorting 100 million pixels at
    once takes 10 s, counting them at once eight times their memory.
    """
    flat = array.ravel()
    if flat.dtype == np.bool_:
        lit = int(np.count_nonzero(flat))
        both = {0: flat.size - lit, 1: lit}
        return {value: count for value, count in both.items() if count}
    total: Counter[int] = Counter()
    for start in range(0, flat.size, _COUNTED):
        part = flat[start : start + _COUNTED]
        if part.min() == part.max():
            total[int(part[0])] += part.size
            continue
        if part.dtype in (np.uint8, np.uint16):  # counting beats sorting
            counts = np.bincount(part)
            values = np.flatnonzero(counts)
            counts = counts[values]
        else:
            values, counts = np.unique(part, return_counts=True)
        total.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    return dict(sorted(total.items()))


_COUNTED = 1 << 16
"""Pixels that are counted at once."""


def map_path(path: Path, at: int, endings: Sequence[str] = ()) -> Path:
    """Return where one of several maps of an image goes: ``NAME.map2.png``.

    Parameters
    ----------
    path : Path
        Of the first one, ``NAME.png``.
    at : int
        Which it is, from 0 on.
    endings : sequence of str
        Of the format, such as ``.ome.tif``; else all from the last dot on is one.
    """
    if not at:
        return path
    fitting = [each for each in endings if path.name.lower().endswith(each)]
    ending = path.name[-len(max(fitting, key=len)) :] if fitting else path.suffix
    return path.with_name(f"{path.name.removesuffix(ending)}.map{at + 1}{ending}")


def in_maps(
    masks: Mapping[int, NDArray[np.bool_]],
    held: Mapping[int, int],
    shape: tuple[int, int],
) -> list[NDArray[Any]]:
    """Put masks that may overlap into as few maps as hold each of them whole.

    Parameters
    ----------
    masks : mapping of int to ndarray
        (H, W) bool of each label; each goes into the first map where it overlaps none.
    held : mapping of int to int
        Of labels whose map is known, which it is.
    shape : tuple of int
        (H, W).

    Returns
    -------
    list of ndarray
        (H, W) labels, at least one.
    """
    dtype = np.min_scalar_type(max(masks, default=0))
    maps = [np.zeros(shape, dtype) for _ in range(max(held.values(), default=0) + 1)]
    for value, mask in masks.items():
        at = held.get(value)
        if at is None:
            free = (n for n, labels in enumerate(maps) if not labels[mask].any())
            at = next(free, len(maps))
        if at == len(maps):
            maps.append(np.zeros(shape, dtype))
        maps[at][mask] = value
    return maps


def pixel_size(
    placement: Mapping[str, Any], ndim: int
) -> tuple[list[float], list[str]]:
    """Return scale and unit of each axis; 1 and ``pixel`` where none was given."""
    scale = placement.get("scale") or [1.0] * ndim
    units = placement.get("units") or ["pixel"] * ndim
    return [float(step) for step in scale], [str(unit) for unit in units]


def plain(value: Any) -> Any:
    """Turn values, also numpy's, into what JSON holds; all else becomes text."""

    def other(part: Any) -> Any:
        is_numeric = isinstance(part, np.generic | np.ndarray)
        return part.tolist() if is_numeric else str(part)

    return to_jsonable_python(value, fallback=other)


def byte_colour(colour: Colour) -> tuple[int, int, int, int]:
    """Round a colour to 8 bits a channel."""
    red, green, blue, alpha = (
        round(255 * min(max(float(part), 0.0), 1.0)) for part in colour
    )
    return red, green, blue, alpha


KEY = NOTE_KEY
GROUP = "group"
"""Key of how labels were made: which of an image's maps they are, if not the first."""

MAPS = "maps"
"""Key of a note: how many maps there are, if more than one."""
NOTE_VERSION = 1


def note_of(labels: LabelMap) -> dict[str, Any]:
    """Return what a file must say of labels, as plain values."""
    classes: dict[str, dict[str, Any]] = {}
    for value, name in labels.names.items():
        classes.setdefault(str(int(value)), {})["name"] = name
    for value, colour in labels.colours.items():
        classes.setdefault(str(int(value)), {})["colour"] = _floats(colour)
    note: dict[str, Any] = {"note": NOTE_VERSION, "classes": classes}
    if labels.default_colour is not None:
        note["default_colour"] = _floats(labels.default_colour)
    optional = {
        "placement": dict(labels.placement),
        "name": labels.name,
        "image": labels.image,
        "made_by": plain(labels.made_by),
    }
    note |= {key: value for key, value in optional.items() if value}
    note["shape"] = list(labels.shape)
    if labels.others:
        note[MAPS] = len(labels.maps)
    return note


def note_text(note: Mapping[str, Any]) -> str:
    """Return a note as ASCII JSON under our key."""
    return json.dumps({KEY: note})


def parse_note(text: Any) -> dict[str, Any] | None:
    """Return the note in a text; None if there is none."""
    try:
        note = read_json(text)[KEY]
    except (ValueError, KeyError, TypeError):
        return None
    return note if isinstance(note, dict) else None


_Numbers = list[FiniteFloat]
_Texts = list[str]

_PLACEMENT: dict[str, TypeAdapter[Any]] = {
    "scale": TypeAdapter(list[Annotated[FiniteFloat, Field(gt=0)]]),
    "translate": TypeAdapter(_Numbers),
    "rotate": TypeAdapter(FiniteFloat | _Numbers | list[_Numbers]),
    "shear": TypeAdapter(_Numbers | list[_Numbers]),
    "affine": TypeAdapter(list[_Numbers]),
    "units": TypeAdapter(_Texts),
    "axis_labels": TypeAdapter(_Texts),
}
_CLASS: dict[str, TypeAdapter[Any]] = {
    "name": TypeAdapter(Annotated[str, Field(max_length=1000)]),
    "colour": TypeAdapter(Colour),
}
_NOTE: dict[str, TypeAdapter[Any]] = {
    "default_colour": TypeAdapter(Colour),
    "name": TypeAdapter(str),
    "image": TypeAdapter(str),
    "made_by": TypeAdapter(dict[str, JsonValue]),
    "mask_of": TypeAdapter(Annotated[int, Field(ge=0, lt=1 << 32)]),
    "shape": TypeAdapter(list[Annotated[int, Field(ge=0)]]),
}
_VALUE: TypeAdapter[int] = TypeAdapter(Annotated[int, Field(ge=-(1 << 63), lt=1 << 64)])


def _valid(said: Any, adapters: Mapping[str, TypeAdapter[Any]]) -> dict[str, Any]:
    """Return what is as we write it; what is damaged is left out."""
    valid = {}
    for key, adapter in adapters.items():
        if isinstance(said, dict) and key in said:
            with contextlib.suppress(ValidationError):
                valid[key] = adapter.validate_python(said[key])
    return valid


def fields_of(note: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a note into keyword arguments of `LabelMap`; damaged parts are left out."""
    fields: dict[str, Any] = {"names": {}, "colours": {}}
    classes = note.get("classes")
    for key, said in (classes if isinstance(classes, dict) else {}).items():
        noted = _valid(said, _CLASS)
        with contextlib.suppress(ValidationError):
            value = _VALUE.validate_python(key)
            if noted.get("name", "").strip() and noted["name"].isprintable():
                fields["names"][value] = noted["name"]
            if "colour" in noted:
                fields["colours"][value] = noted["colour"]
    if "placement" in note:
        fields["placement"] = _valid(note["placement"], _PLACEMENT)
    fields |= _valid(note, _NOTE)
    return {k: v for k, v in fields.items() if k not in ("mask_of", "shape")}


def _floats(colour: Any) -> list[float]:
    return [float(part) for part in colour]


def noted(
    path: Path, array: Any, note: Mapping[str, Any] | None, fields: Mapping[str, Any]
) -> LabelMap:
    """Return labels with what our note says, else what the format's fields do."""
    if note is not None:
        fields = {**fields, **fields_of(note)}
        parts = _valid(note, _NOTE)
        if "mask_of" in parts:
            value = parts["mask_of"]
            array = (array > 0) * np.min_scalar_type(value).type(value)
        shape = parts.get("shape", ())
        if shape and math.prod(shape) == math.prod(array.shape):
            array = array.reshape(shape)
    placement = _fitting(fields.get("placement", {}), array.ndim)
    return LabelMap(array, **{"name": path.stem, **fields, "placement": placement})


def _fitting(placement: Mapping[str, Any], ndim: int) -> dict[str, Any]:
    """Return what can be said of so many axes; the rest is damaged and left out."""
    square = (ndim, ndim)
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {
        **dict.fromkeys(("scale", "translate", "units", "axis_labels"), ((ndim,),)),
        "rotate": ((), (3,), square) if ndim == 3 else ((), square),
        "shear": ((ndim * (ndim - 1) // 2,), square),
        "affine": ((ndim + 1, ndim + 1), square),
    }
    return {
        key: said
        for key, said in placement.items()
        if _shape(said) in shapes.get(key, ())
        and (key != "units" or all(_is_unit(unit) for unit in said))
    }


def _shape(said: Any) -> tuple[int, ...] | None:
    try:
        shape: tuple[int, ...] = np.shape(said)
    except ValueError:  # rows of different lengths
        return None
    return shape


def whole_of(maps: Sequence[NDArray[Any]], fields: Mapping[str, Any]) -> LabelMap:
    """Return an image's labels of one or more maps, each with its own classes.

    Parameters
    ----------
    maps : sequence of ndarray
        From `in_maps`.
    fields : mapping
        Of `LabelMap`, with the names and colours of all classes.
    """
    elsewhere = {v for labels in maps[1:] for v in counted(labels)} - {0}

    def own(key: str, kept: Callable[[int], bool]) -> dict[int, Any]:
        return {v: said for v, said in fields.get(key, {}).items() if kept(v)}

    others = []
    for at, labels in enumerate(maps[1:], 1):
        values = {*np.unique(labels).tolist()}
        looks = {key: own(key, values.__contains__) for key in ("names", "colours")}
        made_by = {**fields.get("made_by", {}), GROUP: at}
        others.append(LabelMap(labels, **{**fields, **looks, "made_by": made_by}))
    looks = {
        key: own(key, lambda v: v not in elsewhere) for key in ("names", "colours")
    }
    return LabelMap(maps[0], **{**fields, **looks, "others": tuple(others)})


_UNITS = {"micron": "micrometer", "\\u00B5m": "micrometer"} | dict.fromkeys(
    ("pixels", "px"), "pixel"
)
"""What other programs write, in pint's and so in napari's words."""


def _unit(text: str) -> pint.Unit | None:
    """Return a unit; None for what is none."""
    import pint

    try:
        found: pint.Unit = pint.get_application_registry().parse_units(text)
    # Of what is no unit pint makes errors of many kinds
    except Exception:
        return None
    return found


def _is_unit(text: str) -> bool:
    return text == "pixel" or _unit(text) is not None


def _length(unit: str) -> pint.Unit | None:
    """Return a unit of length; None for pixels and for what is none."""
    found = None if unit == "pixel" else _unit(unit)
    return found if found is not None and found.is_compatible_with("meter") else None


def symbol_of(unit: str) -> str:
    """Return the symbol of a unit: ``µm`` for ``micrometer``."""
    length = _length(unit)
    return unit if length is None else f"{length:~}"


def name_of(symbol: str) -> str:
    """Return the name of a unit: ``micrometer`` for ``µm`` or ``um``."""
    unit = _UNITS.get(symbol, symbol)
    length = _length(unit)
    return unit if length is None else str(length)


def metres(unit: str) -> float:
    """Return how long a unit is; 0 if it is none of length."""
    length = _length(unit)
    return 0.0 if length is None else float((1 * length).to("meter").magnitude)
