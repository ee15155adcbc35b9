"""Loading what the first clicks need while the user still looks at the window."""

from __future__ import annotations

import contextlib
import importlib
import threading
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_localdisc.loading import without_collections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtWidgets import QWidget

STAGES = {
    200: ("napari_localdisc.core.embedding", "napari_localdisc.io.cache"),
    # Later: beside a Cluster that is pressed soon they would be in its way
    6000: (
        "scipy.cluster.hierarchy",  # merges clusters
        "pandas",  # what napari makes Labels layers with
        "zarr",  # reads what was embedded before
    ),
}
"""Milliseconds after the widget was made, and so drawn → modules."""


def warm_up_soon(widget: QWidget) -> None:
    """Import torch and the rest in threads, unless the widget is gone by then."""
    for delay, modules in STAGES.items():
        timer = QTimer(widget)
        timer.setSingleShot(True)
        timer.timeout.connect(lambda modules=modules: _start(modules))
        timer.start(delay)


def _start(modules: Iterable[str]) -> None:
    # No daemon: libraries that are being loaded when Python ends may crash it
    thread = threading.Thread(target=_load, args=(modules,), name="localdisc warm-up")
    thread.start()


def _load(modules: Iterable[str]) -> None:
    # What is missing is said in a sentence when it is asked for
    with contextlib.suppress(ImportError), without_collections():
        for name in modules:
            importlib.import_module(name)
