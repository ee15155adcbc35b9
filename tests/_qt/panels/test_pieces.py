"""Pieces in a window: chosen, dropped, accepted, cut and joined, on two images."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari_versions import camera_of


@pytest.fixture
def pieces(two, choose_image, qtbot):
    """A widget with three pieces of a class on each image; “small” is worked on."""
    controller = two.controller
    for name, shape in (("large", (48, 40)), ("small", (40, 40))):
        choose_image(two, name)
        controller.classes.add("spot")
        labels = controller.classes.target()
        assert labels.data.shape == shape
        labels.data[2:8, 2:8] = 1
        labels.data[20:30, 10:22] = 1
        labels.data[20:23, 30:33] = 1
        labels.refresh()
    two.tabs.setCurrentWidget(two.similar_page)
    qtbot.waitUntil(lambda: len(controller.pieces.found) == 3)
    return two


def row_of(table, line):
    return [table.item(line, column).text() for column in range(4)]


def press(qtbot, table, line, modifier=Qt.KeyboardModifier.NoModifier):
    where = table.visualItemRect(table.item(line, 1)).center()
    button = Qt.MouseButton.LeftButton
    qtbot.mouseClick(table.viewport(), button, modifier, where)


def test_the_table_goes_to_what_is_clicked(pieces, viewer, qtbot, choose_image):
    panel, controller = pieces.pieces_panel, pieces.controller
    assert "3 pieces, 0 accepted" in panel.summary.text()
    assert row_of(panel.table, 0) == ["", "120 px", "25, 16", "–"] or row_of(
        panel.table, 0
    )[1:2] == ["120 px"]
    press(qtbot, panel.table, 2)
    assert controller.pieces.chosen == (3,)
    layer = controller.pieces.layer
    assert layer.data.sum() == 9
    image = viewer.layers["small"]
    middle = image.data_to_world((21, 31))
    np.testing.assert_allclose(camera_of(viewer).center[-2:], middle, atol=0.01)
    np.testing.assert_allclose(layer.data_to_world((3, 5)), image.data_to_world((3, 5)))
    pieces.tabs.setCurrentIndex(0)
    assert layer not in viewer.layers
    assert controller.pieces.found == ()


def test_a_click_in_the_canvas_chooses_a_piece(pieces, viewer, mouse):
    controller = pieces.controller
    hand = mouse(viewer)
    image = viewer.layers["small"]
    hand.click(image.data_to_world((5, 5)))
    assert controller.pieces.chosen == (2,)
    hand.click(image.data_to_world((25, 15)), Qt.KeyboardModifier.ControlModifier)
    assert controller.pieces.chosen == (2, 1)
    hand.click(image.data_to_world((12, 35)))
    assert controller.pieces.chosen == ()


def test_pieces_are_dropped_and_accepted_by_keys(pieces, qtbot, viewer):
    panel, controller = pieces.pieces_panel, pieces.controller
    labels, table = controller.labels_layer, panel.table
    before = labels.data.copy()
    press(qtbot, table, 0)
    qtbot.keyClick(table, Qt.Key.Key_Y)
    assert row_of(table, 0)[0] == "✓"
    assert controller.pieces.chosen == (2,)
    qtbot.keyClick(table, Qt.Key.Key_Delete)
    assert not labels.data[2:8, 2:8].any()
    assert labels.data.sum() == 129
    assert (viewer.layers["large labels"].data == before[:1, :1]).sum() > 0
    assert viewer.layers["large labels"].data.sum() == 165  # the other image's
    assert "2 pieces, 1 accepted" in panel.summary.text()
    assert controller.next_undo.text == "drop a piece of “spot”"
    controller.undo()
    np.testing.assert_array_equal(labels.data, before)
    controller.undo()
    qtbot.waitUntil(lambda: "3 pieces, 0 accepted" in panel.summary.text())
    controller.redo()
    qtbot.waitUntil(lambda: row_of(table, 0)[0] == "✓")


def test_pieces_are_joined_and_cut(pieces, qtbot):
    panel, controller = pieces.pieces_panel, pieces.controller
    labels, table = controller.labels_layer, panel.table
    press(qtbot, table, 0)
    assert not panel.merge_button.isEnabled()
    press(qtbot, table, 2, Qt.KeyboardModifier.ControlModifier)
    panel.merge_button.click()
    assert len(controller.pieces.found) == 2
    assert labels.data[21, 10:33].all()
    controller.undo()
    qtbot.waitUntil(lambda: len(controller.pieces.found) == 3)
    labels.data[24:26, 20:35] = 1
    labels.data[18:33, 33:39] = 1
    labels.refresh()
    qtbot.waitUntil(lambda: len(controller.pieces.found) == 2)
    press(qtbot, table, 0)
    panel.split_button.click()
    assert len(controller.pieces.found) == 3
    assert controller.next_undo.text == "split a piece of “spot”"
    assert not panel.split_button.isEnabled() or len(controller.pieces.chosen) == 1


def test_what_was_accepted_comes_back_with_a_session(pieces, tmp_path, qtbot, wait):
    controller = pieces.controller
    controller.pieces.choose([2])
    controller.pieces.accept()
    with qtbot.waitSignal(pieces.sessions.saved, timeout=20_000):
        pieces.sessions.save(tmp_path / "one")
    controller.undo()
    with qtbot.waitSignal(pieces.sessions.opened, timeout=20_000):
        pieces.sessions.open(tmp_path / "one.localdisc")
    wait(pieces)
    summary = pieces.pieces_panel.summary
    qtbot.waitUntil(lambda: "1 accepted" in summary.text(), timeout=20_000)
