"""What a user sees in a small window: room, errors, help, legend, tools put away."""

from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog

from napari_localdisc._qt import help as help_module
from napari_localdisc._qt.help import PAGES, page_of
from napari_localdisc._qt.panels.legend import percent
from napari_localdisc._qt.parts import dock_of
from napari_localdisc.io.labels import FORMATS, formats

PLUGIN = "napari-localdisc"
SMALL = 1280, 720
NAPARIS = 76
"""Pixels of a window's height that its menu, status and the docks' tabs take."""


@pytest.fixture
def eye(viewer, picture):
    return viewer.add_image(picture, name="eye")


@pytest.fixture
def widget(viewer, eye, open_widget):
    viewer.window.resize(*SMALL)
    return open_widget(viewer)


def is_whole(button) -> bool:
    """Whether all of a button is seen."""
    return button.visibleRegion().boundingRect() == button.rect()


def test_two_docks_share_a_place_and_main_actions_are_seen(qtbot, viewer, widget):
    for name in ("Train a model", "Work on a folder"):
        _, other = viewer.window.add_plugin_dock_widget(PLUGIN, name)
        qtbot.waitUntil(
            lambda other=other: (
                dock_of(widget)
                in viewer.window._qt_window.tabifiedDockWidgets(dock_of(other))
            ),
            timeout=5000,
        )
        qtbot.wait(50)
        assert is_whole(other.start_button)
        assert dock_of(other).minimumSizeHint().height() <= SMALL[1] - NAPARIS
    dock_of(widget).raise_()
    assert viewer.window._qt_window.height() == SMALL[1]
    assert dock_of(widget).minimumSizeHint().height() <= SMALL[1] - NAPARIS
    main = {
        "Structures": widget.cluster_panel.button,
        "Find similar": widget.similar_panel.button,
        "Strokes": widget.strokes_panel.paint_button,
        "Models": widget.training_section.tune_button,
        "Files": widget.export_section.save_button,
    }
    for at in range(widget.tabs.count()):
        widget.tabs.setCurrentIndex(at)
        qtbot.wait(30)
        if widget.tabs.tabText(at) in main:
            assert is_whole(main[widget.tabs.tabText(at)]), widget.tabs.tabText(at)


def test_the_page_of_numbers_makes_no_other_page_higher(qtbot, widget):
    tabs, measure = widget.tabs, widget.measure_page
    before = tabs.sizeHint().height()
    widget.measure_panel.table.setMinimumHeight(2000)
    tabs.setCurrentWidget(measure)
    qtbot.waitUntil(lambda: tabs.sizeHint().height() > 2000)
    tabs.setCurrentIndex(0)
    qtbot.waitUntil(lambda: tabs.sizeHint().height() == before)


def test_the_table_of_classes_takes_the_room_that_it_needs(qtbot, widget):
    table = widget.labels_panel.table
    assert table.isHidden()
    heights = []
    for _ in range(7):
        widget.controller.classes.add()
        heights.append(table.sizeHint().height())
    assert not table.isHidden()
    assert heights[0] < heights[1] < heights[4] == heights[6]
    assert table.minimumSizeHint().height() == heights[1]


def test_what_failed_stays_in_place_of_what_went_well(
    qtbot, viewer, widget, wait, tmp_path, notifications
):
    widget.cluster_panel.button.click()
    wait(widget)
    status = widget.progress_row.status
    assert "Move the slider" in status.text()
    viewer.add_image(np.zeros((64, 64), np.uint8), name="black")
    widget.controller.workspace.images.choose(viewer.layers["black"])
    widget.cluster_panel.button.click()
    wait(widget)
    assert "all black" in status.text()
    assert status.text().startswith("⚠")
    assert "all black" in notifications[-1].message
    widget.controller.workspace.images.choose(viewer.layers["eye"])
    taken = tmp_path / "file"
    taken.write_bytes(b"")
    layer = widget.controller.clusters.layer
    widget.export_section.control.save(layer, taken / "labels.png")
    qtbot.waitUntil(lambda: "cannot be written" in status.text(), timeout=20_000)
    widget.controller.clusters.set_number(3)
    assert not status.text().startswith("⚠")


def test_help_of_each_tab_leads_to_its_page(qtbot, widget, monkeypatch):
    opened = []
    double = SimpleNamespace(openUrl=lambda url: opened.append(url.toString()))
    monkeypatch.setattr(help_module, "QDesktopServices", double)
    titles = [widget.tabs.tabText(at) for at in range(widget.tabs.count())]
    for at, title in enumerate(titles):
        widget.tabs.setCurrentIndex(at)
        widget.help_button.click()
        assert opened[-1] == page_of(title)
    assert set(titles) <= set(PAGES)
    assert QDesktopServices is not double


def test_the_legend_names_shares_and_lights_by_hand_and_keys(
    qtbot, viewer, widget, wait
):
    legend = widget.cluster_panel.legend
    assert legend.isHidden()
    widget.cluster_panel.button.click()
    wait(widget)
    labels = widget.controller.clusters.layer
    texts = [legend.text(label, share) for label, share, _ in legend.chips]
    assert any(text.startswith("vessel ") for text in texts)
    for box in legend._boxes():
        assert box.right() <= legend.width() + 1
    (first, *_), (second, *_) = legend.chips[:2]
    middle = legend._boxes()[1].center()
    qtbot.mouseMove(legend, middle.toPoint())
    legend.mouseMoveEvent(SimpleNamespace(position=lambda: QPointF(middle)))
    assert labels.colormap.color_dict[first][3] < 0.2
    assert labels.colormap.color_dict[second][3] == 1
    legend.leaveEvent(None)
    assert labels.colormap.color_dict[first][3] == 1
    at = np.argwhere(np.asarray(labels.data) == second)[0]
    viewer.cursor.position = tuple(labels.data_to_world(at))
    assert legend.pointed == second
    qtbot.keyClick(legend, Qt.Key.Key_Right)
    qtbot.keyClick(legend, Qt.Key.Key_Space)
    qtbot.keyClick(legend, Qt.Key.Key_Left)
    qtbot.keyClick(legend, Qt.Key.Key_Space, Qt.KeyboardModifier.ControlModifier)
    assert legend.chosen == {first, second}
    assert widget.cluster_panel.add_button.isEnabled()


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.71, "71 %"), (0.034, "3.4 %"), (0.0002, "0.02 %"), (1e-6, "<0.01 %")],
)
def test_small_shares_can_be_read(share, text):
    assert percent(share) == text


def test_formats_that_cannot_be_written_are_grey(viewer, eye, open_widget, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    widget = open_widget(viewer)
    items = widget.export_section.formats.native.model()
    for at, form in enumerate(FORMATS.values()):
        assert items.item(at).isEnabled() == (form.key not in ("ome-zarr", "dicom-seg"))
        if form.missing:
            assert form.missing in items.item(at).toolTip()
    assert FORMATS["dicom-seg"].missing == 'pip install "napari-localdisc[dicom]"'


def test_the_brush_is_taken_and_put_away(qtbot, viewer, widget, wait):
    button = widget.strokes_panel.paint_button
    button.click()
    wait(widget)
    strokes = widget.controller.strokes.layer
    assert button.isChecked()
    assert strokes.mode == "paint"
    button.click()
    assert not button.isChecked()
    assert strokes.mode == "pan_zoom"
    assert strokes in viewer.layers
    strokes.mode = "paint"  # by napari's own button
    assert button.isChecked()
    viewer.layers.selection.active = viewer.layers["eye"]
    assert not button.isChecked()


def test_dialogs_begin_where_the_image_is_or_where_the_last_file_was(
    viewer, eye, widget, tmp_path, monkeypatch
):
    asked = []

    def answer(parent, title, start, *kinds):
        asked.append(start)
        return str(tmp_path / "elsewhere" / "s.localdisc"), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    (tmp_path / "elsewhere").mkdir()
    widget.session_section.save_button.click()
    widget.session_section.save_button.click()
    assert asked[1].startswith(str(tmp_path / "elsewhere"))
    np.save(tmp_path / "eye.npy", eye.data)
    (layer,) = viewer.open(tmp_path / "eye.npy")
    widget.controller.workspace.images.choose(layer)
    widget.session_section.save_button.click()
    assert asked[2] == str(tmp_path / "session.localdisc")


def test_where_next_keeps_the_view_where_the_spot_is_in_it(qtbot, viewer, widget, wait):
    widget.strokes_panel.paint_button.click()
    wait(widget)
    controller = widget.controller
    strokes = controller.strokes.layer
    strokes.data[4:8, 4:8], strokes.data[40:44, 30:34] = 1, 2
    controller.strokes.learn()
    qtbot.waitUntil(lambda: controller.strokes.learned is not None, timeout=20_000)
    viewer.reset_view()
    qtbot.wait(100)
    camera = getattr(viewer, "scene", viewer).camera  # the viewer's own before 0.9
    camera.zoom *= 0.5  # the frame's edge is in view, too
    qtbot.wait(100)
    before = tuple(camera.center), camera.zoom
    controller.strokes.where_next()
    assert (tuple(camera.center), camera.zoom) == before
    camera.zoom *= 20
    row, column = controller.strokes.learned.prediction.next_point
    camera.center = (0, 48 - row, 40 - column)
    qtbot.wait(100)
    zoom = camera.zoom
    controller.strokes.where_next()
    assert camera.zoom == zoom
    assert np.allclose(camera.center[-2:], (row, column), atol=1)
