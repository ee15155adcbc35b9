"""Loading what the first click needs while the user still looks at the window."""

from __future__ import annotations

import contextlib
import importlib
import threading
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

DELAY_MILLISECONDS = 200
"""After the widget was made: it is drawn first."""

WANTED = (
    "napari_localdisc.core.embedding",
    "napari_localdisc.io.cache",
    # If Cluster was pressed already, its network is running by now
    "scipy.cluster.hierarchy",  # merges clusters
    "pandas",  # what napari makes Labels layers with
    "zarr",  # reads what was embedded before
)
"""In the order in which a first Cluster wants them."""


def warm_up_soon(widget: QWidget) -> QTimer:
    """Import torch and the rest in a thread, unless the widget is gone by then."""
    timer = QTimer(widget)
    timer.setSingleShot(True)
    timer.timeout.connect(_start)
    timer.start(DELAY_MILLISECONDS)
    return timer


def _start() -> None:
    # No daemon: libraries that are being loaded when Python ends may crash it
    threading.Thread(target=_load, name="localdisc warm-up").start()


def _load() -> None:
    # What is missing is said in a sentence when it is asked for
    with contextlib.suppress(ImportError):
        for name in WANTED:
            importlib.import_module(name)
