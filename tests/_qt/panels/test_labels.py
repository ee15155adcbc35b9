"""Annotating with real widgets, mouse and keys."""

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_localdisc.annotation.state import MaskOptions

ALL = {
    "scale": (1.5, 2),
    "translate": (-7, 11),
    "rotate": 33,
    "shear": (0.4,),
    "affine": np.array([[0.8, -0.6, 3], [0.6, 0.9, -2], [0, 0, 1]]),
}


@pytest.fixture(autouse=True)
def notifications(notifications):
    yield notifications
    problems = [r.message for r in notifications]
    assert not [text for text in problems if "Traceback" in text]


@pytest.fixture
def eye(viewer, picture):
    return viewer.add_image(picture, name="eye", **ALL)


@pytest.fixture
def widget(viewer, eye, open_widget):
    return open_widget(viewer)


@pytest.fixture
def finding(widget, wait):
    widget.similar_panel.button.click()
    wait(widget)
    return widget


def names(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def left_click(qtbot, button) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


# Find similar


def test_the_preview_follows_the_mouse(qtbot, viewer, eye, finding, mouse):
    hand = mouse(viewer)
    controller = finding.controller
    at = hand.at(eye.data_to_world((12, 30)))
    qtbot.mouseMove(hand._canvas.native, at)
    qtbot.waitUntil(lambda: controller.prompts.hover.layer is not None, timeout=5000)
    layer = controller.prompts.hover.layer
    brightest = np.unravel_index(np.argmax(layer.data), layer.data.shape)
    found = eye.world_to_data(layer.data_to_world(brightest))
    assert np.abs(found - (12, 30)).max() < 1
    assert controller.prompts.points == ()
    viewer.mouse_over_canvas = True
    assert layer.visible
    viewer.mouse_over_canvas = False  # to the threshold, say
    assert not layer.visible
    qtbot.mouseMove(hand._canvas.native, at + QPoint(3, 0))
    qtbot.waitUntil(lambda: layer.visible, timeout=5000)
    hand.click(eye.data_to_world((12, 30)))
    assert not layer.visible
    finding.similar_panel.button.click()
    assert "eye preview" not in names(viewer)


def test_a_prompt_is_dragged_with_naparis_own_tool(qtbot, viewer, eye, finding, mouse):
    hand = mouse(viewer)
    controller = finding.controller
    hand.click(eye.data_to_world((12, 30)))
    finding.similar_panel.button.click()
    points = controller.prompts.points_layer
    viewer.layers.selection.active = points
    points.mode = "select"
    hand = mouse(viewer)  # other controls may have changed the canvas's size
    before = controller.prompts.points[0]
    start = eye.data_to_world(before.point)
    end = hand.at(eye.data_to_world((25, 15))) - hand.at(start)
    hand.drag(start, (end.x(), end.y()))
    after = controller.prompts.points[0]
    np.testing.assert_allclose(after.point, (25, 15), atol=0.7)
    np.testing.assert_allclose(points.data[0], after.point)
    np.testing.assert_allclose(
        controller.prompts.similarity_layer.metadata["napari-localdisc"]["positive"],
        [after.point],
    )
    qtbot.keyClick(hand._canvas.native, Qt.Key.Key_Delete)
    assert controller.prompts.points == ()
    widget_counts = finding.similar_panel.counts.text()
    assert widget_counts == "+ 0    − 0"


def test_the_slider_moves_the_display_and_writes_when_released(viewer, eye, finding):
    controller, row = finding.controller, finding.similar_panel.threshold_row
    assert not row.isEnabled()
    controller.prompts.add((12, 30))
    assert row.isEnabled()
    assert row.automatic.isChecked()
    assert row.slider.value() == pytest.approx(controller.mask.threshold, abs=0.01)
    mask = controller.mask.layer
    written = mask.data.copy()
    row.slider.setSliderDown(True)
    for value in (0.5, 0.6, 0.8):
        row.slider.setValue(value)
    np.testing.assert_array_equal(mask.data, written)
    low, high = controller.prompts.similarity_layer.contrast_limits
    assert low < 0.8 < high
    row.slider.setSliderDown(False)
    assert controller.mask.threshold == pytest.approx(0.8)
    assert mask.data.sum() < written.sum()
    assert not row.automatic.isChecked()
    row.automatic.click()
    np.testing.assert_array_equal(mask.data, written)


def test_options_and_the_preview_of_what_is_overwritten(viewer, eye, finding):
    controller, panel = finding.controller, finding.similar_panel
    controller.prompts.add((12, 30))
    panel.options_form.minimum_size.value = 3
    panel.options_form.connected.value = True
    assert controller.prompts.options == MaskOptions(connected=True, minimum_size=3)
    assert isinstance(controller.prompts.options.minimum_size, int)
    panel.add_button.click()
    assert controller.labels_layer.data.any()
    assert panel.effect.text() == "No mask yet."
    finding.labels_panel.add_button.click()
    controller.prompts.add((12, 30))
    assert "“class 1” would stay" in panel.effect.text()
    finding.labels_panel.overwrite.value = True
    assert "would be overwritten" in panel.effect.text()
    panel.add_button.click()
    written = set(np.unique(controller.labels_layer.data))
    assert 2 in written
    assert 1 not in written


# Labels


def test_the_table_shows_and_changes_classes(qtbot, viewer, eye, widget, wait):
    widget.structure_panel.add_buttons["vessel"].click()
    wait(widget)
    classes, table = widget.controller.classes, widget.labels_panel.table
    labels = widget.controller.labels_layer
    pixels = int((labels.data == 1).sum())
    assert table.item(0, 1).text() == "vessel"
    assert table.item(0, 2).text() == f"{pixels:,} px"
    table.item(0, 1).setText("vessels")
    assert classes.find(1).name == "vessels"
    table.item(0, 0).setCheckState(Qt.CheckState.Unchecked)
    assert labels.colormap.map(1)[3] == 0
    classes.add("disc")
    assert table.rowCount() == 2
    assert table.selected_value == 2
    table.selectRow(0)
    assert classes.chosen.value == 1
    assert labels.selected_label == 1
    table.cellWidget(0, 3).click()
    with labels.block_history():
        labels.paint((20, 20), 2)
    qtbot.waitUntil(lambda: table.item(1, 2).text() != "0 px", timeout=3000)
    qtbot.keyClick(table, Qt.Key.Key_Delete)
    assert [entry.name for entry in classes.entries] == ["disc"]
    widget.labels_panel.undo_button.click()
    assert len(classes.entries) == 2
    assert "remove class" in widget.labels_panel.redo_button.toolTip()
    assert not table.grab().isNull()


def test_clusters_are_chosen_in_the_legend(qtbot, viewer, eye, widget, wait, point_at):
    panel = widget.cluster_panel
    panel.button.click()
    wait(widget)
    assert not panel.add_button.isEnabled()
    boxes = [box.center().toPoint() for box in panel.legend._boxes()]
    labels = [label for label, _, _ in panel.legend.chips]
    qtbot.mouseClick(panel.legend, Qt.MouseButton.LeftButton, pos=boxes[0])
    qtbot.mouseClick(
        panel.legend,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.ControlModifier,
        boxes[-1],
    )
    assert panel.legend.chosen == {labels[0], labels[-1]}
    panel.add_button.click()
    clusters = widget.controller.clusters.layer.data
    wanted = np.isin(clusters, [labels[0], labels[-1]])
    np.testing.assert_array_equal(widget.controller.labels_layer.data == 1, wanted)
    # Pointing at another button shows what it would take of that
    button, preview = (
        widget.structure_panel.add_buttons["vessel"],
        widget.controller.writing.preview,
    )
    point_at(button)
    vessel = (
        widget.controller.workspace.known(
            widget.controller.workspace.place_or_none()
        ).embedding.structure("vessel")
        >= 0.5
    )
    taken = wanted & vessel
    qtbot.waitUntil(lambda: preview.layer is not None, timeout=5000)
    assert preview.effect.taken == {1: np.count_nonzero(taken)}
    np.testing.assert_array_equal(preview.layer.data == 1, taken)
    assert "in pink" in widget.progress_row.status.text()
    widget.labels_panel.overwrite.value = True
    assert "would be overwritten" in widget.progress_row.status.text()
    QApplication.sendEvent(button, QEvent(QEvent.Type.Leave))
    assert preview.layer is None
    assert "in pink" not in widget.progress_row.status.text()


def test_the_users_own_labels_can_be_chosen(viewer, eye, widget, wait, point_at):
    mine = viewer.add_labels(np.zeros((48, 40), int), name="mine", **ALL)
    viewer.add_labels(np.zeros((9, 9), int), name="too small")
    box = widget.labels_panel.layers.native
    assert [box.itemText(i) for i in range(box.count())] == ["mine", "a new layer"]
    box.setCurrentIndex(0)
    widget.structure_panel.add_buttons["vessel"].click()
    wait(widget)
    assert mine.data.any()
    mine.name = "renamed"
    point_at(box)
    assert box.itemText(0) == "renamed"
    viewer.layers.remove(mine)
    assert [box.itemText(i) for i in range(box.count())] == ["a new layer"]


# Strokes


def test_strokes_painted_on_the_canvas(qtbot, viewer, eye, widget, wait, mouse):
    controller = widget.controller
    widget.strokes_panel.paint_button.click()
    wait(widget)
    strokes = controller.strokes.layer
    assert strokes.mode == "paint"
    strokes.brush_size = 4
    hand = mouse(viewer)
    hand.drag(eye.data_to_world((10, 10)), (25, 0))
    assert set(np.unique(strokes.data)) == {0, 1}
    widget.labels_panel.table.selectRow(1)
    hand.drag(eye.data_to_world((35, 30)), (25, 0))
    assert set(np.unique(strokes.data)) == {0, 1, 2}
    qtbot.waitUntil(lambda: controller.strokes.learned is not None, timeout=60_000)
    prediction = controller.strokes.prediction_layer
    assert set(np.unique(prediction.data)) == {1, 2}
    first = controller.strokes.learned
    hand.drag(eye.data_to_world((20, 20)), (25, 0))
    qtbot.waitUntil(lambda: controller.strokes.learned is not first, timeout=60_000)
    assert controller.strokes.prediction_layer is prediction
    widget.strokes_panel.uncertainty.value = True
    widget.strokes_panel.next_button.click()
    assert {"eye uncertainty", "eye where next"} <= set(names(viewer))
    widget.strokes_panel.add_button.click()
    assert (controller.labels_layer.data == 1).any()
    assert viewer.layers.selection.active is strokes
    widget.strokes_panel.paint_button.click()
    assert "eye where next" not in names(viewer)


def test_closing_while_learning(qtbot, viewer, eye, widget, wait, notifications):
    widget.strokes_panel.paint_button.click()
    wait(widget)
    strokes = widget.controller.strokes.layer
    for at, value in (((10, 10), 1), ((35, 30), 2)):
        with strokes.block_history():
            strokes.paint(at, value)
    qtbot.waitUntil(lambda: widget.controller.strokes.work.is_busy, timeout=10_000)
    viewer.window.remove_dock_widget(widget)
    with strokes.block_history():
        strokes.paint((20, 20), 1)
    qtbot.wait(300)
    assert "eye prediction" not in names(viewer)
    assert strokes in viewer.layers
    assert not notifications


# Keys


def test_keys_on_the_canvas(qtbot, viewer, eye, widget, wait, mouse):
    hand = mouse(viewer)
    canvas = hand._canvas.native
    qtbot.keyClick(canvas, Qt.Key.Key_Q)
    wait(widget)
    assert widget.controller.prompts.is_finding
    assert widget.tabs.currentWidget() is widget.similar_page
    assert "Key: Q" in widget.similar_panel.button.toolTip()
    hand.click(eye.data_to_world((12, 30)))
    qtbot.keyClick(canvas, Qt.Key.Key_K)
    assert widget.controller.labels_layer.data.any()
    qtbot.keyClick(canvas, Qt.Key.Key_U)
    assert not widget.controller.labels_layer.data.any()
    qtbot.keyClick(canvas, Qt.Key.Key_U, Qt.KeyboardModifier.ShiftModifier)
    assert widget.controller.labels_layer.data.any()
    viewer.window.remove_dock_widget(widget)
    assert not viewer.keymap


# The whole way


class ClickCounter(QObject):
    """Counts presses of a mouse button on widgets."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def eventFilter(self, watched, event) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress and watched.isWidgetType():
            self.count += 1
        return False


def test_from_a_fundus_image_to_a_saved_vessel_and_disc_mask(
    qtbot, make_napari_viewer, tmp_path, monkeypatch
):
    """Four clicks: vessel, optic disc, Save labels, and the dialog's own Save."""
    from napari_localdisc.io import labels as export

    viewer = make_napari_viewer(show=True)
    viewer.open_sample("napari-localdisc", "retina")
    _, widget = viewer.window.add_plugin_dock_widget(
        "napari-localdisc", "Local discrimination"
    )
    target = tmp_path / "retina.png"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args: (str(target), ""))
    counter = ClickCounter()
    QApplication.instance().installEventFilter(counter)
    try:
        buttons = widget.structure_panel.add_buttons
        left_click(qtbot, buttons["vessel"])
        qtbot.waitUntil(
            lambda: not widget.controller.workspace.work.is_busy, timeout=200_000
        )
        left_click(qtbot, buttons["optic disc"])
        left_click(qtbot, widget.labels_panel.save_button)
        control = widget.export_section.control
        qtbot.waitUntil(lambda: not control.is_busy, timeout=20_000)
    finally:
        QApplication.instance().removeEventFilter(counter)
    assert counter.count + 1 <= 5
    (saved,) = export.read_labels(target)
    assert list(saved.names.values()) == ["vessel", "optic disc"]
    labels = np.asarray(saved.labels)
    assert labels.shape == (1411, 1411)
    np.testing.assert_array_equal(labels, widget.controller.labels_layer.data)
    disc = np.argwhere(labels == 2)
    np.testing.assert_allclose(np.median(disc, axis=0), (640, 216), atol=60)
    assert 0.04 < (labels == 1).sum() / np.hypot(1411, 1411) ** 2 * 2 < 0.25
