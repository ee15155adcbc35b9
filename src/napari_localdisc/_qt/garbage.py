"""A fault of PySide6 that ends the process while something computes, mended."""

import gc
import time

import qtpy
from qtpy.QtCore import QCoreApplication, QObject, QTimer

INTERVAL = 100
"""Milliseconds from one look at how much was made to the next."""

REST = 100
"""How many times as long as a full look takes there is none afterwards."""


class Collector(QObject):
    """Looks for garbage in the thread of the window alone, by Python's thresholds.

    Python itself does so in whatever thread makes the next object, and PySide6 (seen in
    6.11.3) deletes widgets, timers and signals that are garbage there and then: in the
    middle of an event that the window's thread hands to them, if a thread computes.
    (PyQt6 leaves them to the window's thread.)

    Parameters
    ----------
    parent : QObject
        Lives as long.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._next_full = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)

    def start(self) -> None:
        """Look from now on, and keep Python from it."""
        gc.disable()
        self._timer.start(INTERVAL)

    def stop(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        gc.enable()

    def _look(self) -> None:
        gc.disable()  # somebody who had switched it off may have ended meanwhile
        counts, thresholds = gc.get_count(), gc.get_threshold()
        if not thresholds[0] or counts[0] <= thresholds[0]:
            return
        began = time.monotonic()
        if counts[1] <= thresholds[1]:
            gc.collect(0)
        elif counts[2] <= thresholds[2] or began < self._next_full:
            gc.collect(1)
        else:
            gc.collect()
            now = time.monotonic()
            self._next_full = now + REST * (now - began)


def collect_where_windows_are() -> None:
    """Have garbage looked for in the thread of the window alone, with PySide6."""
    app = QCoreApplication.instance()
    if not qtpy.PYSIDE6 or app is None or app.findChild(Collector) is not None:
        return
    collector = Collector(app)
    collector.start()
    app.aboutToQuit.connect(collector.stop)
