"""Draw the pictures of docs/tutorial.md, by doing what it says on the bundled retina.

Run with the package installed: python scripts/tutorial_pictures.py [FOLDER]. A machine
with no screen gets a virtual one. The steps are the tutorial's: buttons are pressed and
the canvas is clicked, so that a picture shows what a reader will see.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_localdisc._qt import MainWidget

PLUGIN, SAMPLE, WIDGET = "napari-localdisc", "retina", "Local discrimination"
SIZE = (1600, 1000)
QUALITY = 86
"""Of a saved picture: text stays sharp, and the file small."""

WAIT = 600.0
DISC, NOT_DISC, VESSEL = (640.0, 216.0), (704.0, 707.0), (420.0, 300.0)


def draw(folder: Path) -> None:
    """Go through the tutorial and save its pictures."""
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(title="napari-localdisc")
    viewer.window.set_geometry(0, 0, *SIZE)
    viewer.open_sample(PLUGIN, SAMPLE)
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    controller = widget.controller

    def settle(until: Callable[[], bool] = lambda: True) -> None:
        end = time.monotonic() + WAIT
        while not until() and time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)
        calm = time.monotonic() + 1.0
        while time.monotonic() < calm:
            QApplication.processEvents()
            time.sleep(0.01)

    def picture(name: str) -> None:
        settle()
        _save(viewer.screenshot(canvas_only=False, flash=False), folder / name)

    settle()
    viewer.reset_view()

    # 1. Vessels, optic disc: one click each
    widget.structure_panel.add_buttons["vessel"].click()
    settle(lambda: not controller.workspace.work.is_busy)
    picture("tutorial_1_vessel.jpg")
    widget.structure_panel.add_buttons["optic disc"].click()
    picture("tutorial_2_disc.jpg")

    # 2. Find similar
    viewer.layers[f"{SAMPLE} labels"].visible = False
    widget.similar_panel.button.click()
    _hover(controller, VESSEL)
    picture("tutorial_3_preview.jpg")
    controller.prompts.add(DISC)
    controller.prompts.add(NOT_DISC, positive=False)
    picture("tutorial_4_prompts.jpg")
    controller.prompts.clear()
    widget.similar_panel.button.click()

    # 3. Learn from strokes
    _tab(widget, "Strokes")
    widget.strokes_panel.paint_button.click()
    _strokes(controller)
    settle(lambda: controller.strokes.learned is not None)
    widget.strokes_panel.next_button.click()
    viewer.reset_view()
    picture("tutorial_5_strokes.jpg")
    viewer.close()


def _hover(controller: Any, point: tuple[float, float]) -> None:
    place = controller.workspace.place()
    known = controller.workspace.known(place)
    controller.prompts.hover.preview(place, known, point)


def _tab(widget: MainWidget, title: str) -> None:
    tabs = widget.tabs
    titles = [tabs.tabText(index) for index in range(tabs.count())]
    tabs.setCurrentIndex(titles.index(title))


def _strokes(controller: Any) -> None:
    """Paint one short stroke of each class, as a brush does."""
    strokes, classes = controller.strokes.layer, controller.classes
    values = {entry.name: entry.value for entry in classes.entries}
    strokes.brush_size = 9
    marks = {
        "vessel": [((420, 300), (399, 336)), ((383, 1088), (406, 1053))],
        "optic disc": [((625, 200), (650, 235))],
        "background": [
            ((700, 900), (740, 960)),
            ((300, 700), (330, 760)),
            ((704, 770), (640, 760)),
            ((760, 1330), (800, 1340)),
            ((1345, 560), (1350, 620)),
            ((52, 800), (55, 850)),
            ((600, 30), (640, 28)),
        ],
    }
    for name, lines in marks.items():
        for start, end in lines:
            with strokes.block_history():
                strokes._draw(values[name], start, end)


def _save(pixels: Any, path: Path) -> None:
    from PIL import Image

    unfinished = path.with_name(f".{path.name}.part.jpg")
    Image.fromarray(pixels[..., :3]).save(
        unfinished, quality=QUALITY, subsampling=0, optimize=True
    )
    unfinished.replace(path)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


def main() -> int:
    """Draw on the screen there is, or on a virtual one."""
    from napari_localdisc.cli.screen import has_screen, on_virtual_screen

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images").absolute()
    if has_screen():
        draw(folder)
        return 0
    command = on_virtual_screen([sys.executable, __file__, str(folder)], *SIZE)
    with tempfile.TemporaryDirectory() as settings:
        # The user's own napari settings neither change a picture nor are changed
        environ = {**os.environ, "NAPARI_CONFIG": str(Path(settings) / "settings.yaml")}
        return subprocess.run(command, env=environ).returncode


if __name__ == "__main__":
    sys.exit(main())
