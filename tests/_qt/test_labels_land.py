"""Masks of clicks become labels of the right pixels, in the real viewer."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from .test_clicks import ALL

AT = 12, 30


def stack(viewer, picture):
    """The second of three slices."""
    slices = np.stack([picture[::-1, :, 0], picture[..., 0], picture[:, ::-1, 0]])
    image = viewer.add_image(slices, scale=(4, 1.5, 2), translate=(3, -7, 11))
    viewer.dims.set_current_step(0, 1)
    return image, (1,)


def stack_from_the_side(viewer, picture):
    """Rows of a stack whose first axis is not the one that is scrolled."""
    slices = np.stack([picture[::-1], picture, picture[:, ::-1]], axis=1)
    image = viewer.add_image(slices, rgb=True, scale=(1.5, 4, 2))
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 1)
    return image, (slice(None), 1)


def multiscale(viewer, picture):
    """The finest level counts, also where a coarser one is shown."""
    levels = [picture, picture[::2, ::2]]
    return viewer.add_image(levels, multiscale=True, rgb=True, rotate=33), ()


def transformed(viewer, picture):
    """Scaled, translated, rotated, sheared and moved at once."""
    return viewer.add_image(picture, **ALL), ()


@pytest.mark.parametrize(
    "add",
    [stack, stack_from_the_side, multiscale, transformed],
    ids=lambda f: f.__name__,
)
def test_a_click_and_a_key_label_the_right_pixels(
    qtbot, viewer, picture, open_widget, wait, mouse, add
):
    image, index = add(viewer, picture)
    data = image.data[0] if image.multiscale else image.data
    widget = open_widget(viewer)
    controller = widget.controller
    widget.similar_panel.button.click()
    wait(widget)
    hand = mouse(viewer)
    point = list(AT)
    for axis, at in enumerate(index):
        if isinstance(at, int):
            point.insert(axis, at)
    hit = hand.click(image.data_to_world(point))
    wait(widget)
    wanted = controller.known_here().embedding.mask(
        [prompt.point for prompt in controller.prompts]
    )
    qtbot.keyClick(hand._canvas.native, Qt.Key.Key_K)
    labels = controller.labels_layer
    assert labels.data.shape == data.shape[: image.ndim]
    np.testing.assert_array_equal(labels.data[index] == 1, wanted)
    assert np.count_nonzero(labels.data) == np.count_nonzero(wanted)
    # Where the mouse was, napari itself now finds the label, and beside it what is
    assert labels.get_value(hit, world=True) == 1
    assert 0 < wanted.mean() < 1
    away = np.argwhere(~wanted)[0]
    for axis, at in enumerate(index):
        if isinstance(at, int):
            away = np.insert(away, axis, at)
    assert not labels.get_value(image.data_to_world(away), world=True)
    # Undo takes it back there, and only there
    qtbot.keyClick(hand._canvas.native, Qt.Key.Key_U)
    assert not labels.data.any()
