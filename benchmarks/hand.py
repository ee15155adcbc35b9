"""Claim: the hand does not wait: first Cluster, first click, later clicks, hover.

In a real window with the widget in its dock, the 1411 × 1411 sample, an empty cache
and a Qt event loop that is left alone.  Cluster is pressed two seconds after the
widget is there, Find similar is turned on when the clusters are drawn, and the first
click follows a second later.  Drawn is what has been through the canvas's draw event,
OpenGL's queue and Qt's composition of the window; software rendering.  Each run is a
process of its own; the window opens on a virtual screen (xvfb-run) where none is named.

What napari by itself takes is measured in the same window: a redraw of the canvas as
it is; for the first click, to add three layers of these kinds and sizes; and for the
previews, to show other pixels in such a layer at each move, as its ``data`` are set.

``--profile FILE`` writes what the window's thread does from the first click until it
is drawn, for ``pstats``.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import machine
from .drawn_click import OVERLAY, Window
from .machine import table, verdict

NEEDS_DATA = False
HERE = Path(__file__).parents[1]
BEFORE_CLUSTER, BEFORE_CLICK = 2.0, 1.0
LATER_CLICKS, HOVER_SECONDS = 7, 2.0
POLL = 2
"""Milliseconds between two looks at what there is."""

LIMITS = {"cluster": 3000, "first click": 800, "later clicks": 150}
NAMES = {
    "redraw": "bare napari: redraw",
    "three layers": "bare napari: three new layers, drawn",
    "cluster": f"first Cluster, {BEFORE_CLUSTER:.0f} s after the widget is there",
    "first click": "first click",
    "later clicks": "a later click",
    "bare hover": "bare napari: other pixels at each move, drawn, a second",
    "hover": "previews under the pointer, a second",
}


class Hand(Window):
    """A window whose event loop runs by itself between what a hand does."""

    def idle(self, seconds: float) -> None:
        """Leave the window alone."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        loop.exec()

    @staticmethod
    def _process() -> None:
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(POLL, loop.quit)
        loop.exec()

    def cluster(self) -> float:
        """Press Cluster; return the milliseconds until the clusters are drawn."""
        clusters = self.widget.controller.clusters
        done: list[float] = []
        clusters.changed.connect(lambda: done.append(time.perf_counter()))
        start = time.perf_counter()
        clusters.show()
        self._until(lambda: bool(done))
        self._native.update()  # it may have been drawn already
        self._until(lambda: self._drawn_at > done[0])
        return 1000 * (self._drawn_at - start)

    def find_similar(self) -> None:
        """Turn it on."""
        from .ways import press

        press(self.viewer, "find similar")

    def timed_first_click(self) -> float:
        """Click; return the milliseconds until the three layers are drawn."""
        place = self._place()
        self._move(place)
        self.idle(0.3)
        start = time.perf_counter()
        self._click(place)
        self._until(lambda: len(self._overlay()) == len(OVERLAY))
        there = time.perf_counter()
        self._native.update()
        self._until(lambda: self._drawn_at > there)
        taken = 1000 * (self._drawn_at - start)
        for end, layer in self._overlay().items():
            layer.events.set_data.connect(lambda event, end=end: self._note(end))
        return taken

    def hover(self) -> float:
        """Move the mouse in circles; return how many previews a second are drawn."""
        shown: list[Any] = []
        hover = self.widget.controller.prompts.hover
        hover.shown.connect(lambda point: point and shown.append(point))
        return self._moving(shown)

    def bare_hover(self) -> float:
        """Do the same, where napari alone shows other pixels at each move."""
        import numpy as np

        from napari_localdisc.layers.plane import METADATA_KEY

        self.widget.controller.prompts.set_finding(False)  # no preview is drawn
        shown: list[Any] = []
        pictures = np.random.default_rng(0).random((4, 576, 576), np.float32)
        layer = self.viewer.add_image(
            pictures[0],
            contrast_limits=(0, 1),
            scale=(2.45, 2.45),
            opacity=0.3,
            metadata={METADATA_KEY: {}},  # or it would be another image to work on
        )

        def show(viewer: Any, event: Any) -> None:
            shown.append(event.position)
            layer.data = pictures[len(shown) % len(pictures)]

        self.viewer.mouse_move_callbacks.append(show)
        rate = self._moving(shown)
        self.viewer.mouse_move_callbacks.remove(show)
        self.viewer.layers.remove(layer)
        self.idle(0.5)
        return rate

    def _moving(self, shown: list[Any]) -> float:
        """Move the mouse; return how many of what was shown a second were drawn."""
        drawn: set[int] = set()

        def note(event: Any) -> None:
            drawn.add(len(shown))

        events = self._canvas._scene_canvas.events
        events.draw.connect(note, position="last")
        start = time.perf_counter()
        while time.perf_counter() - start < HOVER_SECONDS:
            self._clicks %= 50  # or it would leave the image
            self._move(self._place())
            self._process()
        events.draw.disconnect(note)
        return len(drawn - {0}) / (time.perf_counter() - start)

    def three_layers(self) -> float:
        """Add layers as a first click does, by napari alone; milliseconds to drawn."""
        import numpy as np

        working = np.zeros((576, 576), np.float32)
        labels = np.zeros((1411, 1411), np.uint8)
        start = time.perf_counter()
        added = [
            self.viewer.add_image(working, contrast_limits=(0, 1), scale=(2.45, 2.45)),
            self.viewer.add_labels(labels),
            self.viewer.add_points(np.full((1, 2), 700.0), size=30),
        ]
        after = time.perf_counter()
        self._native.update()
        self._until(lambda: self._drawn_at > after)
        taken = 1000 * (self._drawn_at - start)
        for layer in added:
            self.viewer.layers.remove(layer)
        self.idle(0.5)
        return taken


def measure(profile: str = "") -> dict[str, float]:
    """Go through it once in this process."""
    hand = Hand()
    hand.idle(BEFORE_CLUSTER)
    found = {"cluster": hand.cluster()}
    hand.find_similar()
    hand.idle(BEFORE_CLICK)
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    found["first click"] = hand.timed_first_click()
    if profile:
        profiler.disable()
        profiler.dump_stats(profile)
    hand.idle(2)
    clicks = [(hand.click()[0], hand.redraw()[0]) for _ in range(LATER_CLICKS + 1)][1:]
    found["later clicks"] = statistics.median(click for click, _ in clicks)
    found["redraw"] = statistics.median(redraw for _, redraw in clicks)
    found["hover"] = hand.hover()
    found["bare hover"] = hand.bare_hover()
    found["three layers"] = hand.three_layers()
    return found


def _in_a_process(arguments: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "NAPARI_CONFIG": f"{folder}/napari.yaml"}
        environ["LIBGL_ALWAYS_SOFTWARE"] = "1"
        for name in ("CACHE", "SESSIONS", "MODELS"):
            environ[f"LOCALDISC_{name}"] = f"{folder}/{name.lower()}"
        command = [sys.executable, "-m", "benchmarks.hand", "--once", *arguments]
        if sys.platform.startswith("linux") and not (
            environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
        ):
            screen = "-screen 0 1600x900x24 -nolisten tcp"
            command = ["xvfb-run", "-a", "-s", screen, *command]
        finished = subprocess.run(
            command, cwd=HERE, env=environ, capture_output=True, text=True, check=False
        )
    for line in finished.stdout.splitlines():
        if line.startswith('{"cluster'):
            found: dict[str, float] = json.loads(line)
            return found
    raise RuntimeError(finished.stderr[-2000:])


def run(runs: int | None = None, arguments: list[str] | None = None) -> str:
    """Measure in processes of their own; medians."""
    count = machine.RUNS if runs is None else runs
    every = [_in_a_process(arguments or []) for _ in range(count)]
    verdicts: dict[str, Callable[[float], str]] = {
        key: lambda value, limit=limit: verdict(value, limit)
        for key, limit in LIMITS.items()
    }
    verdicts["hover"] = lambda value: verdict(value, 20, at_least=True)
    claims = {key: f"< {limit} ms" for key, limit in LIMITS.items()} | {"hover": "≥ 20"}
    redraw = statistics.median(each["redraw"] for each in every)
    rows: list[tuple[object, ...]] = []
    for key, name in NAMES.items():
        values = [each[key] for each in every]
        middle = statistics.median(values)
        rows.append(
            (
                name,
                f"{middle:.0f}",
                f"{min(values):.0f} to {max(values):.0f}",
                "–" if key.endswith("hover") else f"{middle / redraw:.1f}",
                claims.get(key, "–"),
                verdicts[key](middle) if key in verdicts else "–",
            )
        )
    return table("what | ms | from, to | redraws | claim | holds", rows)


def main() -> None:
    """Print the table, or measure once as the other process does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hand")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--profile", default="", metavar="FILE")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.once:
        print(json.dumps(measure(chosen.profile)), flush=True)
        os._exit(0)  # Qt takes its time to end
    print(machine.describe(), end="\n\n")
    more = ["--profile", chosen.profile] if chosen.profile else []
    print(run(chosen.runs, more))


if __name__ == "__main__":
    main()
