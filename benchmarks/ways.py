"""Claim: a click, *Add to labels*, undo and a stroke go at most 40 % of cef27d3's way.

A way is what one operation does in the package, without a window: Python's own profiler
counts its calls.  A *move* is a call or return that enters another file of the package
than the one that was left last; what lies between (napari, psygnal, torch) is
transparent, so that an event goes from who emits it to who hears it.  A *return* is a
move into a file that was left before.  Resuming a generator is a call; comprehensions
are none, as Python 3.12 has no frames for them.  The counts are the same in each run,
however busy the machine; they depend on napari's release, whose events they follow.

The whole story is told once uncounted, so that modules are imported and models loaded,
and a second time, counted, in another viewer.  Work is done at once, also what waits a
little in a window; the first Cluster reads its embedding from the disk.  Before the
story there is an image of 1411 × 1411 pixels, the sample.

``python -m benchmarks.ways --source OTHER/src`` counts another check-out too, beside
this one; ``--moves click`` lists the moves of an operation.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import importlib.metadata
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from .machine import table, verdict

NEEDS_DATA = False
HERE = Path(__file__).parents[1] / "src"
HOW = "counted"
LIMIT = 0.4
CLAIMED = ("click", "add to labels", "undo", "stroke")
BEFORE = Path(__file__).with_name("ways_before.json")
PACKAGE = "napari_localdisc"

# What the story calls of the package: the first of each that there is.
MODULES = {"controller": (f"{PACKAGE}.controller", f"{PACKAGE}.viewer.controller")}
CALLS = {
    "cluster": ("cluster", "clusters.show"),
    "start strokes": ("strokes.start",),
    "strokes": ("strokes.layer",),
}
KEYS = {"find similar": "Q", "add to labels": "K", "undo": "U"}
# (row, column) as parts of the image's size.
FIRST, SECOND, CLASS, BACKGROUND = (0.5, 0.4), (0.3, 0.57), (0.54, 0.35), (0.21, 0.64)

Count = dict[str, int]
Moves = Counter[tuple[str, str]]


class Way:
    """Counts what a thread's profiler tells of the package's frames."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
        self._files: dict[CodeType, str | None] = {}
        self._here: dict[int, str] = {}
        self._left: dict[int, set[str]] = {}
        self.calls = 0
        self.returns = 0
        self.functions: set[tuple[str, str, int]] = set()
        self.moves: Moves = Counter()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Take what the profiler says."""
        file = self._file(frame.f_code)
        if file is None or event not in ("call", "return"):
            return
        if event == "call":
            self.calls += 1
            code = frame.f_code
            self.functions.add((file, code.co_qualname, code.co_firstlineno))
            self._enter(file)
            return
        back = frame.f_back
        while back is not None:
            above = self._file(back.f_code)
            if above is not None:
                self._enter(above)
                return
            back = back.f_back

    def _file(self, code: CodeType) -> str | None:
        """Return a frame's file in the package; None where it is transparent."""
        if code not in self._files:
            inside = code.co_filename.startswith(self._folder)
            inside = inside and code.co_name not in ("<listcomp>", "<dictcomp>")
            inside = inside and code.co_name not in ("<setcomp>", "<module>")
            file = code.co_filename.removeprefix(self._folder)
            self._files[code] = file if inside else None
        return self._files[code]

    def _enter(self, file: str) -> None:
        thread = threading.get_ident()
        here, left = self._here.get(thread), self._left.setdefault(thread, set())
        if here is not None and here != file:
            self.moves[here, file] += 1
            left.add(here)
            self.returns += file in left
        self._here[thread] = file

    def count(self) -> Count:
        """Return the sums."""
        return {
            "calls": self.calls,
            "functions": len(self.functions),
            "files": len({file for file, *_ in self.functions}),
            "moves": self.moves.total(),
            "returns": self.returns,
        }


class Ways:
    """One way for each operation of a story, by its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ways: dict[str, Way] = {}

    @contextlib.contextmanager
    def counting(self, name: str) -> Iterator[None]:
        """Count what is done inside."""
        way = self.ways[name] = Way(self._folder)
        gc.collect()
        gc.disable()  # what it would finalise is nobody's way
        threading.setprofile(way)
        sys.setprofile(way)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
            gc.enable()


def part(owner: Any, name: str) -> Any:
    """Return the first attribute of `CALLS` that there is."""
    for path in CALLS[name]:
        found = owner
        for attribute in path.split("."):
            found = getattr(found, attribute, None)
        if found is not None:
            return found
    raise LookupError(f"the controller has none of {', '.join(CALLS[name])}")


def module(name: str) -> Any:
    """Import the first module of `MODULES` that there is."""
    for path in MODULES[name]:
        with contextlib.suppress(ModuleNotFoundError):
            return importlib.import_module(path)
    raise LookupError(f"there is none of {', '.join(MODULES[name])}")


def click(viewer: Any, point: tuple[float, float]) -> None:
    """Press and release the left button on a point, as napari's canvas tells of it."""
    from napari.utils._proxies import ReadOnlyWrapper
    from napari.utils.interactions import (
        mouse_press_callbacks,
        mouse_release_callbacks,
    )

    def event(kind: str) -> SimpleNamespace:
        return SimpleNamespace(
            type=kind,
            button=1,
            modifiers=(),
            pos=np.array(point[::-1]),
            position=point,
            dims_displayed=[0, 1],
            handled=False,
        )

    pressed = ReadOnlyWrapper(event("mouse_press"), exceptions=("handled",))
    mouse_press_callbacks(viewer, pressed)
    mouse_release_callbacks(viewer, event("mouse_release"))


def press(viewer: Any, name: str) -> None:
    """Press a key of the plugin's."""
    from napari.utils.key_bindings import coerce_keybinding

    viewer.keymap[coerce_keybinding(KEYS[name])](viewer)


def stroke(strokes: Any, point: tuple[int, int], value: int) -> None:
    """Paint as napari's brush does: the stroke is told of when it is complete."""
    with strokes.block_history():
        strokes.paint(point, value)


def tell(
    image: np.ndarray[Any, Any],
    counting: Callable[[str], Any],
    model: str = "fundus",
) -> None:
    """Do all that is counted on one image, in a viewer without a window."""
    from napari.components import ViewerModel

    def at(point: tuple[float, float]) -> tuple[int, int]:
        return round(point[0] * image.shape[0]), round(point[1] * image.shape[1])

    viewer = ViewerModel()
    viewer.add_image(image, name="retina", rgb=True)
    controller = module("controller").Controller(viewer)
    controller.set_model(model)
    with counting("first cluster"):
        part(controller, "cluster")()
    _shows(viewer, 2)
    press(viewer, "find similar")
    with counting("first click"):
        click(viewer, at(FIRST))
    _shows(viewer, 5)
    with counting("click"):
        click(viewer, at(SECOND))
    _shows(viewer, 5)
    with counting("add to labels"):
        press(viewer, "add to labels")
    _shows(viewer, 3)
    with counting("undo"):
        press(viewer, "undo")
    _shows(viewer, 6)
    part(controller, "start strokes")()
    strokes = part(controller, "strokes")
    stroke(strokes, at(CLASS), 1)
    stroke(strokes, at(BACKGROUND), 2)
    _shows(viewer, 8)
    with counting("stroke"):
        stroke(strokes, at(SECOND), 1)
    _shows(viewer, 8)
    controller.close()


def _shows(viewer: Any, layers: int) -> None:
    names = [layer.name for layer in viewer.layers]
    if len(names) != layers:
        raise RuntimeError(f"{layers} layers were expected: {', '.join(names)}")


def tell_folder(
    image: np.ndarray[Any, Any], folder: Path, counting: Callable[[str], Any]
) -> None:
    """Run the command line over a folder of two images, one at a time."""
    images, made = folder / "images", folder / "made"
    images.mkdir(parents=True)
    for number, picture in enumerate((image, image[:, ::-1])):
        Image.fromarray(picture).save(images / f"{number}.png")
    main = importlib.import_module(f"{PACKAGE}.cli").main
    arguments = ["cluster", str(images), "-o", str(made), "--workers", "1"]
    said = io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        counting("folder of two"),
    ):
        ended = main(arguments)
    if ended or len(list(made.iterdir())) != 2:
        raise RuntimeError(said.getvalue())


def count() -> dict[str, Any]:
    """Tell the story twice; return the second one's counts and moves."""
    inside = Path(importlib.import_module(PACKAGE).__file__ or "").parent
    retina = Image.open(inside / "data" / "retina.jpg").convert("RGB")
    image, small = np.asarray(retina), np.asarray(retina.resize((256, 256)))
    ways = Ways(inside)
    with tempfile.TemporaryDirectory() as folder:
        tell(image, lambda name: contextlib.nullcontext())
        tell(image, ways.counting)
        # Other pixels each time: a folder is embedded, not looked up
        for name, shade, counting in (
            ("rehearsal", 3, lambda name: contextlib.nullcontext()),
            ("counted", 0, ways.counting),
        ):
            tell_folder(small // 2 + shade, Path(folder) / name, counting)
    return {
        name: {
            "count": way.count(),
            "moves": [[*pair, number] for pair, number in way.moves.most_common()],
        }
        for name, way in ways.ways.items()
    }


def count_in(source: Path) -> dict[str, Any]:
    """Count in a process of its own, which knows nothing of the user's folders."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "NAPARI_CONFIG": f"{folder}/napari.yaml"}
        environ["PYTHONHASHSEED"] = "0"
        for name in ("CACHE", "SESSIONS", "MODELS"):
            environ[f"LOCALDISC_{name}"] = f"{folder}/{name.lower()}"
        environ["PYTHONPATH"] = str(source.resolve())
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.ways", "--count"],
            cwd=Path(__file__).parents[1],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    counted: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return counted


def compare(now: Mapping[str, Count], before: Mapping[str, Count], commit: str) -> str:
    """Return a table: the counts, and beside them what the moves are a share of."""
    rows = []
    for name, counts in now.items():
        moves, reference = counts["moves"], before[name]["moves"]
        claimed = name in CLAIMED
        rows.append(
            (
                name,
                *counts.values(),
                reference,
                f"{moves / reference:.0%}",
                f"≤ {LIMIT:.0%}" if claimed else "–",
                verdict(moves, LIMIT * reference) if claimed else "–",
            )
        )
    return table(
        "operation | calls | functions | files | moves | returns | "
        f"moves of {commit} | share | claim | holds",
        rows,
    )


def run(source: Path | None = None) -> str:
    """Count this check-out, beside another one or what was counted at first."""
    now = {name: way["count"] for name, way in count_in(HERE).items()}
    if source is not None:
        before = {name: way["count"] for name, way in count_in(source).items()}
        return compare(now, before, "the other check-out")
    reference = json.loads(BEFORE.read_text("utf-8"))
    return compare(now, reference["counts"], reference["commit"])


def main() -> None:
    """Print the table, or what it is made of."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ways")
    parser.add_argument(
        "--source", type=Path, metavar="SRC", help="Another check-out's src."
    )
    parser.add_argument(
        "--moves", metavar="OPERATION", help="List the moves of an operation instead."
    )
    parser.add_argument(
        "--json", action="store_true", help="Print the counts alone, as JSON."
    )
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.count:
        print(json.dumps(count()))
    elif chosen.moves:
        for left, entered, number in count_in(chosen.source or HERE)[chosen.moves][
            "moves"
        ]:
            print(f"{number:5} {left} → {entered}")
    elif chosen.json:
        counts = {
            name: w["count"] for name, w in count_in(chosen.source or HERE).items()
        }
        versions = {"napari": importlib.metadata.version("napari")}
        print(json.dumps({**versions, "counts": counts}, indent=2))
    else:
        print(run(chosen.source))


if __name__ == "__main__":
    main()
