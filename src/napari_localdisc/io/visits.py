"""Patient, eye and visit of an image, as its file's name says them."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import re2

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
        A regular expression of RE2 with some of the groups ``patient``, ``eye`` and
        ``visit`` that is searched for instead; what it does not find is empty.

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
    _compiled(pattern)


def _compiled(pattern: str) -> Any:
    """Make a pattern ready; a study of a stranger's may bring it.

    RE2 takes time and memory in proportion to pattern and name, where Python's own
    engine may try for ever; for that it has no looking around and no references back.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        made = re2.compile(_plain(pattern), options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        raise FileError(
            f"{pattern!r} is no regular expression ({reason}): write, for instance, "
            "'(?P<patient>[0-9]+)_(?P<eye>OD|OS)_(?P<visit>.*)'."
        ) from error
    if not set(made.groupindex) & set(_GROUPS):
        raise FileError(
            f"{pattern!r} names nothing: it needs a group called patient, eye or "
            "visit, for instance '(?P<patient>[0-9]+)'."
        )
    return made


def _by_pattern(name: str, pattern: str) -> Origin:
    found = _compiled(pattern).search(_plain(name))
    said = {} if found is None else found.groupdict()
    patient, eye, visit = (said.get(group) or "" for group in _GROUPS)
    return Origin(patient, _EYES.get(eye.lower(), ""), visit)


def _plain(text: str) -> str:
    """Return text that is UTF-8, as bytes of some names of files are not."""
    return text.encode("utf-8", "replace").decode("utf-8")
