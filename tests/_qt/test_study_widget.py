"""The dock “Study” in a real viewer: three images, accept, reject, and a crash."""

import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt

from napari_localdisc.io.study import About, Study

NAMES = ("p1_OD", "p1_OS", "p2_OD")
SHAPE = (80, 90)

CRASH = """
import os, signal, sys
import numpy as np
from napari.components import ViewerModel
from napari_localdisc.viewer.study.control import StudyControl

control = StudyControl(ViewerModel())
control.open(sys.argv[1], "anna")
control.accept()
layer = control.layers["drusen"]
layer.data_setitem(tuple(np.mgrid[30:40, 30:40].reshape(2, -1)), 2)
layer.events.paint(value=[])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(tmp_path, models):
    """Three photographs, and a study of them."""
    rng = np.random.default_rng(0)
    view = np.hypot(*(np.mgrid[: SHAPE[0], : SHAPE[1]] - 40)) < 38
    paths = [tmp_path / f"{name}.png" for name in NAMES]
    for path in paths:
        image = rng.integers(80, 200, (*SHAPE, 3)) * view[..., None]
        Image.fromarray(image.astype(np.uint8)).save(path)
    structures = ("vessel", "drusen")
    about = About(model="tiny", model_hash="0", kind="fundus", structures=structures)
    Study.create(tmp_path, paths, about)
    return tmp_path


@pytest.fixture
def widget(viewer):
    _, widget = viewer.window.add_plugin_dock_widget("napari-localdisc", "Study")
    return widget


@pytest.fixture
def settled(qtbot, widget):
    """Wait until an image is shown and nothing is done any more."""
    control = widget.control

    def wait(name):
        qtbot.waitUntil(
            lambda: (
                control.current is not None
                and control.current.name == name
                and not (control.work.is_busy or control.ahead.is_busy)
            ),
            timeout=60_000,
        )

    return wait


@pytest.fixture
def open_study(qtbot, widget, settled):
    def opened(folder, name, grader="anna"):
        widget.header.path.line_edit.value = str(folder)
        widget.header.grader.value = grader
        qtbot.mouseClick(widget.header.open_button, Qt.MouseButton.LeftButton)
        settled(name)

    return opened


def rows(widget):
    shown = widget.images_page.list
    return [shown.item(line).text().split("\n")[:2] for line in range(shown.count())]


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_study_with_accept_a_crash_and_reject(
    qtbot, viewer, folder, widget, open_study, settled
):
    crashed = subprocess.run([sys.executable, "-c", CRASH, str(folder)], check=False)
    assert crashed.returncode == -signal.SIGKILL
    open_study(folder, "p1_OS")  # where the grader was
    assert [layer.name for layer in viewer.layers] == ["p1_OS", "vessel", "drusen"]
    assert (viewer.layers["drusen"].data[30:40, 30:40] == 2).all()
    assert [said.split(" ·")[0] for _, said in rows(widget)] == [
        "✓ accepted",
        "◐ corrected",
        "○ proposed",
    ]
    assert widget.images_page.list.currentRow() == 1
    # By key, as from the canvas
    canvas = viewer.window._qt_viewer.canvas.native
    shift = Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(canvas, Qt.Key.Key_Y, shift)
    settled("p2_OD")
    assert [layer.name for layer in viewer.layers] == ["p2_OD", "vessel", "drusen"]
    page = widget.images_page
    page.note.setText("blurred")
    page.note.editingFinished.emit()
    qtbot.mouseClick(page.reject_button, Qt.MouseButton.LeftButton)
    images = Study(folder).images("anna")
    assert [image.state for image in images] == ["accepted", "accepted", "rejected"]
    assert images[2].note == "blurred"
    assert "3 of 3 images done" in page.count.text()
    assert page.reopen_button.isVisible()
    qtbot.keyClick(canvas, Qt.Key.Key_PageUp)
    settled("p1_OS")
    assert (viewer.layers["drusen"].data[30:40, 30:40] == 2).all()


def test_list_notes_and_agreement(qtbot, viewer, folder, widget, open_study, settled):
    study = Study(folder)
    for grader, high in (("ben", 20), ("anna", 25)):
        for image in study.images(grader)[:2]:
            masks = {name: np.zeros(SHAPE, bool) for name in study.about.structures}
            masks["drusen"][10 : high + image.id, 30:40] = True
            study.save(image, grader, masks)
    open_study(folder, "p1_OD")
    page, agreement = widget.images_page, widget.agreement
    page.list.itemClicked.emit(page.list.item(1))
    settled("p1_OS")
    page.orders.value = "least certain first"
    assert widget.control.list.order == "least certain first"
    page.states.value = "accepted"
    assert page.list.count() == 0
    page.states.value = "all"
    assert page.list.count() == 3
    assert not page.list.item(0).icon().isNull()
    assert [agreement.other.native.itemText(0)] == ["ben"]
    qtbot.mouseClick(agreement.compare_button, Qt.MouseButton.LeftButton)
    table = agreement.table
    qtbot.waitUntil(lambda: table.rowCount() == 2, timeout=60_000)
    said = [[table.item(r, c).text() for c in range(4)] for r in range(2)]
    assert said[0][:3] == ["vessel", "2", "1.000"]
    assert said[1][:3] == ["drusen", "2", f"{(2 * 11 / 27 + 2 * 12 / 29) / 2:.3f}"]
    titles = [
        agreement.measures.native.itemText(at)
        for at in range(agreement.measures.native.count())
    ]
    area = next(title for title in titles if title.startswith("drusen: area"))
    agreement.measures.value = area
    assert agreement.said.text().startswith("2 images, bias 50 pixel²")
    assert agreement.axes.get_title() == area


def test_closing_the_dock_saves_and_gives_keys_back(
    qtbot, viewer, folder, widget, open_study
):
    open_study(folder, "p1_OD")
    viewer.layers["drusen"].data_setitem(
        tuple(np.mgrid[5:8, 5:8].reshape(2, -1)), 2, refresh=False
    )
    viewer.window.remove_dock_widget(widget)
    assert Study(folder).masks(1, "anna")["drusen"].sum() == 9
    assert "PageDown" not in set(map(str, viewer.keymap))


def test_a_study_begins_with_the_model_and_structures_that_are_asked_for(
    qtbot, folder, widget, open_study
):
    header = widget.header
    header.path.line_edit.value = str(folder)
    assert not header.models.visible  # a study is there
    (folder / "study.sqlite").unlink()
    header.path.line_edit.value = ""
    header.path.line_edit.value = str(folder)
    assert header.models.visible
    header.models.value = "tiny"
    assert header.structures.native.placeholderText() == "vessel"
    header.structures.value = "vessel, drusen"
    open_study(folder, "p1_OD")
    about = Study(folder).about
    assert (about.model, about.structures) == ("tiny", ("vessel", "drusen"))
    assert not header.structures.visible
