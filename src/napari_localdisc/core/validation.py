"""What comes from outside is checked, by pydantic, before it is used."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json


def first_fault(error: ValidationError) -> str:
    """Say where what comes from outside is wrong first, and how."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)
    where = ".".join(map(str, fault[0]["loc"]))
    what = fault[0]["msg"]
    return f"{where}: {what[:1].lower()}{what[1:]}" if where else what


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text from outside holds.

    Raises
    ------
    ValueError
        If it is none, or nested too deep for Python, whose own reader then raises a
        RecursionError.
    """
    return from_json(text)
