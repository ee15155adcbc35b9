"""Do what the tutorials say in the real plugin, assert it, and draw their pictures.

Run with the package installed: python scripts/tutorial_pictures.py [FOLDER]
[--only TUTORIAL]. A machine with no screen gets a virtual one. Buttons are pressed and
the canvas is clicked as a reader does, so that a picture shows what a reader will see,
and a tutorial whose result is another fails here.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_localdisc._qt import MainWidget

ROOT = Path(__file__).resolve().parents[1]
PLUGIN, WIDGET = "napari-localdisc", "Local discrimination"
SIZE = (1600, 1000)
WIDTH, QUALITY = 1200, 80
"""Of a saved picture: text can be read, and all of them together have 2 MB."""

WAIT = 3600.0


class Desk:
    """One real window with the widget, and what a reader does in it."""

    def __init__(self, folder: Path) -> None:
        import napari

        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.viewer = napari.Viewer(title="napari-localdisc")
        self.viewer.window.set_geometry(0, 0, *SIZE)

    def open_widget(self) -> MainWidget:
        """Dock the widget and wait until it is drawn."""
        _, widget = self.viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        self.controller = widget.controller
        if not widget.tour_notice.isHidden():
            widget.tour_notice.end_button.click()
        self.settle()
        self.viewer.reset_view()
        return widget

    def settle(
        self, until: Callable[[], bool] = lambda: True, pause: float = 0.01
    ) -> None:
        """Leave the window alone until something holds and all is drawn."""
        from qtpy.QtCore import QEvent
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + WAIT
        while not until():
            assert time.monotonic() < end, "this took too long"
            QApplication.processEvents()
            time.sleep(pause)
        calm = time.monotonic() + 1.0
        while time.monotonic() < calm:
            QApplication.processEvents()
            # Only a loop of its own deletes what was to be deleted later
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
            time.sleep(0.01)

    def finish_work(self) -> None:
        """Wait until the network has looked."""
        self.settle(lambda: not self.controller.workspace.work.is_busy)

    def dock(self, name: str) -> Any:
        """Open another of the plugin's widgets, as the menu does."""
        return self.viewer.window.add_plugin_dock_widget(PLUGIN, name)[1]

    def picture(self, name: str, dialog: Any = None) -> None:
        """Save a picture of the window, or of a dialog of it."""
        from napari._qt.utils import QImg2array
        from PIL import Image

        self.settle()
        if dialog is None:
            pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        else:
            pixels = QImg2array(dialog.grab().toImage())
        path = self.folder / name
        unfinished = path.with_name(f".{path.name}.part.jpg")
        image = Image.fromarray(pixels[..., :3])
        image.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
        image.save(unfinished, quality=QUALITY, subsampling=0, optimize=True)
        unfinished.replace(path)
        print(f"{path.name}: {path.stat().st_size // 1000} kB")

    def hover(self, point: tuple[float, float]) -> None:
        """Move the mouse over a pixel."""
        place = self.controller.workspace.place()
        known = self.controller.workspace.known(place)
        self.controller.prompts.hover.preview(place, known, point)

    def share(self, name: str) -> float:
        """Return a class's share of the image."""
        values = {entry.name: entry.value for entry in self.controller.classes.entries}
        return float((self.written() == values[name]).mean())

    def written(self) -> np.ndarray:
        """Return the labels that the classes are written into."""
        return np.asarray(self.controller.classes.labels_layer.data)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()


def show_tab(widget: MainWidget, title: str) -> None:
    """Bring a tab to the front."""
    tabs = widget.tabs
    titles = [tabs.tabText(index) for index in range(tabs.count())]
    tabs.setCurrentIndex(titles.index(title))


def paint(controller: Any, marks: dict[str, list[tuple]], width: int) -> None:
    """Paint short strokes of classes, as a brush does."""
    strokes, classes = controller.strokes.layer, controller.classes
    values = {entry.name: entry.value for entry in classes.entries}
    strokes.brush_size = width
    for name, lines in marks.items():
        for start, end in lines:
            with strokes.block_history():
                strokes._draw(values[name], start, end)


def vessels_and_disc(desk: Desk) -> None:
    """Do docs/tutorial.md."""
    disc, not_disc, vessel = (640.0, 216.0), (704.0, 707.0), (420.0, 300.0)
    desk.viewer.open_sample(PLUGIN, "retina")
    widget = desk.open_widget()
    controller = desk.controller

    # 1. Vessels, optic disc: one click each
    widget.structure_panel.add_buttons["vessel"].click()
    desk.finish_work()
    desk.picture("tutorial_1_vessel.jpg")
    widget.structure_panel.add_buttons["optic disc"].click()
    desk.picture("tutorial_2_disc.jpg")
    assert 0.05 < desk.share("vessel") < 0.2
    assert 0.01 < desk.share("optic disc") < 0.03

    # 2. Find similar
    desk.viewer.layers["retina labels"].visible = False
    widget.similar_panel.button.click()
    desk.hover(vessel)
    desk.picture("tutorial_3_preview.jpg")
    controller.prompts.add(disc)
    controller.prompts.add(not_disc, positive=False)
    desk.picture("tutorial_4_prompts.jpg")
    controller.prompts.clear()
    widget.similar_panel.button.click()

    # 3. Learn from strokes
    show_tab(widget, "Strokes")
    widget.strokes_panel.paint_button.click()
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
    paint(controller, marks, width=9)
    desk.settle(lambda: controller.strokes.learned is not None)
    widget.strokes_panel.next_button.click()
    desk.viewer.reset_view()
    desk.picture("tutorial_5_strokes.jpg")


def frames(desk: Desk) -> None:
    """Draw around objects, as docs/tutorial.md tells."""
    disc, exudate, elsewhere = (454, 938), (485, 472), (640, 830)
    desk.viewer.open(str(ROOT / "docs" / "photographs" / "idrid_13.jpg"))
    widget = desk.open_widget()
    controller = desk.controller
    show_tab(widget, "Find similar")
    widget.similar_panel.tools.buttons["box"].click()
    desk.finish_work()
    controller.prompts.add_frame([(360, 845), (550, 1035)])
    widget.similar_panel.tools.buttons["lasso"].click()
    line = (205, 350), (190, 640), (300, 720), (400, 560), (440, 400), (300, 320)
    controller.prompts.add_frame(line)
    desk.finish_work()
    mask = np.asarray(controller.mask.layer.data) > 0
    assert mask[disc]
    assert not mask[elsewhere]
    assert not mask[exudate]  # it lies outside of the lasso
    assert 500 < mask[190:440, 320:720].sum() < 40_000
    camera = desk.viewer.scene.camera
    camera.center, camera.zoom = (0, 400, 660), 1.15
    desk.picture("frames.jpg")


def lesions(desk: Desk) -> None:
    """Do docs/lesions.md."""
    exudate, vessel = (485.0, 472.0), (640.0, 830.0)
    desk.viewer.open(str(ROOT / "docs" / "photographs" / "idrid_13.jpg"))
    widget = desk.open_widget()
    controller = desk.controller
    show_tab(widget, "Find similar")
    widget.similar_panel.button.click()
    desk.finish_work()
    controller.prompts.add(exudate)
    desk.settle()
    controller.prompts.add(vessel, positive=False)
    desk.finish_work()  # of the closer look
    desk.picture("lesions_1_clicks.jpg")
    widget.similar_panel.add_button.click()
    desk.settle()
    assert [each.name for each in controller.classes.entries] == ["hard exudate"]
    written = desk.written() > 0
    assert written[485, 472]
    assert not written[640, 830]
    assert 0.002 < written.mean() < 0.03
    desk.picture("lesions_2_class.jpg")


def chest_film(desk: Desk) -> None:
    """Do docs/chest_film.md."""
    sys.path.insert(0, str(ROOT))
    from tests.core.radiograph import overlap, radiograph

    rgb, lungs = radiograph(0, size=512, variation=0.3)
    desk.viewer.add_image((rgb[..., 0] * 4095).astype(np.uint16), name="film")
    widget = desk.open_widget()
    widget.models.value = "chest"
    widget.structure_panel.add_buttons["lung"].click()
    desk.finish_work()
    widget.structure_panel.add_buttons["heart"].click()
    desk.settle()
    values = {entry.name: entry.value for entry in desk.controller.classes.entries}
    assert overlap(desk.written() == values["lung"], lungs) > 0.75
    assert 0.01 < desk.share("heart") < 0.25
    desk.picture("chest_film.jpg")


def measuring(desk: Desk) -> None:
    """Do docs/measuring.md."""
    desk.viewer.open_sample(PLUGIN, "retina")
    widget = desk.open_widget()
    widget.tour_notice.hide()
    for name in ("vessel", "optic disc"):
        widget.structure_panel.add_buttons[name].click()
        desk.finish_work()
    panel, numbers = widget.measure_panel, widget.measuring
    show_tab(widget, "Measure")

    def measured() -> bool:
        result = numbers.result
        return result is not None and result.asked.options == numbers.options

    desk.settle(measured)
    panel.disc.value = True
    panel.regions.actions_by_value["zones"].trigger()
    desk.settle(measured)
    rows = [(row.measure, row.region) for row in panel.table.rows]
    line = rows.index(("calibre median", "zone B"))
    assert 0.03 < panel.table.rows[line].value < 0.15  # mm
    panel.table.select(line)
    panel.table.scrollTo(panel.table.model().index(line, 0))
    camera = desk.viewer.scene.camera
    camera.center, camera.zoom = (0, 640, 330), 1.9
    desk.picture("measuring.jpg")


def photographs(folder: Path, side: int, *names: str) -> None:
    """Write small photographs: IDRiD's, the sample, and the sample in a mirror."""
    from PIL import Image

    from napari_localdisc.io.samples import open_retina

    folder.mkdir()
    sample = Image.fromarray(np.asarray(open_retina()[0][0]))
    first = Image.open(ROOT / "docs" / "photographs" / "idrid_13.jpg").convert("RGB")
    mirrored = sample.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for name, picture in zip(names, (first, sample, mirrored), strict=False):
        picture.thumbnail((side, side))
        picture.save(folder / f"{name}.png")


def open_two(desk: Desk, side: int) -> None:
    """Open two photographs, and look at the first one."""
    photographs(Path("photographs"), side, "one", "two")
    desk.viewer.open(sorted(str(path) for path in Path("photographs").iterdir()))
    desk.viewer.layers["two"].visible = False
    desk.viewer.layers.selection.active = desk.viewer.layers["one"]


def learnt(desk: Desk, panel: Any, steps: int) -> None:
    """Start a training, and press Stop after some steps."""
    numbers: list[int] = []
    panel.control.stepped.connect(lambda state: numbers.append(state.step))
    panel.start_button.click()
    assert panel.control.is_running, panel.control.status
    # The training has a process of its own, to which the processor is left
    desk.settle(
        lambda: (
            bool(numbers)
            and numbers[-1] >= steps
            and any("in training" in layer.name for layer in desk.viewer.layers)
        ),
        pause=0.3,
    )
    desk.viewer.reset_view()


def own_camera(desk: Desk) -> None:
    """Do docs/own_camera.md."""
    import napari_localdisc as ld
    from napari_localdisc.viewer.training.control import ENOUGH_STEPS

    open_two(desk, side=900)
    panel = desk.dock("Train a model")
    panel.show_adapting("fundus")
    panel.adapt_form.minutes.value = 30
    learnt(desk, panel, steps=ENOUGH_STEPS + 1)
    desk.picture("own_camera_1_adapting.jpg")
    panel.stop_button.click()
    desk.settle(lambda: panel.dialog is not None)
    assert {"clusters", "vessel"} <= {
        panel.dialog.view.itemText(at) for at in range(panel.dialog.view.count())
    }
    panel.dialog.view.setCurrentText("vessel")
    desk.picture("own_camera_2_compared.jpg", panel.dialog)
    panel.dialog.keep_new_button.click()
    desk.settle(lambda: not panel.control.is_running)
    before, after = ld.load_model("fundus"), ld.load_model("fundus adapted")
    assert after.hash != before.hash
    assert after.card.structures == before.card.structures
    assert before.hash in after.card.details["adapted_from"]
    image = np.asarray(desk.viewer.layers["one"].data)
    masks = [
        ld.embed(image, model).structure("vessel") >= 0.5 for model in (before, after)
    ]
    both = 2 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum())
    print(f"vessels before and after: Dice {both:.3f} with each other")
    assert both > 0.85  # what it knew is kept


def shape_alone(desk: Desk) -> None:
    """Do docs/shape_alone.md."""
    import napari_localdisc as ld

    open_two(desk, side=700)
    panel = desk.dock("Train a model")
    panel.show_training()
    panel.train_form.priors["disc"].value = True
    panel.train_form.minutes.value = 30
    panel.train_form.name.value = "disc by its shape"
    panel.keep_preview.value = True
    learnt(desk, panel, steps=20)
    desk.picture("shape_alone.jpg")
    panel.stop_button.click()
    desk.settle(lambda: not (panel.control.is_running or panel.control.is_saving))
    model = ld.load_model("disc by its shape")
    (name,) = model.card.structures
    assert name == "optic disc"
    shown = ld.embed(np.asarray(desk.viewer.layers["one"].data), model)
    assert shown.structure(name).shape == desk.viewer.layers["one"].data.shape[:2]
    assert not panel.control.has_failed, panel.control.status


def study(desk: Desk) -> None:
    """Do docs/studies.md."""
    import csv

    folder = Path("scans")
    photographs(folder, 1000, "p01_OD_v1", "p02_OD_v1", "p02_OS_v1")
    panel = desk.dock("Study")
    control, page = panel.control, panel.images_page

    def begin(grader: str) -> None:
        panel.header.path.line_edit.value = str(folder)
        panel.header.grader.value = grader
        panel.header.structures.value = "vessel, optic disc"
        panel.header.open_button.click()
        at_rest()

    def at_rest() -> None:
        desk.settle(
            lambda: (
                control.current is not None
                and not (control.work.is_busy or control.ahead.is_busy)
            )
        )

    def grade(second: bool) -> None:
        page.accept_button.click()
        at_rest()
        if second:  # leaves out what the first one found of the disc's rim
            disc = control.layers["optic disc"]
            rows, columns = np.nonzero(np.asarray(disc.data))
            gone = columns > np.quantile(columns, 0.9)
            disc.data_setitem((rows[gone], columns[gone]), 0)
            disc.events.paint(value=[])
        page.accept_button.click()
        at_rest()
        page.note.setText("too blurred")
        page.note.editingFinished.emit()
        page.reject_button.click()
        at_rest()

    begin("anna")
    assert [image.state for image in control.list.images] == ["proposed"] * 3
    origins = [image.origin for image in control.list.images]
    assert [origin.eye for origin in origins] == ["right", "right", "left"]
    desk.viewer.reset_view()
    page.accept_button.click()
    at_rest()
    desk.picture("study.jpg")
    page.previous_button.click()
    at_rest()
    page.reopen_button.click()
    grade(second=False)
    states = [image.state for image in control.list.images]
    assert states == ["accepted", "accepted", "rejected"]
    counted: list[int] = []
    control.results.save_table("study.csv", counted.append)
    desk.settle(lambda: bool(counted))
    with Path("study.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == counted[0] > 50
    assert {row["state"] for row in rows} == {"accepted"}
    assert {row["patient"] for row in rows} == {"p01", "p02"}
    assert {row["structure"] for row in rows} >= {"vessel", "optic disc"}

    begin("ben")
    grade(second=True)
    panel.tabs.setCurrentWidget(panel.tabs.widget(1))
    panel.agreement.other.value = "anna"
    panel.agreement.compare_button.click()
    desk.settle(lambda: panel.agreement.table.rowCount() > 0)
    table = panel.agreement.table
    dice = {
        table.item(row, 0).text(): float(table.item(row, 2).text().split()[0])
        for row in range(table.rowCount())
    }
    assert dice["vessel"] == 1
    assert 0.9 < dice["optic disc"] < 1
    desk.picture("study_agreement.jpg")


def cluster(desk: Desk) -> None:
    """Do docs/several_machines.md, with a scheduler and two workers of this machine."""
    import io
    import json

    from napari_localdisc.cli import main as localdisc

    folder, out, file = Path("scans"), Path("found"), Path("scheduler.json")
    photographs(folder, 500, "p01", "p02", "p03")
    for number in (4, 5, 6):
        shutil.copy(folder / f"p0{number - 3}.png", folder / f"p0{number}.png")
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    here = ["--host", "127.0.0.1", "--port", "0"]
    started = [["dask_scheduler", *common, *here]]
    for name in ("one", "two"):
        one = ["--nthreads", "1", "--no-nanny", "--name", name]
        started.append(["dask_worker", *common, *one])
    running = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{program}", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for program, *arguments in started
    ]
    try:
        desk.settle(file.exists)
        panel = desk.dock("Work on a folder")
        panel.source.line_edit.value = str(folder)
        panel.output.line_edit.value = str(out)
        panel.scheduler.line_edit.value = str(file)
        panel.clusters.value = False
        panel.structures["vessel"].value = True
        panel.start_button.click()
        desk.settle(lambda: not panel.control.work.is_busy)
        outcomes = [row.outcome for row in panel.control.rows]
        assert [each.state for each in outcomes] == ["written"] * 6
        assert {each.worker for each in outcomes} == {"one", "two"}
        desk.viewer.open(str(folder / "p02.png"))
        desk.viewer.open(str(out / "p02_vessel.tif"), layer_type="labels")
        desk.picture("cluster.jpg")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            command = ["segment", str(folder), "-s", "vessel", "-o", str(out)]
            assert not localdisc([*command, "--scheduler", str(file), "--json"])
        assert {each["state"] for each in json.loads(said.getvalue())} == {"skipped"}
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


TUTORIALS = (
    vessels_and_disc,
    frames,
    lesions,
    chest_film,
    measuring,
    own_camera,
    shape_alone,
    study,
    cluster,
)


def main() -> int:
    """Draw on the screen there is, or on a virtual one."""
    from napari_localdisc.cli.screen import has_screen, on_virtual_screen

    parser = argparse.ArgumentParser(description="Draw the tutorials' pictures.")
    parser.add_argument("folder", nargs="?", default=ROOT / "docs/images", type=Path)
    parser.add_argument("--only", choices=[each.__name__ for each in TUTORIALS])
    chosen = parser.parse_args()
    folder = chosen.folder.absolute()
    if has_screen():
        for tutorial in TUTORIALS:
            if chosen.only in (None, tutorial.__name__):
                # So that no picture shows a path of this machine
                with tempfile.TemporaryDirectory() as own, contextlib.chdir(own):
                    desk = Desk(folder)
                    try:
                        tutorial(desk)
                    finally:
                        desk.close()
        return 0
    arguments = [str(folder), *(["--only", chosen.only] if chosen.only else [])]
    command = on_virtual_screen([sys.executable, __file__, *arguments], *SIZE)
    with tempfile.TemporaryDirectory() as settings:
        # What the user set and left behind neither changes a picture nor is changed
        environ = os.environ | {
            "NAPARI_CONFIG": str(Path(settings) / "settings.yaml"),
            "LOCALDISC_SESSIONS": str(Path(settings) / "sessions"),
            "LOCALDISC_MODELS": str(Path(settings) / "models"),
        }
        return subprocess.run(command, env=environ).returncode


if __name__ == "__main__":
    sys.exit(main())
