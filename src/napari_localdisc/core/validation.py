"""What comes from outside is checked, by pydantic, before it is used."""

from pydantic import ValidationError


def first_fault(error: ValidationError) -> str:
    """Say where what comes from outside is wrong first, and how."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)
    where = ".".join(map(str, fault[0]["loc"]))
    what = fault[0]["msg"]
    return f"{where}: {what[:1].lower()}{what[1:]}" if where else what
