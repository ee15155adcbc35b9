"""What a session's document says, validated: a bad detail costs that detail alone."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict, ValidationError

from napari_localdisc.core.model.card import LARGEST, SMALLEST

_Text = Annotated[str, Field(max_length=10_000)]
_Count = Annotated[int, Field(ge=0)]
_Details = dict[str, JsonValue]
_Plane = Annotated[list[_Count | None], Field(max_length=64)]
_Strokes = Annotated[tuple[_Plane, _Count], Strict(False)]  # of JSON, which has lists
_Group = Annotated[tuple[_Count, _Count], Strict(False)]
_Run = Annotated[tuple[_Count, _Count, _Count], Strict(False)]
_ByHand = Annotated[tuple[_Plane, list[_Run]], Strict(False)]
_Member = Annotated[tuple[Literal["images", "labels"], _Count], Strict(False)]


def _nothing_done() -> _Details:
    return {"planes": []}


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class About(_Entry):
    """Of a `Session` what is neither image nor labels."""

    model: _Text | None = None
    model_hash: _Text | None = None
    structures: Annotated[int, Field(ge=1, le=1000)] = 8
    chosen: _Count | None = None
    order: Annotated[list[_Member], Field(max_length=100_000)] = Field(
        default_factory=list
    )
    saved_at: _Text = ""
    magnification: Annotated[float, Field(ge=SMALLEST, le=LARGEST)] | None = None


class Labels(_Entry):
    """A `SavedLabels`; its array is the name of a file."""

    name: _Text = "labels"
    data: _Text | None = None
    placement: _Details = Field(default_factory=dict)
    colours: _Details = Field(default_factory=dict)
    looks: _Details = Field(default_factory=dict)
    made_by: _Details = Field(default_factory=dict)


class Image(_Entry):
    """A `SavedImage`; its array is the name of a file."""

    name: _Text = "image"
    path: _Text | None = None
    reader: _Text | None = None
    sample: Annotated[list[_Text], Field(min_length=2, max_length=2)] | None = None
    content_hash: _Text | None = None
    shape: Annotated[list[_Count], Field(max_length=64)] = Field(default_factory=list)
    dtype: _Text = ""
    rgb: bool = False
    pixels: _Text | None = None
    placement: _Details = Field(default_factory=dict)
    annotation: _Details = Field(default_factory=_nothing_done)
    labels: _Count | None = None
    groups: Annotated[list[_Group], Field(max_length=1000)] = Field(
        default_factory=list
    )
    strokes: Annotated[list[_Strokes], Field(max_length=100_000)] = Field(
        default_factory=list
    )
    by_hand: Annotated[list[_ByHand], Field(max_length=100_000)] = Field(
        default_factory=list
    )
    looks: _Details = Field(default_factory=dict)


def validated(
    values: Any, kind: type[_Entry], of: str, faults: list[str]
) -> dict[str, Any]:
    """Return what is right of an entry; for the rest there is what is usual.

    Parameters
    ----------
    values : object
        What JSON holds.
    kind : type
        `About`, `Labels` or `Image`.
    of : str
        What it is an entry of, for sentences.
    faults : list of str
        Gets a sentence for each detail that is left out.
    """
    if not isinstance(values, Mapping):
        faults.append(f"What the session says of {of} is damaged: left out.")
        return dict(kind())
    try:
        return dict(kind.model_validate(values))
    except ValidationError as error:
        bad = {str(fault["loc"][0]) for fault in error.errors(include_url=False)}
    faults += [f"The {part[:50]} of {of} is damaged: left out." for part in sorted(bad)]
    return dict(kind.model_validate({k: v for k, v in values.items() if k not in bad}))
