"""Names of structures, however a user spells them."""

from __future__ import annotations

from collections.abc import Iterable


def plain_name(name: str) -> str:
    """Return a name in lower case with ``_`` for blanks and hyphens: fit for files."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def find_name(known: Iterable[str], name: str) -> str | None:
    """Return the known name that is ``name`` up to case, blanks, ``-`` and ``_``."""
    plain = plain_name(name)
    return next((own for own in known if plain_name(own) == plain), None)
