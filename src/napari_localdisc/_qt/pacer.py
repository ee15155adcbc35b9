"""Work that may come a little later, by Qt's timers."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QTimer


class QtPacer:
    """Calls back from the event loop; the last call for a purpose counts."""

    def __init__(self) -> None:
        self._timers: dict[str, QTimer] = {}
        self._calls: dict[str, Callable[[], None]] = {}

    def soon(self, purpose: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Call in some milliseconds; a call that waits is replaced, not put off."""
        self._calls[purpose] = call
        timer = self._timers.get(purpose)
        if timer is None:
            timer = self._timers[purpose] = QTimer()
            timer.setSingleShot(True)
            timer.timeout.connect(lambda: self._fire(purpose))
        if not timer.isActive():
            timer.start(milliseconds)

    def _fire(self, purpose: str) -> None:
        call = self._calls.pop(purpose, None)
        if call is not None:
            call()

    def stop(self) -> None:
        """Forget all calls that wait."""
        for timer in self._timers.values():
            timer.stop()
        self._timers.clear()
        self._calls.clear()
