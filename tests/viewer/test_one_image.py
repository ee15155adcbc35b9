"""One image at a time, through the real controller."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.session.session import Sessions


@pytest.fixture
def two(models, picture):
    """A controller with two images, work done on both; the second is worked on."""
    viewer = ViewerModel()
    controller = Controller(viewer)
    controller.set_model("tiny")
    for name, pixels in (("left", picture), ("right", picture[::-1].copy())):
        viewer.add_image(pixels, name=name)
        controller.prompts.add((12, 30))
        controller.prompts.add_mask()
        controller.clusters.show()
    yield controller
    controller.close()


def seen(controller):
    return {layer.name for layer in controller.workspace.viewer.layers if layer.visible}


def of(name, controller):
    """Names of all layers of an image."""
    layers = controller.workspace.viewer.layers
    return {layer.name for layer in layers if layer.name.startswith(name)}


def select(controller, name):
    layers = controller.workspace.viewer.layers
    layers.selection.active = layers[name]


def test_the_image_that_is_selected_is_worked_on_and_seen_alone(two):
    assert two.workspace.images.current.name == "right"
    assert not seen(two) & of("left", two)
    select(two, "left")
    assert two.workspace.images.current.name == "left"
    assert "left" in seen(two)
    assert not seen(two) & of("right", two)


def test_a_layer_of_ours_stands_for_its_image(two):
    ours = sorted(of("left", two) - {"left"})
    assert len(ours) >= 2
    for name in ours:
        select(two, "right")
        select(two, name)
        assert two.workspace.images.current.name == "left", name


def test_what_was_hidden_by_hand_stays_hidden_and_all_else_comes_back(two):
    select(two, "left")
    before = seen(two)
    hidden = two.clusters.layer
    hidden.visible = False
    select(two, "right")
    assert "right" in seen(two)
    select(two, "left")
    assert seen(two) == before - {hidden.name}


def test_layers_of_nobody_are_left_alone(two):
    layers = two.workspace.viewer.layers
    two.workspace.viewer.add_labels(np.ones((9, 9), int), name="mine")
    assert two.workspace.images.current.name == "right"
    select(two, "left")
    assert layers["mine"].visible
    select(two, "mine")
    assert two.workspace.images.current.name == "left"


def test_what_a_removed_image_leaves_is_not_laid_on_another(two):
    layers = two.workspace.viewer.layers
    layers.remove("right")
    assert two.workspace.images.current.name == "left"
    assert "right labels" in of("right", two)
    assert not seen(two) & of("right", two)
    two.one_image.set_alone(False)
    assert "right labels" in seen(two)


def test_other_images_are_shown_when_asked_for(two):
    changed = []
    two.one_image.changed.connect(lambda: changed.append(two.one_image.alone))
    two.one_image.set_alone(False)
    assert {"left", "right"} <= seen(two)
    select(two, "left")
    assert {"left", "right"} <= seen(two)
    two.one_image.set_alone(True)
    assert not seen(two) & of("right", two)
    assert changed == [False, True]


def test_a_grid_shows_all_images(two):
    viewer = two.workspace.viewer
    grid = getattr(viewer, "canvas", viewer).grid
    grid.enabled = True
    assert {"left", "right"} <= seen(two)
    grid.enabled = False
    assert "left" not in seen(two)


def test_without_the_panel_everything_is_seen_again(two):
    two.close()
    assert {"left", "right"} <= seen(two)


def test_hidden_layers_come_back_with_their_image_from_a_session(two, tmp_path, models):
    select(two, "left")
    names = {two.labels_layer.name}
    select(two, "right")
    names.add(two.labels_layer.name)
    Sessions(two).save(tmp_path / "two")
    again = Controller(ViewerModel())
    again.set_model("tiny")
    Sessions(again).open(tmp_path / "two.localdisc")
    assert again.workspace.images.current.name == "right"
    found = set()
    for name in ("left", "right"):
        select(again, name)
        found |= seen(again) & names
    assert found == names
    again.close()


def test_order_visibility_and_looks_come_back_with_a_session(two, tmp_path, models):
    layers = two.workspace.viewer.layers
    select(two, "left")
    left, right = layers["left"], layers["right"]
    mine = two.labels_layer.name
    left.opacity, right.contrast_limits = 0.5, (0.25, 0.75)
    layers[mine].visible = False
    layers.move(layers.index(left), len(layers))  # an image above labels
    wanted = [layer.name for layer in layers if "structures" not in layer.name]
    select(two, "right")
    left_is_hidden = not left.visible
    assert left_is_hidden
    Sessions(two).save(tmp_path / "two")
    again = Controller(ViewerModel())
    again.set_model("tiny")
    Sessions(again).open(tmp_path / "two.localdisc")
    there = again.workspace.viewer.layers
    order = [layer.name for layer in there if "structures" not in layer.name]
    assert order == wanted
    assert there["left"].opacity == 0.5
    assert tuple(there["right"].contrast_limits) == (0.25, 0.75)
    assert there["right"].visible
    assert not there["left"].visible
    select(again, "left")
    assert there["left"].visible
    assert not there[mine].visible
    again.close()


def test_an_image_hidden_by_hand_stays_so_in_a_session(two, tmp_path, models):
    layers = two.workspace.viewer.layers
    layers["right"].visible = False
    Sessions(two).save(tmp_path / "two")
    again = Controller(ViewerModel())
    again.set_model("tiny")
    Sessions(again).open(tmp_path / "two.localdisc")
    assert again.workspace.images.current.name == "right"
    assert not again.workspace.viewer.layers["right"].visible
    again.close()
