"""Claim: nobody waits for the start.

Importing the package takes less than 0.15 s, the manifest's commands less than 0.3 s,
opening the widget less than 0.8 s beyond bare napari, and the first Cluster after the
start less than 3 s on the retina, which was never embedded before.
A hand takes 1.5 s from the open widget to its button, while torch is loaded.
Each run is a process of its own; the window opens on a virtual screen where there is
no other.
"""

from __future__ import annotations

import os
import statistics
import tempfile

from . import machine
from .machine import script, table, verdict

NEEDS_DATA = False
HAND = 1.5
_TIMER = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_COMMANDS = """
import time
import napari._qt.qt_main_window, napari.viewer  # what bare napari has loaded
import npe2
from npe2.manifest.utils import import_python_name
manifest = npe2.PluginManifest.from_distribution("napari-localdisc")
start = time.perf_counter()
for command in manifest.contributions.commands:
    import_python_name(command.python_name)
print(time.perf_counter() - start)
"""
_WINDOW = """
import time
start = time.perf_counter()
import napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
QApplication.processEvents()
napari_seconds = time.perf_counter() - start
viewer.open_sample("napari-localdisc", "retina")
QApplication.processEvents()
start = time.perf_counter()
dock, widget = viewer.window.add_plugin_dock_widget(
    "napari-localdisc", "Local discrimination"
)
QApplication.processEvents()
widget_seconds = time.perf_counter() - start
pause = time.perf_counter()
while time.perf_counter() - pause < SECONDS_BEFORE:
    QApplication.processEvents()
done = []
widget.controller.clusters.changed.connect(lambda: done.append(time.perf_counter()))
start = time.perf_counter()
widget.controller.clusters.show()
while not done:
    QApplication.processEvents()
    time.sleep(0.001)
cluster_seconds = done[0] - start
viewer.close()
print({})
"""


def run() -> str:
    """Measure each in processes of its own, in turn."""
    works = {
        "numpy": _TIMER.format("import numpy"),
        "package": _TIMER.format("import napari_localdisc"),
        "commands": _COMMANDS,
        "napari": _WINDOW.format("napari_seconds"),
        "widget": _WINDOW.format("widget_seconds"),
        "cluster": _WINDOW.format("cluster_seconds"),
        "at once": _WINDOW.format("cluster_seconds"),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(machine.RUNS):
        for name, code in works.items():
            before = HAND if name == "cluster" else 0
            code = code.replace("SECONDS_BEFORE", str(before))
            with tempfile.TemporaryDirectory() as empty:
                environ = {**os.environ, "LOCALDISC_CACHE": empty}
                window = "napari.Viewer" in code
                times[name].append(script(code, environ, window=window))
    seconds = {name: statistics.median(taken) for name, taken in times.items()}
    limits = {
        "package": 0.15,
        "commands": 0.3,
        "widget": 0.8,
        "cluster": 3.0,
        "at once": 3.0,
    }
    names = {
        "numpy": "import numpy",
        "package": "import napari_localdisc",
        "commands": "import what the manifest's commands name, beside napari",
        "napari": "bare napari, to an empty window",
        "widget": "the dock widget, beyond that",
        "cluster": f"first Cluster on the retina, {HAND} s after the widget is there",
        "at once": "the same, asked for at once by a program",
    }
    return table(
        "what | s | of bare napari | claim | holds",
        [
            (
                name,
                f"{seconds[key]:.2f}",
                f"{seconds[key] / seconds['napari']:.2f}",
                f"< {limits[key]} s" if key in limits else "–",
                verdict(seconds[key], limits[key]) if key in limits else "–",
            )
            for key, name in names.items()
        ],
    )
