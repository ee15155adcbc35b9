"""Long work that is done step by step, run to its end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

from .errors import Cancelled

T = TypeVar("T")


def run_steps(
    steps: Generator[tuple[int, int], None, T],
    progress: Callable[[int, int], None] | None,
    cancel: Callable[[], bool] | None,
    cancelled: str,
) -> T:
    """Take all steps; return what the generator returns.

    Parameters
    ----------
    steps : generator
        Yields (steps done, steps in all).
    progress : callable, optional
        Called with both after each step.
    cancel : callable, optional
        Asked before each step; true stops the work.
    cancelled : str
        The sentence for a work that was stopped.

    Raises
    ------
    Cancelled
        If ``cancel`` said so.
    """
    while True:
        if cancel is not None and cancel():
            steps.close()
            raise Cancelled(cancelled)
        try:
            done, total = next(steps)
        except StopIteration as finished:
            result: T = finished.value
            return result
        if progress is not None:
            progress(done, total)
