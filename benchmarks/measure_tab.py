"""Claim: in the window, numbers follow an edit: regions .5 s, vessels 1.5 s.

The sample photograph (2 megapixels) in a viewer, with the page Measure open: the
bundled model's vessels and disc, or 400 discs of 20 pixels' radius.  From a stroke in
the Labels layer to the new number in the table: waiting for the hand (0.12 s),
measuring in a thread of its own, table, plot, the layer's features and, in the last
line, the drawing of all calibres.  Other work on the machine makes the clock's time
several times longer, hardly the processor's: the claim is of a machine that does
nothing else, so that it holds where the wait and the processor's seconds of all
threads, one after another, are within it.  "Window still" is the longest time by the
clock in which the window did not answer.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from napari_localdisc.viewer.measure import DELAY

from . import machine
from .machine import Row, table, verdict

NEEDS_DATA = False
REGIONS, VESSELS = 0.5, 1.5
WAIT = DELAY / 1000

_CODE = """
import json, sys, time
import numpy as np, napari
from qtpy.QtWidgets import QApplication
import napari_localdisc as ld
from napari_localdisc.core.embedding.embed import map_clusters
from napari_localdisc.io.samples import open_retina

def settle(done, limit=180.0):
    end, still = time.monotonic() + limit, 0.0
    while not done():
        if time.monotonic() > end:
            raise RuntimeError("no numbers came")
        start = time.monotonic()
        QApplication.processEvents()
        still = max(still, time.monotonic() - start)
        time.sleep(0.005)
    return still

runs, picture = int(sys.argv[1]), open_retina()[0][0]
maps = map_clusters(picture, ld.load_model("fundus"))
labels = (maps.structure("vessel") >= 0.5).astype(np.uint8)
labels[maps.structure("optic disc") >= 0.5] = 2
labels *= maps.field_of_view
rows, columns = (np.arange(side) % 70 - 35 for side in labels.shape)
discs = (np.hypot(rows[:, None], columns) < 20).astype(np.uint8)
viewer = napari.Viewer()
viewer.add_image(picture, name="retina")
_, widget = viewer.window.add_plugin_dock_widget(
    "napari-localdisc", "Local discrimination"
)
widget.tabs.setCurrentWidget(widget.measure_page)
measuring, panel, told = widget.measuring, widget.measure_panel, {}

def current():
    result = measuring.result
    return result is not None and result.asked.layer is measuring.labels

def follow(name, layer):
    settle(current)
    times = []
    for run in range(runs + 1):
        old = panel.table.rows
        start, busy = time.perf_counter(), time.process_time()
        at = 400 + 12 * run
        side = 600 + 60 * len(told)  # where nothing was painted before
        layer.data[at : at + 8, side : side + 40] = 1
        layer.refresh()
        still = settle(lambda: panel.table.rows is not old)
        now = time.perf_counter() - start, time.process_time() - busy, still
        times.append(now)
    told[name] = times[1:]

def layer_of(pixels, name, names):
    made = viewer.add_labels(
        pixels, name=name, metadata={"napari-localdisc": {"classes": names}}
    )
    measuring.choose(made)
    return made

objects = layer_of(discs, "objects", {1: "cell"})
panel.pieces.value = True
follow("regions: 400 discs, each", objects)
panel.pieces.value = False
vessels = layer_of(labels, "vessels", {1: "vessel", 2: "optic disc"})
follow("vessels and disc, the field", vessels)
panel.disc.value = True
panel.regions.set_chosen(("field", "etdrs", "zones"))
measuring.set_options(regions=("field", "etdrs", "zones"))
settle(lambda: measuring.result.asked.options == measuring.options)
follow("vessels and disc, ETDRS rings and zones", vessels)
measuring.set_options(regions=("field",))
settle(lambda: measuring.result.asked.options == measuring.options)
chosen = [row.measure for row in panel.table.rows].index("calibre median")
panel.table.select(chosen)
follow("the same of the field, all calibres drawn", vessels)
viewer.close()
print(json.dumps(told))
"""


def run() -> str:
    """Edit, and wait for the table."""
    from napari_localdisc.cli.screen import has_screen, on_virtual_screen

    command = [sys.executable, "-c", _CODE, str(machine.RUNS)]
    if not has_screen():
        command = on_virtual_screen(command, 1600, 1000)
    with tempfile.TemporaryDirectory() as folder:
        # The user's own napari settings neither change the times nor are changed
        environ = {**os.environ, "NAPARI_CONFIG": str(Path(folder) / "settings.yaml")}
        finished = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environ
        )
    if finished.returncode:
        raise RuntimeError(finished.stderr[-2000:])
    told = json.loads(finished.stdout.splitlines()[-1])
    limits = (REGIONS, VESSELS, None, VESSELS)
    return table(
        "what | processor's seconds | with the wait | by the clock | window still | "
        "claim | holds",
        [
            _row(name, times, limit)
            for (name, times), limit in zip(told.items(), limits, strict=True)
        ],
    )


def _row(name: str, times: list[list[float]], limit: float | None) -> Row:
    clock, busy, still = (statistics.median(part) for part in zip(*times, strict=True))
    alone = busy + WAIT
    claim = f"≤ {limit} s" if limit else "–"
    holds = verdict(alone, limit) if limit else "–"
    seconds = (f"{each:.2f}" for each in (busy, alone, clock, still))
    return name, *seconds, claim, holds
