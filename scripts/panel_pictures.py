"""Take pictures of every panel in every state, and say where text is cut off.

Run with the package installed: python scripts/panel_pictures.py FOLDER. A machine with
no screen gets a virtual one. The panels are gone through as a user does: empty, ready,
working, done and failed, in both themes, in a small window and in a large one, and in
a small one of a screen with 200 % scaling. What a panel cannot show whole in some
state is printed, and makes the exit status 1. `--docs` takes small pictures of the
panels alone, one of each, for docs/panels.md instead.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

PLUGIN, SAMPLE = "napari-localdisc", "retina"
MAIN, TRAINING, FOLDER = "Local discrimination", "Train a model", "Work on a folder"
STUDY, COLLECTION = "Study", "Search a collection"
TABS = "Structures", "Find similar", "Strokes", "Measure", "Models", "Files"
DOCS = {
    "main_structures_labels": "panel_structures",
    "main_find_similar_done": "panel_find_similar",
    "main_strokes_done": "panel_strokes",
    "main_models_done": "panel_models",
    "main_files_done": "panel_files",
    "adapt_working": "panel_train",
    "folder_done": "panel_folder",
}
"""Pictures that the documentation shows → file of docs/images."""

DOCS_KIND = "light_1280x720"
THEMES = "dark", "light"
SIZES = (1280, 720), (1600, 1000)
WAIT = 300.0
NAPARIS = 76
"""Pixels of a window's height that its menu, status and the docks' tabs take."""
VESSEL, DISC, NOT_DISC = (420.0, 300.0), (640.0, 216.0), (704.0, 707.0)
MODEL = "fundus"


class Album:
    """A viewer whose panels are gone through.

    Parameters
    ----------
    folder : Path
        Where pictures go.
    theme : str
        One of `THEMES`.
    size : (int, int)
        Width and height of the window.
    suffix : str
        Of the pictures' names.
    docs : bool
        Whether to take the pictures of the documentation alone.
    """

    def __init__(
        self,
        folder: Path,
        theme: str,
        size: tuple[int, int],
        suffix: str,
        docs: bool = False,
    ) -> None:
        import napari
        from napari.settings import get_settings

        get_settings().appearance.theme = theme
        self.folder, self.suffix, self.size = folder, suffix, size
        self.docs, self.faults = docs, 0
        self.viewer = napari.Viewer(title=PLUGIN)
        self.viewer.window.set_geometry(0, 0, *size)
        self.main: Any = self.open(MAIN)

    def open(self, name: str) -> Any:
        """Open a widget as the menu does."""
        return self.viewer.window.add_plugin_dock_widget(PLUGIN, name)[1]

    def settle(self, until: Callable[[], bool] = lambda: True) -> None:
        """Go on when something is so, and the window is at rest."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + WAIT
        while not until():
            if time.monotonic() > end:
                raise TimeoutError("A panel did not come to its end.")
            QApplication.processEvents()
            time.sleep(0.005)
        calm = time.monotonic() + 1.0
        while time.monotonic() < calm:
            QApplication.processEvents()
            time.sleep(0.005)

    def until(self, so: Callable[[], bool]) -> None:
        """Go on the moment that something is so."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + WAIT
        while not so() and time.monotonic() < end:
            QApplication.processEvents()

    def take(self, name: str, widget: QWidget | None = None) -> None:
        """Take a picture of the window, or of a dialog."""
        if widget is None:
            window: Any = self.viewer.window._qt_window
        else:
            window = widget
        if self.docs:
            self._take_docs(name, window)
            return
        path = self.folder / f"{name}_{self.suffix}.png"
        if not window.grab().save(str(path)):
            raise OSError(f"{path} was not written.")
        faults = [] if widget is not None else list(too_high(window))
        for fault in sorted({*faults, *cut_texts(window)}):
            print(f"{path.name}: {fault}", flush=True)
            self.faults += 1

    def _take_docs(self, name: str, window: Any) -> None:
        """Take a picture of the panel alone."""
        from PIL import Image

        from napari_localdisc._qt.parts import Docked

        shown = [w for w in window.findChildren(Docked) if not seen(w).isEmpty()]
        if name not in DOCS or not shown:
            return
        path = self.folder / f"{DOCS[name]}.png"
        shown[0].grab().save(str(path))
        with Image.open(path) as picture:
            picture.convert("RGB").save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size // 1000} kB")

    def tabs(self, state: str, names: tuple[str, ...] = TABS) -> None:
        """Take each tab of the main widget."""
        tabs = self.main.tabs
        titles = [tabs.tabText(index) for index in range(tabs.count())]
        for name in names:
            tabs.setCurrentIndex(titles.index(name))
            self.settle()
            self.settle(lambda: not self.main.measuring.is_busy)
            self.take(f"main_{name.lower().replace(' ', '_')}_{state}")
        tabs.setCurrentIndex(0)


def too_high(window: Any) -> Iterator[str]:
    """Yield what of ours would make a window of 720 pixels higher."""
    from napari_localdisc._qt.parts import Docked, dock_of

    for widget in window.findChildren(Docked):
        dock = dock_of(widget)
        needed = 0 if dock is None else dock.minimumSizeHint().height()
        if needed > SIZES[0][1] - NAPARIS:
            yield f"{type(widget).__name__} needs {needed} pixels"


def seen(widget: QWidget) -> Any:
    """Return what of a widget is not covered, such as by another tab."""
    return widget.visibleRegion()


def cut_texts(window: QWidget) -> Iterator[str]:
    """Yield the texts of our docks, or of a dialog, that are not shown whole."""
    from qtpy.QtCore import QRect, Qt
    from qtpy.QtWidgets import (
        QAbstractButton,
        QComboBox,
        QDialog,
        QLabel,
        QScrollArea,
        QToolButton,
    )

    from napari_localdisc._qt.parts import Docked

    ours = [window] if isinstance(window, QDialog) else window.findChildren(Docked)
    for dock in ours:
        for kind in (QAbstractButton, QLabel, QComboBox):
            for widget in dock.findChildren(kind):
                if seen(widget).isEmpty():
                    continue
                text = widget.currentText() if kind is QComboBox else widget.text()
                icon = (
                    isinstance(widget, QAbstractButton) and not widget.icon().isNull()
                )
                if not text or (icon and isinstance(widget, QToolButton)):
                    continue
                needed = widget.fontMetrics().horizontalAdvance(text)
                if kind is QLabel:
                    flags = Qt.TextFlag.TextWordWrap if widget.wordWrap() else 0
                    room = QRect(0, 0, widget.width(), 10_000)
                    found = widget.fontMetrics().boundingRect(room, int(flags), text)
                    is_cut = found.height() > widget.height() + 2
                    is_cut |= found.width() > widget.width() + 1
                else:
                    is_cut = needed > widget.width()
                inner = widget.parentWidget()
                while inner is not None and not isinstance(inner, QScrollArea):
                    inner = inner.parentWidget()
                there = seen(widget).boundingRect()
                is_cut |= there.width() < widget.width()
                is_cut |= inner is None and there.height() < widget.height()
                if is_cut:
                    yield text.replace("\n", " ")


def visit(album: Album, images: Path) -> None:
    """Go through all panels and their states."""
    import numpy as np

    main, viewer = album.main, album.viewer
    controller = main.controller
    work = controller.workspace.work
    album.settle()
    album.tabs("empty")
    training = album.open(TRAINING)
    album.settle()
    album.take("train_empty")
    training.tabs.setCurrentIndex(1)
    album.settle()
    album.take("adapt_empty")
    hide(training)
    folder = album.open(FOLDER)
    album.settle()
    album.take("folder_empty")
    hide(folder)
    for name, title in (("study", STUDY), ("collection", COLLECTION)):
        opened = album.open(title)
        album.settle()
        album.take(f"{name}_empty")
        hide(opened)

    viewer.open_sample(PLUGIN, SAMPLE)
    show(main)
    album.settle()
    viewer.reset_view()
    album.tabs("ready")
    main.tour_notice.end_button.click()
    told = []
    controller.workspace.embeddings.progressed.connect(
        lambda done, total: told.append(done)
    )
    main.cluster_panel.button.click()
    album.until(lambda: any(told))
    album.take("main_structures_working")
    album.settle(lambda: not work.is_busy)
    album.take("main_structures_done")
    for name in ("vessel", "optic disc"):
        main.structure_panel.add_buttons[name].click()
        album.settle(lambda: not work.is_busy)
    album.take("main_structures_labels")
    main.structure_panel.map_buttons["vessel"].click()
    album.settle(lambda: not work.is_busy)
    album.take("main_structures_map")
    controller.workspace.layer("vessel probability").visible = False

    main.similar_panel.button.click()
    album.settle()
    place = controller.workspace.place()
    controller.prompts.hover.preview(place, controller.workspace.known(place), VESSEL)
    album.settle()
    album.take("main_find_similar_hover")
    controller.prompts.add(DISC)
    controller.prompts.add(NOT_DISC, positive=False)
    album.settle()
    album.tabs("done", TABS[1:2])
    main.similar_panel.button.click()

    main.strokes_panel.paint_button.click()
    strokes = controller.strokes.layer
    values = [entry.value for entry in controller.classes.entries]
    strokes.brush_size = 9
    for value, line in zip(
        values,
        (((420, 300), (399, 336)), ((625, 200), (650, 235)), ((700, 900), (740, 960))),
        strict=False,
    ):
        with strokes.block_history():
            strokes._draw(value, *line)
    album.settle(lambda: controller.strokes.learned is not None)
    main.strokes_panel.uncertainty.value = True
    main.strokes_panel.next_button.click()
    album.settle(lambda: not work.is_busy)
    album.tabs("done", TABS[2:3])
    main.strokes_panel.paint_button.click()
    main.strokes_panel.uncertainty.value = False
    album.tabs("done", TABS[3:])

    # What cannot be done
    taken = images.with_name("a file")
    taken.write_bytes(b"no folder")
    main.export_section.control.save(controller.labels_layer, taken / "labels.png")
    album.settle()
    album.tabs("failed", TABS[-1:])
    viewer.add_image(np.zeros((64, 64), np.uint8), name="black")
    album.settle()
    main.cluster_panel.button.click()
    album.settle(lambda: not work.is_busy)
    album.tabs("failed", TABS[:3])
    viewer.layers.remove("black")

    visit_training(album, training)
    hide(training)
    visit_folder(album, folder, images)
    viewer.close()


def show(widget: QWidget) -> None:
    """Bring the dock of a widget to the front."""
    from napari_localdisc._qt.parts import dock_of

    dock = dock_of(widget)
    assert dock is not None
    dock.show()
    dock.raise_()


def hide(widget: QWidget) -> None:
    """Put a dock away until it is shown again: two at a time."""
    from napari_localdisc._qt.parts import dock_of

    dock = dock_of(widget)
    assert dock is not None
    dock.hide()


class Played:
    """A training whose process says what it is told to: pictures need no waiting."""

    def __init__(self, request: Any, planes: Any, current: Any) -> None:
        self.request = request
        self.messages: list[Any] = []

    def poll(self) -> list[Any]:
        """Return what was said since the last call."""
        said, self.messages = self.messages, []
        return said

    def read(self, file: str) -> dict[str, Any]:
        """Return what an image looks like before and after."""
        import numpy as np

        rows, columns = np.mgrid[:200, :200]
        before = np.stack([rows, columns, rows], -1).astype(np.uint8)
        return {"before0": before, "after0": before[::-1]}

    def start(self) -> None:
        """Begin nothing."""

    stop = close = discard = start


def visit_training(album: Album, training: Any) -> None:
    """Adapt a model: working, done, and what fails."""
    from napari_localdisc.core.training.progress import Progress
    from napari_localdisc.viewer.training import control
    from napari_localdisc.viewer.training.job import Compared, Finished

    control.TrainingJob = Played  # type: ignore[misc,assignment]

    def step(number: int) -> Progress:
        losses = {"total": 7 - 0.2 * number + 0.3 * (number % 3)}
        measured = {"score": 0.5 + 0.005 * number} if number % 10 == 0 else None
        return Progress(number, 60_000, number / 60, 5.0 * number, losses, measured)

    show(training)
    training.show_adapting(MODEL)
    album.settle()
    album.take("adapt_ready")
    training.start_button.click()
    job = training.control._job
    job.messages += [step(number) for number in range(1, 38)]
    album.settle(lambda: training.plot is not None and len(training.plot.smooth) > 30)
    training.plot.refresh()
    album.settle()
    album.take("adapt_working")
    training.stop_button.click()
    album.take("adapt_stopping")
    job.messages += [Compared("c", ["vessel"]), Finished(job.request.out, 37, True)]
    album.settle(lambda: not training.control.is_running)
    album.take("adapt_done")
    album.take("adapt_compared", training.dialog)
    training.dialog.keep_old_button.click()
    album.settle()
    album.take("adapt_kept")
    training.picker.source.value = "A folder"
    training.picker.folder.line_edit.value = str(album.folder / "nowhere")
    training.start_button.click()
    album.settle()
    album.take("adapt_failed")


def visit_folder(album: Album, folder: Any, images: Path) -> None:
    """Work on a folder: working, done, and what fails."""
    show(folder)
    folder.source.line_edit.value = str(images)
    folder.output.line_edit.value = "results"
    album.settle()
    album.take("folder_ready")
    rows: list[object] = []
    folder.control.row_added.connect(rows.append)
    for name in ("vessel", "optic disc"):
        folder.structures[name].value = True
    folder.start_button.click()
    album.until(lambda: len(rows) > 2)
    album.take("folder_working")
    album.settle(lambda: not folder.control.work.is_busy)
    album.take("folder_done")
    folder.source.line_edit.value = str(images / "nowhere")
    folder.start_button.click()
    album.settle(lambda: not folder.control.work.is_busy)
    album.take("folder_failed")


def make_images(folder: Path) -> None:
    """Write some small photographs, and a file that is none."""
    import numpy as np
    from PIL import Image

    from napari_localdisc.io.samples import open_retina

    pixels = np.asarray(open_retina()[0][0])
    for number in range(3):
        turned = np.rot90(pixels[::4, ::4], number)
        Image.fromarray(turned).save(folder / f"patient {number + 1:02}.png")
    (folder / "patient 04.png").write_bytes(b"no picture")


def main() -> int:
    """Take all pictures, each kind of window in a process of its own."""
    from napari_localdisc.cli.screen import has_screen, on_virtual_screen

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="one kind, such as dark_1280x720")
    parser.add_argument("--docs", action="store_true", help="those of docs/panels.md")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {
        f"{theme}_{width}x{height}": (theme, (width, height), 1)
        for theme, (width, height) in itertools.product(THEMES, SIZES)
    }
    kinds["dark_200_percent"] = "dark", SIZES[0], 2
    if asked.inside:
        theme, size, _ = kinds[asked.only]
        with tempfile.TemporaryDirectory() as own:
            os.chdir(own)  # so that no picture shows a path of this machine
            images = Path("photographs")
            images.mkdir()
            make_images(images)
            album = Album(folder, theme, size, asked.only, asked.docs)
            visit(album, images)
            os.chdir(folder)
        return int(album.faults > 0)
    status = 0
    only = DOCS_KIND if asked.docs else asked.only
    for name in [only] if only else kinds:
        _, (width, height), factor = kinds[name]
        command = [sys.executable, __file__, str(folder), "--only", name, "--inside"]
        command += ["--docs"] if asked.docs else []
        if not has_screen():
            command = on_virtual_screen(command, width * factor, height * factor)
        with tempfile.TemporaryDirectory() as own:
            # The user's own settings and models neither change a picture nor are
            # changed
            environ = os.environ | {
                "NAPARI_CONFIG": f"{own}/settings.yaml",
                "LOCALDISC_MODELS": own,
                "LOCALDISC_CACHE": f"{own}/cache",
                "LOCALDISC_SESSIONS": f"{own}/sessions",
                "QT_SCALE_FACTOR": str(factor),
            }
            status |= subprocess.run(command, env=environ).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
