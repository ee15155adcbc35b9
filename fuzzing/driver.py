"""Random things done in a real viewer, one after the other, as a hand in a hurry would.

After the last one the widget is closed and all layers are removed: nothing of ours may
be left, and memory must be back.  Where the GUI thread computes for long in one go, the
lines that it was in are kept.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import gc
import importlib
import random
import re
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

PLUGIN, WIDGET = "napari-localdisc", "Local discrimination"
MOST_LAYERS = 10
MOST_NOTICES = 3
LONGEST_BLOCK = 0.2
"""Seconds of its own processor time that the GUI thread may take in one go."""
MOST_MEMORY = 150 << 20
"""Bytes above the start that may be taken at the end."""


@dataclass
class Report:
    """What came of random actions."""

    actions: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    findings: list[str] = field(default_factory=list)
    blocks: list[tuple[float, str]] = field(default_factory=list)
    """Seconds that the GUI thread computed for us in one go, and where."""
    blocks_of_napari: list[float] = field(default_factory=list)
    """Seconds that it computed for napari and Qt alone, layers that come and go too."""
    garbage: list[float] = field(default_factory=list)
    """Seconds that it looked for garbage in one go, whosever line it was in."""
    memory: list[int] = field(default_factory=list)
    """Bytes at the start, at most, and at the end."""
    seconds: float = 0.0
    told: set[str] = field(default_factory=set)
    """Findings that were said before the end."""


class Driver:
    """Does random things in a viewer with our widget.

    Parameters
    ----------
    viewer : napari.Viewer
        In a window that is shown.
    folder : Path
        Where files are written.
    seed : int
        What is done follows from it, and from how fast the machine is.
    """

    def __init__(self, viewer: Any, folder: Path, seed: int) -> None:
        self.viewer, self.folder, self.draw = viewer, folder, random.Random(seed)
        self.report = Report()
        self._random = np.random.default_rng(seed)
        self.add_image()
        self.open_widget()

    def open_widget(self) -> None:
        """Open our widget as the menu does."""
        _, self.widget = self.viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        self.controller = self.widget.controller
        self.controller.set_model("tiny")

    def close_widget(self) -> None:
        """Close its dock."""
        self.viewer.window.remove_dock_widget(self.widget)
        _events(0.05)

    # What a hand does

    def add_image(self) -> None:
        """Open a picture, now and then a stack."""
        rows, columns = np.mgrid[:110, :130]
        inside = np.hypot(rows - 55, columns - 65) < 50
        shape = (2, 110, 130, 3) if self.draw.random() < 0.2 else (110, 130, 3)
        noise = self._random.integers(60, 220, shape, np.uint8)
        self.viewer.add_image(noise * inside[..., None].astype(np.uint8), rgb=True)

    def _point(self) -> tuple[float, float]:
        return self.draw.uniform(12, 98), self.draw.uniform(22, 108)

    def _class(self) -> int:
        entries = self.controller.classes.entries
        return self.draw.choice(entries).value if entries else 1

    def _layer(self, *kinds: str) -> Any:
        layers = [
            layer
            for layer in self.viewer.layers
            if not kinds or type(layer).__name__ in kinds
        ]
        return self.draw.choice(layers) if layers else None

    def _canvas(self) -> tuple[Any, Any]:
        from qtpy.QtCore import QPoint

        native = self.viewer.window._qt_viewer.canvas.native
        at = self.draw.randrange(native.width()), self.draw.randrange(native.height())
        return native, QPoint(*at)

    def click(self) -> None:
        """Click somewhere on the canvas."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        native, at = self._canvas()
        modifiers = Qt.KeyboardModifier
        held = self.draw.choice((modifiers.NoModifier, modifiers.ShiftModifier))
        QTest.mouseMove(native, at)
        QTest.mouseClick(native, Qt.MouseButton.LeftButton, held, at)

    def hover(self) -> None:
        """Move the mouse over the canvas."""
        from qtpy.QtTest import QTest

        for _ in range(5):
            native, at = self._canvas()
            QTest.mouseMove(native, at)
            _events(0.02)

    def paint(self) -> None:
        """Paint a stroke of a class."""
        layer = self.controller.strokes.layer
        if layer is None:
            self.controller.strokes.start()
            layer = self.controller.strokes.layer
        if layer is None:
            return
        layer.brush_size = 5
        at = layer.world_to_data((*self.viewer.dims.point[:-2], *self._point()))
        outside = np.round(at) < 0, np.round(at) >= layer.data.shape
        if not np.any(outside):  # napari refuses what is not in the layer's plane
            with layer.block_history():
                layer.paint(tuple(map(int, np.round(at))), self._class())

    def remove_layer(self) -> None:
        """Remove any layer."""
        layer = self._layer()
        if layer is not None:
            self.viewer.layers.remove(layer)
        if self._layer("Image") is None:
            self.add_image()

    def choose_image(self) -> None:
        """Select another image."""
        layer = self._layer("Image")
        if layer is not None:
            self.viewer.layers.selection.active = layer

    def rename_layer(self) -> None:
        """Rename any layer."""
        layer = self._layer()
        if layer is not None:
            layer.name = self.draw.choice(("eye", "labels", "strokes", "é [1]"))

    def change_pixels(self) -> None:
        """Put other pixels into an image."""
        layer = self._layer("Image")
        if layer is not None and layer.rgb:
            layer.data = layer.data[..., ::-1, :].copy()

    def open_session(self) -> None:
        """Open the session that was saved last."""
        path = self.folder / "session.localdisc"
        if path.exists():
            self.widget.sessions.open(path)

    def apply_concept(self) -> None:
        """Apply the concept that was saved last."""
        path = self.folder / "mine.concept.safetensors"
        if path.exists():
            self.widget.concepts.apply_file(path, self.draw.random() < 0.3)

    def export(self) -> None:
        """Save labels to a file."""
        layer = self._layer("Labels")
        if layer is not None:
            ending = self.draw.choice(("png", "tif", "ome.tif"))
            layer.save(str(self.folder / f"labels.{ending}"))

    def move_through_stack(self) -> None:
        """Go to another plane."""
        if self.viewer.dims.ndim > 2:
            self.viewer.dims.set_current_step(0, self.draw.randrange(2))

    def reopen(self) -> None:
        """Close the widget in the middle of whatever it does, and open it again."""
        self.close_widget()
        self.open_widget()

    def wait(self) -> None:
        """Wait until all work is done."""
        end = time.monotonic() + 10
        while self.controller.workspace.work.is_busy and time.monotonic() < end:
            _events(0.02)

    def _options(self, **changes: Any) -> None:
        self.controller.prompts.set_options(**changes)

    def _toggle_grid(self) -> None:
        grid = getattr(self.viewer, "canvas", self.viewer).grid  # before napari 0.9
        grid.enabled = not grid.enabled

    def _toggle_alone(self) -> None:
        self.controller.one_image.set_alone(not self.controller.one_image.alone)

    def _show_tab(self) -> None:
        self.widget.tabs.setCurrentIndex(self.draw.randrange(self.widget.tabs.count()))

    @property
    def actions(self) -> dict[str, Callable[[], Any]]:
        """What may be done, by name."""
        c, draw = self.controller, self.draw
        yes = draw.random() < 0.5
        return {
            "positive prompt": lambda: c.prompts.add(self._point()),
            "negative prompt": lambda: c.prompts.add(self._point(), False),
            "click": self.click,
            "hover": self.hover,
            "threshold": lambda: self._options(threshold=draw.random()),
            "connected": lambda: self._options(connected=yes),
            "smooth": lambda: self._options(smooth=yes),
            "smallest piece": lambda: self._options(minimum_size=draw.randrange(40)),
            "threshold by key": lambda: c.prompts.move_threshold(draw.choice((-1, 1))),
            "find": lambda: c.prompts.set_finding(yes),
            "clear prompts": c.prompts.clear,
            "mask into labels": c.prompts.add_mask,
            "clusters": c.clusters.show,
            "number of clusters": lambda: c.clusters.set_number(draw.randrange(2, 13)),
            "structure": lambda: c.clusters.show_structure("vessel"),
            "clusters into labels": lambda: c.clusters.add([1, 2]),
            "structure into labels": lambda: c.writing.add_structure("vessel"),
            "preview": lambda: c.writing.preview_structure("vessel"),
            "overwrite": lambda: c.writing.set_overwrite(yes),
            "strokes": c.strokes.start,
            "paint": self.paint,
            "uncertainty": lambda: c.strokes.set_shows_uncertainty(yes),
            "where next": c.strokes.where_next,
            "prediction into labels": c.strokes.accept,
            "undo": c.undo,
            "redo": c.redo,
            "new class": lambda: c.classes.add(f"class {draw.randrange(9)}"),
            "choose class": lambda: c.classes.choose(self._class()),
            "rename class": lambda: c.classes.rename(self._class(), "vein"),
            "recolour class": lambda: c.classes.recolour(self._class(), "#12ab34"),
            "hide class": lambda: c.classes.set_visible(self._class(), yes),
            "remove class": lambda: c.classes.remove(self._class()),
            "add image": self.add_image,
            "choose image": self.choose_image,
            "remove layer": self.remove_layer,
            "rename layer": self.rename_layer,
            "change pixels": self.change_pixels,
            "save session": lambda: self.widget.sessions.save(
                self.folder / "session.localdisc"
            ),
            "open session": self.open_session,
            "save concept": lambda: self.widget.concepts.save_prompts(
                "mine", self.folder / "mine"
            ),
            "apply concept": self.apply_concept,
            "script": self.widget.scripts.write,
            "autosave": self.widget.autosaver.save,
            "export": self.export,
            "cancel": c.workspace.cancel,
            "other model": lambda: c.set_model(draw.choice(("tiny", "other"))),
            "another plane": self.move_through_stack,
            "grid": self._toggle_grid,
            "alone": self._toggle_alone,
            "tab": self._show_tab,
            "reopen": self.reopen,
            "wait": self.wait,
        }

    # Driving

    def drive(
        self,
        count: int,
        *,
        watch: bool = False,
        tell: Callable[[int, Report], None] = lambda number, report: None,
    ) -> Report:
        """Do random things and look at what is left of them.

        Parameters
        ----------
        count : int
            How many.
        watch : bool
            Whether to look at memory and at how long the GUI thread is busy.
        tell : callable
            Called now and then with how many were done, and with what came of them.
        """
        report, began = self.report, time.monotonic()
        with _listening(report):
            self._warm_up(everything=watch)
            before = self._attached()
            report.memory = [_memory()] * 2
            watching = _Watching(report) if watch else contextlib.nullcontext()
            with watching:
                for number in range(count):
                    self._do_one(number)
                    if number % 50 == 0:
                        report.memory[1] = max(report.memory[1], _memory())
                        tell(number, report)
            self._end(before)
        report.memory.append(_memory())
        if watch:
            self._check_memory()
        report.seconds = time.monotonic() - began
        return report

    def _warm_up(self, everything: bool) -> None:
        """Load what stays loaded: libraries, model, shaders."""
        from napari_localdisc._qt.threads import STAGES

        if everything:
            for modules in STAGES.values():  # what the widget loads seconds later
                for name in modules:
                    importlib.import_module(name)
            for at in range(self.widget.tabs.count()):
                self.widget.tabs.setCurrentIndex(at)
                _events(0.1)
            for name in self.actions:
                self._do(name, "warming up")
            self.wait()
            self.controller.prompts.set_finding(False)
            self.viewer.layers.clear()
            self.add_image()
        self.controller.clusters.show()
        self.controller.prompts.add(self._point())
        self.paint()
        self.wait()
        _events(0.2)

    def _do_one(self, number: int) -> None:
        name = self.draw.choice(list(self.actions))
        self.report.actions[name] += 1
        self._do(name, f"{number}")

    def _do(self, name: str, when: str) -> None:
        from napari_localdisc.core.errors import LocalDiscError
        from napari_localdisc.viewer.plugin import NotWritten

        try:
            self.actions[name]()
        except (LocalDiscError, NotWritten):
            self.report.refused += 1
        except Exception as error:
            self.report.findings.append(f"{when} {name}: {_told(error)}")
        while len(self.viewer.layers) > MOST_LAYERS:
            self.remove_layer()
        self._close_notices(MOST_NOTICES)
        _events(self.draw.choice((0, 0.01, 0.05)))

    def _close_notices(self, left: int) -> None:
        """Close napari's oldest notices.

        Each stays for 4 s after those that came later: a hand in a hurry would pile
        them up for minutes.
        """
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        shown = self.viewer.window._qt_window.findChildren(NapariQtNotification)
        for notice in shown[: len(shown) - left]:
            notice.close()

    def _attached(self) -> dict[str, Any]:
        """Return what we could leave behind in a viewer."""
        viewer = self.viewer
        return {
            "keys": {str(key) for key in viewer.keymap},
            "clicks": len(viewer.mouse_drag_callbacks),
            "moves": len(viewer.mouse_move_callbacks),
            "double clicks": len(viewer.mouse_double_click_callbacks),
            "wheel": len(viewer.mouse_wheel_callbacks),
        }

    def _end(self, during: dict[str, Any]) -> None:
        """Close all, and look at what is left."""
        findings = self.report.findings
        self.wait()
        before = {thread.name for thread in threading.enumerate()}
        self.close_widget()
        _events(0.5)
        bare = self._attached()
        for what in ("clicks", "moves", "double clicks", "wheel"):
            if bare[what] > during[what]:
                findings.append(f"{bare[what]} callbacks of {what} are left")
        ours = [
            f"{callback}"
            for callbacks in (
                self.viewer.mouse_drag_callbacks,
                self.viewer.mouse_move_callbacks,
                self.viewer.mouse_double_click_callbacks,
                self.viewer.keymap.values(),
            )
            for callback in callbacks
            if "napari_localdisc" in (getattr(callback, "__module__", "") or "")
        ]
        if ours:
            findings.append(f"{', '.join(ours)} are left")
        left = [layer.name for layer in self.viewer.layers if _is_transient(layer)]
        if left:
            findings.append(f"the layers {', '.join(left)} are left")
        self.viewer.layers.clear()
        self._close_notices(0)
        _events(0.5)
        threads = [
            thread.name
            for thread in threading.enumerate()
            if thread.name.startswith("localdisc") and thread.is_alive()
        ]
        if threads:
            findings.append(f"the threads {', '.join(threads)} of {before} are left")

    def _check_memory(self) -> None:
        start, _, end = self.report.memory
        if end - start > MOST_MEMORY:
            more = (end - start) >> 20
            self.report.findings.append(f"memory is {more} MB above the start")


def _is_transient(layer: Any) -> bool:
    from napari_localdisc.layers.plane import METADATA_KEY

    ours = layer.metadata.get(METADATA_KEY)
    return isinstance(ours, dict) and ours.get("what") in ("preview", "hover")


def _events(seconds: float) -> None:
    """Let the window do its work for some time.

    In an event loop: outside one Qt keeps for ever what it is to delete later, such as
    the controls of each layer that was removed.
    """
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def _told(error: BaseException) -> str:
    lines = traceback.extract_tb(error.__traceback__)[-4:]
    ways = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(lines))
    said = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {said} ({ways})"


@contextlib.contextmanager
def _listening(report: Report) -> Any:
    """Take down what is raised in slots, and what napari shows as a bug."""
    from napari.utils.notifications import notification_manager

    from napari_localdisc.core.errors import LocalDiscError

    def raised(kind: Any, error: BaseException, where: Any) -> None:
        report.findings.append(f"raised {_told(error.with_traceback(where))}")

    def shown(event: Any) -> None:
        error = getattr(event, "exception", None)
        if error is not None and not isinstance(error, LocalDiscError):
            report.findings.append(f"shown {_told(error)}")

    before, sys.excepthook = sys.excepthook, raised
    notification_manager.notification_ready.connect(shown)
    try:
        yield
    finally:
        sys.excepthook = before
        notification_manager.notification_ready.disconnect(shown)


class _Watching:
    """Looks from a thread of its own at what keeps the GUI thread busy."""

    def __init__(self, report: Report) -> None:
        self._report, self._gui = report, threading.get_ident()
        self._end = threading.Event()
        self._beat = (time.monotonic(), time.thread_time())
        self._seen: Counter[str] = Counter()
        self._garbage = 0.0

    def __enter__(self) -> None:
        from qtpy.QtCore import QTimer

        gc.callbacks.append(self._collects)
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(5)
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()
        self._timer.stop()
        gc.callbacks.remove(self._collects)

    def _collects(self, phase: str, about: dict[str, Any]) -> None:
        if threading.get_ident() != self._gui:
            return
        now = time.thread_time()
        if phase == "start":
            self._began = now
            return
        self._garbage += now - self._began
        self._report.garbage.append(now - self._began)

    def _tick(self) -> None:
        used = time.thread_time()
        took, self._beat = used - self._beat[1], (time.monotonic(), used)
        seen, self._seen = self._seen, Counter()
        # Python looks for garbage when anybody has made enough objects, and holds its
        # lock meanwhile: what is seen is the line after
        took, self._garbage = took - self._garbage, 0.0
        if took <= LONGEST_BLOCK:
            return
        if not seen:
            self._report.blocks.append((took, "not seen"))
            return
        ours = Counter({way: times for way, times in seen.items() if way != NAPARI})
        by_us = took * ours.total() / seen.total()
        if by_us > LONGEST_BLOCK:
            self._report.blocks.append((by_us, ours.most_common(1)[0][0]))
        if took - by_us > LONGEST_BLOCK:
            self._report.blocks_of_napari.append(took - by_us)

    def _look(self) -> None:
        head = f"{self._gui:#018x} (most recent"
        with tempfile.TemporaryFile("w+") as file:
            while not self._end.wait(0.02):
                if time.monotonic() - self._beat[0] < 0.08:
                    continue
                # A frame of Python's that is held here would keep what is in it, such
                # as painters, and have it deleted in this thread: that ends the process
                file.seek(0)
                file.truncate()
                faulthandler.dump_traceback(file)
                file.seek(0)
                threads = file.read().split("hread ")
                seen = [each for each in threads if each.startswith(head)]
                self._seen[_whose(seen[0] if seen else "")] += 1


NAPARI = "napari"
_FRAME = re.compile(r'File "(.+)", line (\d+) in (.+)')
_LAYER_COMES_OR_GOES = {
    ("_evented_list.py", "insert"),
    ("_evented_list.py", "__delitem__"),
    ("layerlist.py", "insert"),
    ("layerlist.py", "__delitem__"),
}


def _whose(stack: str) -> str:
    """Return the lines of ours that a stack is in, or `NAPARI` where there are none.

    What napari does while it adds or removes a layer is napari's, whoever asked for it
    (it costs as much by hand), but for what of ours listens to that.  What napari does
    by way of a fault of its that is mended, such as `_qt/opengl.py`, is none of ours.
    """
    lines: list[str] = []
    for file, line, function in _FRAME.findall(stack):
        path = Path(file)
        if "napari_localdisc" in path.parts:
            if path.name not in ("opengl.py", "thumbnails.py", "grids.py"):
                lines.append(f"{'/'.join(path.parts[-3:])}:{line}")
        elif not lines and (path.name, function) in _LAYER_COMES_OR_GOES:
            break
    return " < ".join(lines[:4]) or NAPARI


def _memory() -> int:
    """Return this process's memory in bytes, what is free given back first."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def _tell(number: int, report: Report) -> None:
    """Say how it goes, for a long run that may be cut short."""
    start, now = report.memory[0] >> 20, _memory() >> 20
    blocks = [f"{seconds:.2f} s for us in {where}" for seconds, where in report.blocks]
    for finding in (*report.findings, *blocks):
        if finding not in report.told:
            print(finding, file=sys.stderr)
            report.told.add(finding)
    print(
        f"{number} actions: {now - start} MB above the start, {len(report.findings)} "
        f"findings, {len(report.blocks)} times busy for us",
        file=sys.stderr,
        flush=True,
    )


def main(count: int, seed: int) -> Report:
    """Open a viewer of one's own and do random things in it."""
    import os

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ |= {
            "LOCALDISC_MODELS": str(folder / "models"),
            "LOCALDISC_CACHE": str(folder / "cache"),
            "LOCALDISC_SESSIONS": str(folder / "sessions"),
        }
        if sys.platform == "linux" and not os.environ.get("DISPLAY"):
            from pyvirtualdisplay import Display

            display = Display(visible=False, size=(1600, 1200)).start()
            atexit.register(display.stop)  # what went wrong is said before
        from napari import Viewer

        from napari_localdisc.core.model.model import Model, save_model

        (folder / "models").mkdir()
        for name, seeded in (("tiny", 0), ("other", 1)):
            card = {"working_diameter": 96, "width": 4, "structures": {"vessel": 0}}
            model = Model.random(seeded, name=name, **card)
            save_model(model, folder / "models" / name)
        viewer = Viewer()
        viewer.window.resize(1400, 900)
        # Nobody does that on a virtual screen, and napari's notices stay for ever in a
        # window that is not the active one
        viewer.window.activate()
        report = Driver(viewer, folder, seed).drive(count, watch=True, tell=_tell)
        viewer.close()
        _events(0.2)
    return report
