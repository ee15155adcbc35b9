"""Boxes and lassos drawn in the canvas, on two images that lie differently."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari_versions import camera_of

from napari_localdisc.annotation.script import differences, replay
from napari_localdisc.annotation.sources import source_from_json
from napari_localdisc.core.learning.concept import load_concept


@pytest.fixture
def finding(two, wait):
    """A widget whose drags draw boxes; “large” is worked on."""
    two.tabs.setCurrentWidget(two.similar_page)
    two.similar_panel.tools.buttons["box"].click()
    wait(two)
    return two


def known(widget):
    workspace = widget.controller.workspace
    return workspace.known(workspace.place_or_none()).embedding


def draw(mouse, image, start, end):
    """Drag from one pixel of an image to another; return where it was, (2, 2)."""
    first, last = (mouse.at(image.data_to_world(at)) for at in (start, end))
    way = last - first
    hit = mouse.drag(image.data_to_world(start), (way.x(), way.y()))
    return [image.world_to_data(point) for point in hit]


def test_a_box_is_drawn_shown_and_undone(finding, viewer, mouse, wait):
    controller, image = finding.controller, viewer.layers["large"]
    assert controller.prompts.is_finding
    hand = mouse(viewer)
    centre = np.array(camera_of(viewer).center)
    drawn = draw(hand, image, (10, 8), (30, 28))
    wait(finding)
    np.testing.assert_allclose(camera_of(viewer).center, centre)  # nothing panned
    (prompt,) = controller.prompts.points
    np.testing.assert_allclose(prompt.frame, drawn, atol=0.6)
    layer = controller.prompts.frames_layer
    assert layer.name == "large frames"
    np.testing.assert_allclose(layer.data_to_world((3, 5)), image.data_to_world((3, 5)))
    assert len(layer.data) == 1
    assert controller.prompts.points_layer is None
    assert not [each for each in viewer.layers if each.name == "large frame"]
    mask = controller.mask.layer.data > 0
    np.testing.assert_array_equal(mask, known(finding).mask(frames=[prompt.frame]))
    assert mask.any()
    assert not mask[:9].any()
    assert not mask[32:].any()
    assert finding.similar_panel.counts.text().startswith("+ 1")
    assert controller.next_undo.text == "add a box"
    controller.undo()
    assert controller.prompts.points == ()
    assert layer not in viewer.layers
    controller.redo()
    assert controller.prompts.points == (prompt,)
    # A click beside it, and the box is deleted by hand
    hand.click(image.data_to_world((40, 30)))
    wait(finding)
    assert [bool(each.frame) for each in controller.prompts.points] == [True, False]
    layer = controller.prompts.frames_layer
    layer.selected_data = {0}
    layer.remove_selected()
    wait(finding)
    assert [bool(each.frame) for each in controller.prompts.points] == [False]
    assert controller.next_undo.text == "delete a prompt"
    # The tool goes back, and drags pan again
    finding.similar_panel.tools.buttons["click"].click()
    hand.drag(image.data_to_world((20, 20)), (30, 20))
    assert np.abs(np.array(camera_of(viewer).center) - centre).max() > 1


def test_a_box_on_a_turned_image_is_a_frame_of_it(
    finding, viewer, mouse, wait, choose_image
):
    choose_image(finding, "small")
    controller, image = finding.controller, viewer.layers["small"]
    hand = mouse(viewer)
    wanted = draw(hand, image, (14, 12), (24, 30))
    wait(finding)
    (prompt,) = controller.prompts.points
    assert len(prompt.frame) == 4  # it is upright on the screen, and not on the image
    for corner in wanted:
        away = np.abs(np.array(prompt.frame) - corner).max(1)
        assert away.min() < 0.8
    labels_before = controller.labels_layer
    assert labels_before is None
    controller.prompts.add_mask()
    labels = controller.labels_layer
    assert labels.data.shape == (40, 40)
    np.testing.assert_array_equal(
        labels.data > 0, known(finding).mask(frames=[prompt.frame])
    )
    assert controller.prompts.frames_layer is None
    choose_image(finding, "large")
    assert controller.prompts.points == ()


def test_a_lasso_and_a_negative_box_come_back_with_a_session(
    finding, viewer, mouse, wait, qtbot, tmp_path
):
    controller, image = finding.controller, viewer.layers["large"]
    finding.similar_panel.tools.buttons["lasso"].click()
    hand = mouse(viewer)
    draw(hand, image, (5, 5), (30, 20))
    wait(finding)
    (line,) = controller.prompts.points
    assert len(line.frame) >= 3
    controller.prompts.set_tool("box")
    controller.prompts.add_frame([(20, 2), (28, 18)], positive=False)
    wait(finding)
    assert controller.next_undo.text == "add a negative box"
    assert finding.similar_panel.counts.text() == "+ 1    − 1"
    colours = controller.prompts.frames_layer.edge_color
    assert (colours[0] != colours[1]).any()
    prompts = controller.prompts.points
    mask = controller.mask.layer.data > 0
    assert not mask[21:28, 3:17].any()
    with qtbot.waitSignal(finding.sessions.saved):
        finding.sessions.save(tmp_path / "one")
    controller.prompts.clear()
    wait(finding)
    with qtbot.waitSignal(finding.sessions.opened):
        finding.sessions.open(tmp_path / "one.localdisc")
    wait(finding)
    assert controller.prompts.points == prompts
    np.testing.assert_array_equal(controller.mask.layer.data > 0, mask)


def test_script_replay_and_concept_know_frames(finding, wait, qtbot, tmp_path):
    controller, embedding = finding.controller, known(finding)
    controller.prompts.add_frame([(10, 8), (30, 28)])
    wait(finding)
    controller.prompts.add_mask()
    place = controller.workspace.place()
    log, labels = place.document.history.log, controller.labels_layer.data
    repeated = replay(log, (None, None), labels.shape, lambda key: embedding)[0]
    assert differences(labels, repeated) == []
    (written,) = [entry for entry in log if entry.kind == "write"]
    source = source_from_json(written.parameters["source"])
    assert source.frames == (((10, 8), (30, 28)),)
    assert "frames=[((10.0, 8.0), (30.0, 28.0))]" in source.code("embedding", 1, False)
    assert "frames" not in type(source)(positive=((1, 2),)).to_json()
    with qtbot.waitSignal(finding.concepts.saved):
        finding.concepts.save_prompts("spot", tmp_path / "spot")
    concept = load_concept(tmp_path / "spot.concept.safetensors")
    assert concept.labels(embedding).any()


def test_the_key_goes_through_the_tools(two, viewer, qtbot):
    canvas, tools = viewer.window._qt_viewer.canvas.native, two.similar_panel.tools
    shown = []
    for _ in range(3):
        qtbot.keyClick(canvas, Qt.Key.Key_J)
        shown.append(next(name for name, b in tools.buttons.items() if b.isChecked()))
    assert shown == ["box", "lasso", "click"]
    assert two.controller.prompts.is_finding


def test_a_frame_off_the_image_is_refused(finding, viewer):
    controller = finding.controller
    controller.prompts.add_frame([(-20, -20), (-5, -5)])
    assert "Draw around something" in controller.workspace.status.text
    assert controller.prompts.points == ()
    with pytest.raises(ValueError, match="a tool is one of"):
        controller.prompts.set_tool("circle")
