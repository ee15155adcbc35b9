"""What was painted and rubbed out by hand survives, on two images that differ."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_localdisc.annotation.script import differences, replay

SPOT = (24, 30)
"""A click that means what looks like it; see the fixture ``meanings``."""


@pytest.fixture
def written(two, wait):
    """A widget where a click's mask is written on “large”."""
    controller = two.controller
    controller.classes.add("vessel")
    controller.prompts.add(SPOT)
    wait(two)
    controller.prompts.add_mask()
    wait(two)
    return two


def brush(mouse, labels, image, at, mode, value=1):
    """Paint or erase one pixel with napari's own tool, and put it away."""
    viewer = mouse._viewer
    before, viewer.layers.selection.active = viewer.layers.selection.active, labels
    labels.brush_size, labels.selected_label, labels.mode = 1, value, mode
    mouse.click(image.data_to_world(at))
    labels.mode = "pan_zoom"
    viewer.layers.selection.active = before


def corrected(widget, hand, image):
    """Rub out a pixel of the mask, and paint one outside; return where."""
    labels = widget.controller.labels_layer
    inside = tuple(int(at) for at in np.argwhere(labels.data == 1)[-1])
    outside = tuple(int(at) for at in np.argwhere(labels.data == 0)[0])
    brush(hand, labels, image, inside, "erase")
    brush(hand, labels, image, outside, "paint")
    assert (labels.data[inside], labels.data[outside]) == (0, 1)
    return inside, outside


def again(widget, wait, point=SPOT):
    """Click once more and write that mask into the same class."""
    widget.controller.prompts.add(point)
    wait(widget)
    mask = widget.controller.mask
    shown = mask.pixels, mask.by_hand, widget.similar_panel.effect.text()
    widget.controller.prompts.add_mask()
    wait(widget)
    return shown


def test_a_click_s_mask_leaves_it(written, viewer, mouse, wait, choose_image):
    controller, image = written.controller, viewer.layers["large"]
    inside, outside = corrected(written, mouse(viewer), image)
    labels = controller.labels_layer
    before = labels.data.copy()
    pixels, by_hand, effect = again(written, wait)
    assert by_hand == 1
    assert "1 would stay as they are by hand" in effect
    assert pixels == np.count_nonzero(before) - 1  # but for the painted one
    np.testing.assert_array_equal(labels.data, before)
    assert "1 stay as they are by hand" in controller.workspace.status.text
    # Rubbed out is what the click lies on: it is meant again
    again(written, wait, inside)
    assert labels.data[inside] == 1
    controller.undo()
    assert labels.data[inside] == 0
    controller.undo()  # the click
    again(written, wait)
    assert labels.data[inside] == 0  # it is by hand once more
    # On the other image nothing is by hand
    choose_image(written, "small")
    controller.prompts.add((20, 30))
    wait(written)
    assert controller.mask.by_hand == 0
    controller.prompts.add_mask()
    assert (controller.labels_layer.data > 0).any()
    choose_image(written, "large")
    assert controller.labels_layer is labels
    assert (labels.data[inside], labels.data[outside]) == (0, 1)


def test_a_structure_leaves_it_however_it_is_tuned(
    two, viewer, mouse, wait, choose_image
):
    choose_image(two, "small")
    controller, add = two.controller, two.structure_panel.add_buttons["vessel"]
    add.click()
    wait(two)
    inside, outside = corrected(two, mouse(viewer), viewer.layers["small"])
    labels = controller.labels_layer
    two.structure_panel.tune_buttons["vessel"].click()
    for threshold in (0.4, 0.502, 0.5):  # of all pixels, of few, as it was
        controller.tuning.set_options(threshold=threshold)
        add.click()
        wait(two)
        assert (labels.data[inside], labels.data[outside]) == (0, 1)
    assert labels.data.shape == (40, 40)


def test_a_prediction_leaves_it_even_where_it_overwrites(two, wait, qtbot):
    controller = two.controller
    controller.classes.add("one")
    controller.classes.add("two")
    controller.strokes.start()
    strokes = controller.strokes.layer
    strokes.mode = "pan_zoom"
    strokes.data[2:6, 2:6], strokes.data[30:34, 20:30] = 1, 2
    controller.strokes.learn()
    qtbot.waitUntil(lambda: controller.strokes.learned is not None, timeout=20_000)
    controller.writing.set_overwrite(True)
    controller.strokes.accept()
    wait(two)
    labels = controller.labels_layer
    ones, twos = (tuple(np.argwhere(labels.data == value)[0]) for value in (1, 2))
    labels.data[ones], labels.data[twos] = 2, 0
    controller.strokes.accept()
    wait(two)
    assert (labels.data[ones], labels.data[twos]) == (2, 0)
    assert "2 stay as they are by hand" in controller.workspace.status.text


def test_a_dropped_piece_does_not_come_back(written, wait):
    controller = written.controller
    written.tabs.setCurrentWidget(written.similar_page)
    controller.pieces.set_active(True)
    clicked = controller.pieces.number_at(SPOT)
    controller.pieces.choose([each.number for each in controller.pieces.found])
    controller.pieces.choose([n for n in controller.pieces.chosen if n != clicked])
    controller.pieces.drop()
    labels = controller.labels_layer
    before = labels.data.copy()
    again(written, wait)
    np.testing.assert_array_equal(labels.data, before)
    controller.undo()
    controller.undo()
    controller.undo()  # the click, its mask, and that the piece was dropped
    assert labels.data.any()
    written_once = labels.data.copy()
    again(written, wait)
    np.testing.assert_array_equal(labels.data, written_once)


def test_a_removed_class_begins_anew(written, viewer, mouse, wait):
    controller = written.controller
    inside, _ = corrected(written, mouse(viewer), viewer.layers["large"])
    controller.classes.remove(1)
    controller.classes.add("vessel")
    again(written, wait)
    labels = controller.labels_layer
    assert labels.data[inside] == controller.classes.chosen.value


def test_it_comes_back_with_a_session(written, viewer, mouse, wait, qtbot, tmp_path):
    inside, outside = corrected(written, mouse(viewer), viewer.layers["large"])
    with qtbot.waitSignal(written.sessions.saved):
        written.sessions.save(tmp_path / "one")
    viewer.layers.remove(written.controller.labels_layer)
    with qtbot.waitSignal(written.sessions.opened):
        written.sessions.open(tmp_path / "one.localdisc")
    wait(written)
    labels = written.controller.labels_layer
    assert (labels.data[inside], labels.data[outside]) == (0, 1)
    again(written, wait)
    assert (labels.data[inside], labels.data[outside]) == (0, 1)


def test_a_script_repeats_it(written, viewer, mouse, wait):
    controller = written.controller
    corrected(written, mouse(viewer), viewer.layers["large"])
    again(written, wait)
    place = controller.workspace.place()
    embedding = controller.workspace.known(place).embedding
    log, labels = place.document.history.log, controller.labels_layer.data
    repeated = replay(log, (None, None), labels.shape, lambda key: embedding)
    assert sorted(value for value, *_ in differences(labels, repeated)) == [0, 1]


def test_keys_of_a_hand_are_napari_s_own(written, viewer, mouse, wait, qtbot):
    """What napari's undo takes back was never painted."""
    image, labels = viewer.layers["large"], written.controller.labels_layer
    before = labels.data.copy()
    corrected(written, mouse(viewer), image)
    labels.undo()
    labels.undo()
    np.testing.assert_array_equal(labels.data, before)
    _, by_hand, _ = again(written, wait)
    assert by_hand == 0
    qtbot.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_U)
    np.testing.assert_array_equal(labels.data, before)
