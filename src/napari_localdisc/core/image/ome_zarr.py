"""What an OME-Zarr group says of its images, validated before anything is opened."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    Field,
    FiniteFloat,
    JsonValue,
    ValidationError,
    model_validator,
)

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.validation import first_fault

if TYPE_CHECKING:
    import dask.array

_MOST_CHUNKS = 1 << 20
"""Pieces of an array that are taken in."""
_MOST_SMALL_CHUNKS, _SMALL_CHUNK = 1 << 13, 1 << 12
"""Where they are of fewer values than this: finding them takes longer than reading."""
_TASK = 1 << 16
"""Values that are read at once, at least: small pieces go together."""

_Name = Annotated[str, Field(min_length=1, max_length=1000)]


class Axis(BaseModel):
    """A dimension of the arrays."""

    name: _Name
    unit: _Name | None = None


class Transformation(BaseModel):
    """Where pixels lie; other kinds than scale and translation are left alone."""

    type: str = ""
    scale: list[FiniteFloat] | None = None
    translation: list[FiniteFloat] | None = None


class Level(BaseModel):
    """One array of a pyramid."""

    path: _Name
    coordinateTransformations: list[Transformation] = Field(default_factory=list)

    @model_validator(mode="after")
    def _stays_inside(self) -> Self:
        place = PurePosixPath(self.path)
        if place.is_absolute() or ".." in place.parts or "\0" in self.path:
            raise ValueError(f"{self.path!r} leads out of the folder")
        return self


class Multiscale(BaseModel):
    """A picture in one or several sizes, the finest first."""

    axes: Annotated[list[Axis], Field(max_length=5)] | None = None
    datasets: Annotated[list[Level], Field(min_length=1, max_length=64)]
    name: JsonValue = None

    @property
    def scale(self) -> list[float] | None:
        """Of the finest level's axes."""
        found = (t.scale for t in self.datasets[0].coordinateTransformations)
        return next((scale for scale in found if scale is not None), None)

    @property
    def translation(self) -> list[float] | None:
        """Of the finest level's axes."""
        found = (t.translation for t in self.datasets[0].coordinateTransformations)
        return next((step for step in found if step is not None), None)

    @property
    def units(self) -> list[str] | None:
        """Of the axes, where one has any."""
        if not self.axes or all(axis.unit is None for axis in self.axes):
            return None
        return [axis.unit or "pixel" for axis in self.axes]


_Byte = Annotated[int, Field(ge=0, le=255)]


class About(BaseModel):
    """Colour and name of a label."""

    value: Annotated[int, Field(alias="label-value", ge=-(1 << 63), lt=1 << 64)]
    rgba: tuple[_Byte, _Byte, _Byte, _Byte] | None = None
    name: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class ImageLabel(BaseModel):
    """Of an image what makes it labels; what is damaged of it is left out."""

    colors: JsonValue = None
    properties: JsonValue = None
    note: JsonValue = Field(default=None, alias="localdisc")

    @property
    def about(self) -> list[About]:
        """What is said of labels."""
        found = []
        for entries in (self.colors, self.properties):
            for entry in entries if isinstance(entries, list) else ():
                with contextlib.suppress(ValidationError):
                    found.append(About.model_validate(entry))
        return found


class Ome(BaseModel):
    """What a group says; what else it says is left alone."""

    multiscales: Annotated[list[Multiscale], Field(min_length=1)] | None = None
    label: ImageLabel | None = Field(default=None, alias="image-label")


def read_ome(path: Path) -> Ome:
    """Read what a zarr group says.

    Raises
    ------
    FileError
        If it is not as OME-NGFF has it.
    """
    import zarr

    attributes: Any = dict(zarr.open_group(path, mode="r").attrs)
    try:
        return Ome.model_validate(attributes.get("ome", attributes))
    except ValidationError as error:
        raise FileError(
            f"{path} is no whole OME-Zarr: {first_fault(error)}."
        ) from error


def open_array(folder: Path) -> dask.array.Array:
    """Open a zarr array without reading it.

    Raises
    ------
    FileError
        If it is cut into more pieces than can be worked on.
    """
    import dask.array
    import zarr

    array = zarr.open_array(folder, mode="r")
    sides = zip(array.shape, array.chunks, strict=True)
    pieces = math.prod(-(-side // max(1, part)) for side, part in sides)
    is_small = math.prod(array.chunks) < _SMALL_CHUNK
    if pieces > (_MOST_SMALL_CHUNKS if is_small else _MOST_CHUNKS):
        raise FileError(
            f"{folder} is cut into {pieces:,} pieces: too many to work on. Save it in "
            "larger ones."
        )
    chunks = _together(array.shape, array.chunks)
    lazy: dask.array.Array = dask.array.from_zarr(str(folder), chunks=chunks)
    return lazy


def _together(shape: tuple[int, ...], chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Return how far a task reaches: over whole pieces, over enough of them."""
    reach = [max(1, part) for part in chunks]
    while math.prod(reach) < _TASK:
        open_axes = [axis for axis, side in enumerate(shape) if reach[axis] < side]
        if not open_axes:
            break
        reach[min(open_axes, key=lambda axis: reach[axis] / shape[axis])] *= 2
    return tuple(reach)
