"""Claim: the next image of a study, made ready ahead, is drawn within a second.

From the key to the picture and three structures on the canvas of a real window with the
dock “Study”, software rendering; photographs of 2 megapixels, each the sample retina
turned or mirrored.  The window opens on a virtual screen (xvfb-run) where none is
named, in a process of its own.  Drawn is what has been through the canvas's draw event
and OpenGL's queue.  Other work on the machine makes the clock's time longer, hardly the
processor's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import machine
from .machine import retina, table, verdict

NEEDS_DATA = False
LIMIT = 1.0
STRUCTURES = ("vessel", "optic disc", "bright lesion")


def run() -> str:
    """Move through a study in a window of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "NAPARI_CONFIG": f"{folder}/napari.yaml"}
        environ["LIBGL_ALWAYS_SOFTWARE"] = "1"
        for name in ("CACHE", "SESSIONS", "MODELS"):
            environ[f"LOCALDISC_{name}"] = f"{folder}/{name.lower()}"
        command = [sys.executable, "-m", "benchmarks.study_moving", "--serve"]
        command += [folder, "--runs", str(machine.RUNS)]
        if sys.platform.startswith("linux") and not (
            environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
        ):
            screen = "-screen 0 1600x900x24 -nolisten tcp"
            command = ["xvfb-run", "-a", "-s", screen, *command]
        done = subprocess.run(
            command,
            cwd=Path(__file__).parents[1],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("[[")]
    if not lines:
        raise RuntimeError(done.stderr[-2000:])
    moves = json.loads(lines[-1])
    clock, busy = ([move[which] for move in moves] for which in (0, 1))
    middle = statistics.median(clock)
    row = (
        "to the next image, all of it drawn",
        f"{middle:.2f}",
        f"{min(clock):.2f} to {max(clock):.2f}",
        f"{statistics.median(busy):.2f}",
        f"≤ {LIMIT} s",
        verdict(middle, LIMIT),
    )
    return table("what | s | from, to | processor's s | claim | holds", [row])


def serve(folder: Path, runs: int) -> None:
    """Open a window and move through a study; print seconds and processor's seconds."""
    import napari
    from qtpy.QtWidgets import QApplication
    from vispy.gloo import gl

    from napari_localdisc._qt import StudyWidget

    scans = folder / "scans"
    scans.mkdir()
    for number in range(runs + 2):
        pixels = np.rot90(retina()[:, :: -1 if number % 2 else 1], number // 2)
        Image.fromarray(np.ascontiguousarray(pixels)).save(scans / f"p{number:02}.png")
    viewer = napari.Viewer()
    widget = StudyWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Study")
    viewer.window.resize(1600, 900)
    control = widget.control
    canvas = viewer.window._qt_viewer.canvas
    drawn = [0.0]

    def on_draw(event: Any) -> None:
        gl.glFinish()
        drawn[0] = time.perf_counter()

    canvas._scene_canvas.events.draw.connect(on_draw, position="last")

    def until(done: Any, seconds: float = 600) -> None:
        end = time.perf_counter() + seconds
        while not done():
            if time.perf_counter() > end:
                raise RuntimeError("the window does not do what it was asked for")
            QApplication.processEvents()
            time.sleep(0.001)

    def settle() -> None:
        until(lambda: control.current and not (control.work.is_busy or _ahead()))
        end = time.perf_counter() + 1
        until(lambda: time.perf_counter() > end)

    def _ahead() -> bool:
        return bool(control.ahead.is_busy)

    control.begin(scans, STRUCTURES, "grader")
    settle()
    moves = []
    for number in range(runs + 1):
        before = control.current
        start, busy = time.perf_counter(), time.process_time()
        control.next()
        assert control.current is not before
        changed = time.perf_counter()
        until(lambda since=changed: drawn[0] > since)
        moves.append((time.perf_counter() - start, time.process_time() - busy))
        if number < runs:
            settle()
    print(json.dumps(moves[1:]), flush=True)  # the first one loads what is loaded once
    os._exit(0)  # Qt takes its time to end


def main() -> None:
    """Print the table, or move in a window as the other process does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study_moving")
    parser.add_argument("--serve", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=machine.RUNS)
    chosen = parser.parse_args()
    if chosen.serve is not None:
        serve(chosen.serve, chosen.runs)
        return
    print(machine.describe(), end="\n\n")
    print(run())


if __name__ == "__main__":
    main()
