"""Claim: a click's overlay is drawn after at most 150 ms.

From the mouse button to similarity, mask and prompt on the canvas of a real window with
the widget in its dock, software rendering, on the sample retina; from the third click
on, each at another place, where the preview under the pointer has been drawn before.
The window opens on a virtual screen (xvfb-run) where none is named.

Drawn is what has been through the canvas's draw event, OpenGL's queue and Qt's
composition of the window after the last of the three layers changed.  A bare redraw of
the same canvas is measured after each click, in the same way.

``python -m benchmarks.drawn_click --source OTHER/src`` clicks in another check-out too,
in turn: one click here, one there.  The processor's time is the window's thread's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import machine
from .machine import table, verdict

NEEDS_DATA = False
HERE = Path(__file__).parents[1] / "src"
LIMIT = 150
OVERLAY = ("similarity", "mask", "prompts")
"""Ends of the names of the layers that a click changes."""
WARM_UP = 1
QUIET, PATIENCE = 0.4, 120.0

Taken = tuple[float, float]
"""Milliseconds on the clock, and of the processor's time."""


class Window:
    """A viewer with the sample and the widget; clicks as a hand does."""

    def __init__(self) -> None:
        import napari
        from vispy.gloo import gl

        import napari_localdisc
        from napari_localdisc._qt import MainWidget

        sample = Path(napari_localdisc.__file__).parent / "data" / "retina.jpg"
        self.viewer = napari.Viewer()
        self.viewer.add_image(np.asarray(Image.open(sample)), name="retina", rgb=True)
        self.widget = MainWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name="Local discrimination")
        self.viewer.window.resize(1600, 900)
        self._canvas = self.viewer.window._qt_viewer.canvas
        self._native = self._canvas.native
        self._clicks = 0
        self._changed: dict[str, float] = {}
        self._draws, self._drawn_at = 0, 0.0

        def drawn(event: Any) -> None:
            gl.glFinish()
            self._draws += 1
            self._drawn_at = time.perf_counter()

        # Behind vispy's own, which draw and send OpenGL its commands
        self._canvas._scene_canvas.events.draw.connect(drawn, position="last")
        self.idle(1)
        self.viewer.reset_view()
        self.idle(1)

    def first_click(self) -> None:
        """Turn on Find similar and click; wait for the network and the layers."""
        from .ways import press

        press(self.viewer, "find similar")
        self._click(self._place())
        self._until(lambda: len(self._overlay()) == len(OVERLAY))
        for end, layer in self._overlay().items():
            layer.events.set_data.connect(lambda event, end=end: self._note(end))
        self.idle(2)

    def click(self) -> Taken:
        """Click at another place; return the milliseconds until it is drawn."""
        place = self._place()
        self._move(place)
        self.idle(QUIET)
        self._changed.clear()
        start, busy = time.perf_counter(), time.thread_time()
        self._click(place)
        changed, drawn, worked = 0.0, 0.0, 0.0
        while not drawn or time.perf_counter() < max(drawn, changed) + QUIET:
            if time.perf_counter() > start + PATIENCE:
                raise RuntimeError(f"of a click only {list(self._changed)} was drawn")
            self._process()
            if len(self._changed) < len(OVERLAY):
                continue
            if max(self._changed.values()) > changed:  # also after it was drawn
                changed, drawn = max(self._changed.values()), 0.0
            if not drawn and self._drawn_at > changed:
                drawn, worked = time.perf_counter(), time.thread_time()
        return 1000 * (drawn - start), 1000 * (worked - busy)

    def redraw(self) -> Taken:
        """Draw the canvas as it is; return the milliseconds."""
        start, busy = time.perf_counter(), time.thread_time()
        seen = self._draws
        self._native.update()
        self._until(lambda: self._draws > seen)
        taken, worked = time.perf_counter() - start, time.thread_time() - busy
        return 1000 * taken, 1000 * worked

    def idle(self, seconds: float) -> None:
        """Let the window do what it wants to."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self._process()
            time.sleep(0.001)

    def _note(self, end: str) -> None:
        self._changed[end] = time.perf_counter()

    def _overlay(self) -> dict[str, Any]:
        return {
            end: layer
            for layer in self.viewer.layers
            for end in OVERLAY
            if layer.name.endswith(end)
        }

    def _place(self) -> tuple[float, float]:
        """Return another canvas pixel inside the field of view each time."""
        self._clicks += 1
        reach = min(self._native.width(), self._native.height()) / 3.5
        radius, angle = reach * np.sqrt(self._clicks / 40), 2.4 * self._clicks
        centre = self._native.width() / 2, self._native.height() / 2
        x, y = centre + radius * np.array((np.cos(angle), np.sin(angle)))
        return float(x), float(y)

    def _move(self, place: tuple[float, float]) -> None:
        self._send("MouseMove", place, "NoButton", "NoButton")

    def _click(self, place: tuple[float, float]) -> None:
        self._send("MouseButtonPress", place, "LeftButton", "LeftButton")
        self._send("MouseButtonRelease", place, "LeftButton", "NoButton")

    def _send(
        self, kind: str, place: tuple[float, float], button: str, held: str
    ) -> None:
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        at = QPointF(*place)
        event = QMouseEvent(
            getattr(QEvent.Type, kind),
            at,
            QPointF(self._native.mapToGlobal(at.toPoint())),
            getattr(Qt.MouseButton, button),
            getattr(Qt.MouseButton, held),
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self._native, event)

    @staticmethod
    def _process() -> None:
        from qtpy.QtWidgets import QApplication

        QApplication.processEvents()

    def _until(self, done: Callable[[], bool]) -> None:
        end = time.perf_counter() + PATIENCE
        while not done():
            if time.perf_counter() > end:
                raise RuntimeError("the window does not do what it was asked for")
            self._process()


def serve() -> None:
    """Open a window and click once for each line of the standard input."""
    window = Window()
    window.first_click()
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            asked.put(line)
        os._exit(0)  # Qt takes its time to end

    threading.Thread(target=listen, daemon=True).start()
    while True:
        if asked.empty():
            window.idle(0.02)  # as a window does that nobody clicks in
            continue
        asked.get()
        print(json.dumps([window.click(), window.redraw()]), flush=True)


@contextlib.contextmanager
def clicking(source: Path) -> Iterator[Callable[[], tuple[Taken, Taken]]]:
    """Open a window in a process of its own; yield what clicks in it once."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "NAPARI_CONFIG": f"{folder}/napari.yaml"}
        environ["LIBGL_ALWAYS_SOFTWARE"] = "1"
        for name in ("CACHE", "SESSIONS", "MODELS"):
            environ[f"LOCALDISC_{name}"] = f"{folder}/{name.lower()}"
        environ["PYTHONPATH"] = str(source.resolve())
        command = [sys.executable, "-m", "benchmarks.drawn_click", "--serve"]
        if sys.platform.startswith("linux") and not (
            environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
        ):
            screen = "-screen 0 1600x900x24 -nolisten tcp"
            command = ["xvfb-run", "-a", "-s", screen, *command]
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(
                command,
                cwd=Path(__file__).parents[1],
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            ) as process,
        ):
            requests, answers = process.stdin, process.stdout
            assert requests is not None
            assert answers is not None

            def click() -> tuple[Taken, Taken]:
                with contextlib.suppress(BrokenPipeError):  # what it said is raised
                    requests.write("click\n")
                    requests.flush()
                for line in answers:
                    if line.startswith("[["):
                        clicked, redrawn = json.loads(line)
                        return tuple(clicked), tuple(redrawn)
                said.seek(0)
                raise RuntimeError(said.read()[-2000:])

            yield click


def run(source: Path | None = None) -> str:
    """Click in this check-out's window, and in turn in that of another one."""
    with contextlib.ExitStack() as stack:
        places = {"": HERE} if source is None else {"here, ": HERE, "there, ": source}
        windows = {
            name: stack.enter_context(clicking(place)) for name, place in places.items()
        }
        times: dict[str, list[tuple[Taken, Taken]]] = {name: [] for name in windows}
        for turn in range(WARM_UP + machine.RUNS):
            # Each is as often the first
            order = list(windows.items())[:: -1 if turn % 2 else 1]
            for name, click in order:
                taken = click()
                if turn >= WARM_UP:
                    times[name].append(taken)
    rows: list[tuple[object, ...]] = []
    for name, pairs in times.items():
        clicks, bare = ([pair[which] for pair in pairs] for which in (0, 1))
        middle = statistics.median(clock for clock, _ in clicks)
        redraw = statistics.median(clock for clock, _ in bare)
        rows += [
            (f"{name}bare redraw", *_spread(bare), 1, "–", "–"),
            (
                f"{name}click to its drawn overlay",
                *_spread(clicks),
                f"{middle / redraw:.1f}",
                f"≤ {LIMIT} ms",
                verdict(middle, LIMIT),
            ),
        ]
    columns = "what | ms | from, to | processor's ms | redraws | claim | holds"
    return table(columns, rows)


def _spread(taken: list[Taken]) -> tuple[str, str, str]:
    clock, busy = ([pair[which] for pair in taken] for which in (0, 1))
    middle, worked = statistics.median(clock), statistics.median(busy)
    return f"{middle:.0f}", f"{min(clock):.0f} to {max(clock):.0f}", f"{worked:.0f}"


def main() -> None:
    """Print the table, or click in a window as the other process does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drawn_click")
    parser.add_argument(
        "--source", type=Path, metavar="SRC", help="Another check-out's src."
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve()
        return
    print(machine.describe(), end="\n\n")
    print(run(chosen.source))


if __name__ == "__main__":
    main()
