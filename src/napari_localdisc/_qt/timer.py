"""A beat in the GUI thread."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


class QtTimer:
    """Calls back again and again, in the GUI thread.

    Parameters
    ----------
    parent : QObject
        With which it ends.
    """

    def __init__(self, parent: QObject) -> None:
        self._timer = QTimer(parent)
        self._call: Callable[[], None] = lambda: None
        self._timer.timeout.connect(self._on_timeout)

    @property
    def seconds(self) -> float:
        """The time between two calls; 0 while it is stopped."""
        return self._timer.interval() / 1000 if self._timer.isActive() else 0.0

    def start(self, seconds: float, call: Callable[[], None]) -> None:
        """Call every so many seconds, the first time after that many."""
        self._call = call
        self._timer.start(round(seconds * 1000))

    def stop(self) -> None:
        """Call no longer."""
        self._call = lambda: None
        self._timer.stop()

    def _on_timeout(self) -> None:
        self._call()
