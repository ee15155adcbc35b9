"""Patient, eye and visit of an image, as its file's name says them."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from napari_localdisc.core.errors import FileError

Eye = Literal["right", "left", ""]

_EYES: dict[str, Eye] = {
    **dict.fromkeys(("od", "re", "right", "r"), "right"),
    **dict.fromkeys(("os", "le", "left", "l"), "left"),
}
_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)"
)
_VISIT = re.compile(r"(visit|session|month|week|year|v|m)(\d+)")
_WORDS = {"v": "visit", "m": "month"}
_ALONE = ("visit", "session", "month", "week", "year")
_AT_ONCE = {"baseline": "baseline", "followup": "follow-up"}
_GROUPS = ("patient", "eye", "visit")


class Origin(NamedTuple):
    """Whose image it is, of which eye, and when; empty: the name does not say."""

    patient: str
    eye: Eye
    visit: str


def origin_of(name: str, pattern: str = "") -> Origin:
    """Read patient, eye and visit from a file's name.

    Parts between ``_``, ``-``, ``.`` and blanks are looked at: ``OD``, ``R``, ``RE``,
    ``right`` and ``OS``, ``L``, ``LE``, ``left``; ``visit_2``, ``v2``, ``m06``,
    ``month6``, ``week12``, ``year1``, ``baseline``, and dates (2024-05-31 or 20240531).
    What is left is the patient.

    Parameters
    ----------
    name : str
        Without its ending.
    pattern : str
        A regular expression with some of the groups ``patient``, ``eye`` and ``visit``
        that is searched for instead; what it does not find is empty.

    Raises
    ------
    FileError
        If the pattern is none, or has none of these groups.
    """
    if pattern:
        return _by_pattern(name, pattern)
    eye: Eye = ""
    visit = ""
    date = _DATE.search(name)
    if date is not None:
        visit = "-".join(date.groups())
        name = name[: date.start()] + "_" + name[date.end() :]
    left: list[str] = []
    parts = [part for part in re.split(r"[_\-. ]+", name) if part]
    while parts:
        part = parts.pop(0)
        plain = part.lower()
        counted = _VISIT.fullmatch(plain)
        if not eye and plain in _EYES:
            eye = _EYES[plain]
        elif not visit and plain in _AT_ONCE:
            visit = _AT_ONCE[plain]
        elif not visit and counted is not None:
            word, number = counted.groups()
            visit = f"{_WORDS.get(word, word)} {int(number)}"
        elif not visit and plain in _ALONE and parts and parts[0].isdigit():
            visit = f"{plain} {int(parts.pop(0))}"
        else:
            left.append(part)
    return Origin("_".join(left), eye, visit)


def check_pattern(pattern: str) -> None:
    """Raise a FileError for a pattern that cannot be used."""
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise FileError(
            f"{pattern!r} is no regular expression ({error}): write, for instance, "
            "'(?P<patient>[0-9]+)_(?P<eye>OD|OS)_(?P<visit>.*)'."
        ) from error
    if not set(groups) & set(_GROUPS):
        raise FileError(
            f"{pattern!r} names nothing: it needs a group called patient, eye or "
            "visit, for instance '(?P<patient>[0-9]+)'."
        )


def _by_pattern(name: str, pattern: str) -> Origin:
    check_pattern(pattern)
    found = re.search(pattern, name)
    said = {} if found is None else found.groupdict()
    patient, eye, visit = (said.get(group) or "" for group in _GROUPS)
    return Origin(patient, _EYES.get(eye.lower(), ""), visit)
