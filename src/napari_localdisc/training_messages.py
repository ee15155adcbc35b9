"""What a training process says on its standard output: one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Preparing:
    """Photographs read, and in all (0: the process is only starting)."""

    done: int
    total: int


@dataclass(frozen=True)
class Stepped:
    """Where the training is.

    Attributes
    ----------
    step : int
        Steps done.
    share : float
        Progress in [0, 1], by steps or by time.
    seconds : float
        Time trained so far.
    losses : dict of str to float
        Each weighted term and ``total``, as means since the last message.
    validation : dict of str to float, optional
        After a validation, what it measured.
    """

    step: int
    share: float
    seconds: float
    losses: dict[str, float]
    validation: dict[str, float] | None = None


@dataclass(frozen=True)
class Pictured:
    """The clusters of the current image lie in a file of the job's folder.

    Attributes
    ----------
    file : str
        ``.npz`` with ``labels``: (H, W) uint8, 0 outside the field of view.
    step : int
        When they were computed.
    colours : list
        RGBA in [0, 1] of each label, from 0 on.
    """

    file: str
    step: int
    colours: list[list[float]]


@dataclass(frozen=True)
class Compared:
    """What two models see in an image lies in a file of the job's folder.

    Attributes
    ----------
    file : str
        ``.npz`` with ``before0``, ``after0``, ``before1``, …: (h, w, 3) uint8.
    views : list of str
        What each pair shows: a structure's name or ``clusters``.
    """

    file: str
    views: list[str]


@dataclass(frozen=True)
class Noted:
    """Something to know that stops nothing, such as a file that was left out."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The model is saved.

    Attributes
    ----------
    file : str
        The model's file.
    steps : int
        Steps trained.
    stopped : bool
        Whether the user stopped it before its end.
    """

    file: str
    steps: int
    stopped: bool


@dataclass(frozen=True)
class Stopped:
    """Stopped before the first step: there is no model."""


@dataclass(frozen=True)
class Failed:
    """The training cannot go on; the reason is a sentence for the user."""

    reason: str


Message = (
    Preparing | Stepped | Pictured | Compared | Noted | Finished | Stopped | Failed
)
LAST = (Finished, Stopped, Failed)
"""Messages after which no other comes."""

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Preparing,
        Stepped,
        Pictured,
        Compared,
        Noted,
        Finished,
        Stopped,
        Failed,
    )
}


def to_line(message: Message) -> str:
    """Write a message as one line."""
    fields = {"message": type(message).__name__} | dataclasses.asdict(message)
    return json.dumps(fields) + "\n"


def from_line(line: str) -> Message | None:
    """Read a line; None if it is not one of ours."""
    try:
        fields = json.loads(line)
        return _KINDS[fields.pop("message")](**fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
