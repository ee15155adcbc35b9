"""How long somebody works on an image."""

import time
from collections.abc import Callable

IDLE = 60.0
"""Seconds without a hand's doing that still count as work on an image."""


class Stopwatch:
    """Counts the time that somebody works: what is between two doings of a hand.

    Parameters
    ----------
    now : callable
        Returns seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last = now()
        self.seconds = 0.0

    def restart(self) -> None:
        """Count from now on."""
        self._last, self.seconds = self._now(), 0.0

    def touch(self) -> None:
        """Count what has passed, at most `IDLE`."""
        now = self._now()
        self.seconds += min(now - self._last, IDLE)
        self._last = now
