"""Outline, fill, off: through the real controller, with a user's own layers beside."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_localdisc.core.colours import STRUCTURES, from_hex
from napari_localdisc.viewer.controller import Controller


@pytest.fixture
def controller(models, picture):
    viewer = ViewerModel()
    viewer.add_labels(np.ones((48, 40), np.uint8), name="own")
    viewer.add_image(picture, name="eye")
    made = Controller(viewer)
    made.set_model("tiny")
    yield made
    made.close()


def view(controller):
    return controller.workspace.overlays


def layer(controller, name):
    return controller.workspace.viewer.layers[name]


def test_masks_are_outlined_until_they_are_wanted_filled(controller):
    controller.clusters.show()
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    controller.prompts.add((30, 12))
    ours = ("eye structures", "eye mask", "eye labels")
    assert view(controller).view == "outline"
    assert [layer(controller, name).contour for name in ours] == [1, 1, 1]
    view(controller).choose("fill")
    assert [layer(controller, name).contour for name in ours] == [0, 0, 0]
    assert layer(controller, "own").contour == 0
    controller.prompts.clear()
    controller.prompts.add((30, 12))
    assert layer(controller, "eye mask").contour == 0  # a new layer, too


def test_off_shows_the_picture_and_what_is_found_next_brings_all_back(controller):
    controller.clusters.show()
    controller.prompts.add((12, 30))
    layer(controller, "eye structures").visible = False
    view(controller).choose("off")
    seen = {each.name for each in controller.workspace.viewer.layers if each.visible}
    assert seen == {"own", "eye"}
    controller.prompts.add((30, 12))
    assert view(controller).view == "outline"
    assert layer(controller, "eye mask").visible
    assert layer(controller, "eye prompts").visible
    assert not layer(controller, "eye structures").visible  # hidden by hand


def test_the_key_goes_round_and_off_ends_with_another_image(controller, picture):
    controller.clusters.show()
    viewer = controller.workspace.viewer
    press = next(action for key, action in viewer.keymap.items() if str(key) == "H")
    met = []
    for _ in range(3):
        press(viewer)
        met.append(view(controller).view)
    assert met == ["fill", "off", "outline"]
    view(controller).choose("off")
    other = viewer.add_image(picture[::-1].copy(), name="other")
    controller.workspace.images.choose(other)
    assert view(controller).view == "outline"
    assert not layer(controller, "eye structures").visible
    viewer.layers.selection.active = layer(controller, "eye")
    assert layer(controller, "eye structures").visible


def test_a_structure_has_one_colour_everywhere(controller):
    wanted = from_hex(STRUCTURES["vessel"])
    controller.clusters.show()
    controller.clusters.show_structure("vessel")
    controller.writing.add_structure("vessel")
    assert controller.clusters.names[1] == "vessel"
    (entry,) = controller.classes.entries
    assert entry.colour == STRUCTURES["vessel"]
    shades = [
        layer(controller, "eye structures").colormap.map(1),
        layer(controller, "eye labels").colormap.map(entry.value),
        layer(controller, "eye vessel probability").colormap.map(1.0),
    ]
    for shade in shades:
        np.testing.assert_allclose(np.ravel(shade)[:3], wanted, atol=0.01)


def test_one_cluster_stands_out_and_the_pointer_says_which_it_is_on(controller):
    controller.clusters.show()
    labels, told = layer(controller, "eye structures"), []
    controller.clusters.pointed.connect(told.append)
    before = dict(labels.colormap.color_dict)
    data = np.asarray(labels.data)
    here = tuple(int(at[0]) for at in np.nonzero(data))
    value = int(data[here])
    controller.workspace.viewer.cursor.position = here
    assert told == [value]
    controller.clusters.light(value)
    lit = labels.colormap.color_dict
    assert lit[value][3] == before[value][3]
    dimmed = [key for key in before if key not in (0, value)]
    assert all(lit[key][3] < 0.2 for key in dimmed)
    controller.clusters.light(0)
    assert set(labels.colormap.color_dict) == set(before)
    assert all(
        np.allclose(labels.colormap.color_dict[key], before[key]) for key in before
    )
