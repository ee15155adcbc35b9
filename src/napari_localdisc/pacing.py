"""Work that may come a little later: of many requests in a row the last one counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Pacer(Protocol):
    """Does things soon, in the thread that asked for them."""

    def soon(self, purpose: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Call within some milliseconds.

        While a call for the same purpose waits, it is replaced and not put off.
        """

    def stop(self) -> None:
        """Forget all calls that wait."""


class AtOnce:
    """Does everything at once: for scripts and tests."""

    def soon(self, purpose: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Call now."""
        call()

    def stop(self) -> None:
        """Nothing waits."""
