"""Clicks in the canvas land on the right pixels, and the mouse is given back."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from tests.napari_versions import camera_of

TRANSFORMS = {
    "plain": {},
    "scale": {"scale": (0.5, 3)},
    "rotate": {"rotate": 33, "translate": (-70, 110)},
    "shear": {"shear": (0.4,)},
    "units": {"scale": (2, 2), "units": ("um", "um")},
}
ALL = {
    "scale": (1.5, 2),
    "translate": (-7, 11),
    "rotate": 33,
    "shear": (0.4,),
    "affine": np.array([[0.8, -0.6, 3], [0.6, 0.9, -2], [0, 0, 1]]),
}


@pytest.fixture
def clicked(qtbot, viewer, open_widget, wait, mouse):
    """Click on pixels of an image while finding; check where everything lies.

    With ``writes``, the key that adds the mask to the labels is pressed as well.
    """

    def check(image, index=(), writes=False):
        widget = open_widget(viewer)
        controller = widget.controller
        widget.similar_panel.button.click()
        wait(widget)
        hand = mouse(viewer)
        wanted = np.array([*index, 12, 30])
        hit = hand.click(image.data_to_world(wanted))
        wait(widget)
        assert len(controller.prompts.points) == 1
        # The prompt is where the canvas pixel is, within a pixel of what was aimed at
        at = image.world_to_data(hit)[-2:]
        np.testing.assert_allclose(controller.prompts.points[0].point, at, atol=1e-3)
        assert np.abs(at - (12, 30)).max() < 0.5
        layer = controller.prompts.similarity_layer
        brightest = np.unravel_index(np.argmax(layer.data), layer.data.shape)
        found = image.world_to_data(layer.data_to_world(brightest))
        assert np.abs(found - wanted).max() < 0.7
        hand.shift_click(image.data_to_world([*index, 40, 8]))
        assert [prompt.positive for prompt in controller.prompts.points] == [
            True,
            False,
        ]
        np.testing.assert_allclose(
            controller.prompts.points[1].point, (40, 8), atol=0.5
        )
        if writes:
            lands(hand, controller, image, index, hit)

    def lands(hand, controller, image, index, hit):
        points = [prompt.point for prompt in controller.prompts.points]
        wanted = controller.workspace.known(
            controller.workspace.place_or_none()
        ).embedding.mask(points[:1], points[1:])
        qtbot.keyClick(hand._canvas.native, Qt.Key.Key_K)
        labels = controller.labels_layer
        data = image.data[0] if image.multiscale else image.data
        assert labels.data.shape == data.shape[: image.ndim]
        np.testing.assert_array_equal(labels.data[index] == 1, wanted)
        assert np.count_nonzero(labels.data) == np.count_nonzero(wanted)
        # napari itself finds the label where the mouse was, and none beside the mask
        assert labels.get_value(hit, world=True) == 1
        away = [*index, *np.argwhere(~wanted)[0]]
        assert not labels.get_value(image.data_to_world(away), world=True)

    return check


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_clicks_on_transformed_layers(viewer, picture, clicked, transform):
    clicked(viewer.add_image(picture, **transform))


KINDS = {
    "grey": lambda rgb: rgb[..., 0],
    "rgba": lambda rgb: np.dstack([rgb, np.ones(rgb.shape[:2], np.float32)]),
}


@pytest.mark.parametrize("convert", KINDS.values(), ids=KINDS)
def test_clicks_on_grey_and_rgba(viewer, picture, clicked, convert):
    image = viewer.add_image(convert(picture), **ALL)
    clicked(image, writes=convert is KINDS["grey"])


def test_clicks_on_a_slice_of_a_stack(viewer, picture, clicked):
    stack = np.stack([picture[::-1, :, 0], picture[..., 0], picture[:, ::-1, 0]])
    image = viewer.add_image(stack, scale=(4, 1.5, 2), translate=(3, -7, 11))
    viewer.dims.set_current_step(0, 1)
    clicked(image, index=(1,), writes=True)


def test_clicks_on_a_transposed_view(viewer, picture, clicked):
    image = viewer.add_image(picture, scale=(1.5, 2))
    viewer.dims.order = (1, 0)
    clicked(image, writes=True)


def test_clicks_on_a_multiscale_image(viewer, picture, clicked):
    levels = [picture, picture[::2, ::2]]
    image = viewer.add_image(levels, multiscale=True, rgb=True, rotate=33)
    clicked(image, writes=True)


def test_clicks_where_the_world_has_smaller_units(
    viewer, picture, open_widget, wait, mouse
):
    image = viewer.add_image(picture, scale=(0.002, 0.002), units="mm")
    viewer.add_image(np.zeros((9, 9)), scale=(2, 2), units="um")
    assert [str(unit) for unit in viewer.layers.extent.units] == ["micrometer"] * 2
    widget = open_widget(viewer)
    widget.controller.workspace.images.choose(image)
    widget.similar_panel.button.click()
    wait(widget)
    mouse(viewer).click(np.multiply(image.data_to_world((12, 30)), 1000))
    point = widget.controller.prompts.points[0].point
    np.testing.assert_allclose(point, (12, 30), atol=0.5)


@pytest.fixture
def finding(viewer, picture, open_widget, wait):
    viewer.add_image(picture, name="eye")
    widget = open_widget(viewer)
    widget.similar_panel.button.click()
    wait(widget)
    return widget


def test_drags_and_clicks_outside_are_no_prompts(qtbot, viewer, finding, mouse):
    hand = mouse(viewer)
    centre = camera_of(viewer).center
    hand.drag((20, 20), (60, 0))
    assert finding.controller.prompts.points == ()
    qtbot.waitUntil(lambda: camera_of(viewer).center != centre)  # it panned
    before = hand.at((20, 20))
    hand.drag((20, 20), (40, -30), Qt.MouseButton.MiddleButton)
    qtbot.waitUntil(lambda: hand.at((20, 20)) != before)
    moved = hand.at((20, 20)) - before  # what was under the mouse still is
    assert max(abs(moved.x() - 40), abs(moved.y() + 30)) <= 1
    zoom = camera_of(viewer).zoom
    hand.wheel((20, 20), 15)
    qtbot.waitUntil(lambda: camera_of(viewer).zoom > zoom)
    assert finding.controller.prompts.points == ()
    hand = mouse(viewer)
    hand.drag((20, 20), (2, -2))  # a hand is never quite still
    assert len(finding.controller.prompts.points) == 1
    camera_of(viewer).zoom = 2
    mouse(viewer).click((-5, -5))
    assert len(finding.controller.prompts.points) == 1


def test_a_double_click_is_one_prompt_and_does_not_zoom(viewer, finding, mouse):
    hand = mouse(viewer)
    zoom = camera_of(viewer).zoom
    hand.double_click((20, 20))
    assert len(finding.controller.prompts.points) == 1
    assert camera_of(viewer).zoom == zoom
    finding.similar_panel.button.click()
    hand.double_click((20, 20))
    assert len(finding.controller.prompts.points) == 1
    assert camera_of(viewer).zoom == 2 * zoom


def test_leaving_gives_the_mouse_back(viewer, finding, mouse):
    finding.similar_panel.button.click()
    assert not finding.controller.prompts.is_finding
    before = (
        list(viewer.mouse_drag_callbacks),
        list(viewer.mouse_double_click_callbacks),
    )
    finding.similar_panel.button.click()
    assert viewer.cursor.style == "crosshair"
    finding.similar_panel.button.click()
    assert viewer.cursor.style == "standard"
    mouse(viewer).click((20, 20))
    assert finding.controller.prompts.points == ()
    assert before == (
        list(viewer.mouse_drag_callbacks),
        list(viewer.mouse_double_click_callbacks),
    )


def test_a_brush_that_was_in_use_comes_back(viewer, picture, open_widget, wait, mouse):
    viewer.add_image(picture)
    labels = viewer.add_labels(np.zeros((48, 40), int))
    labels.mode = "paint"
    widget = open_widget(viewer)
    widget.similar_panel.button.click()
    wait(widget)
    assert labels.mode == "pan_zoom"
    hand = mouse(viewer)
    hand.click((20, 20))
    assert not labels.data.any()
    assert len(widget.controller.prompts.points) == 1
    widget.similar_panel.button.click()
    assert labels.mode == "paint"
    hand.click((20, 20))
    assert labels.data.any()
    assert len(widget.controller.prompts.points) == 1


def test_a_brush_that_is_taken_meanwhile_paints(viewer, finding, mouse):
    labels = viewer.add_labels(np.zeros((48, 40), int))
    labels.mode = "paint"
    mouse(viewer).click((20, 20))
    assert labels.data.any()
    assert finding.controller.prompts.points == ()
    finding.similar_panel.button.click()
    assert labels.mode == "paint"


def test_clear(viewer, finding, mouse):
    mouse(viewer).click((20, 20))
    assert finding.similar_panel.counts.text() == "+ 1    − 0"
    finding.similar_panel.clear_button.click()
    assert finding.similar_panel.counts.text() == "+ 0    − 0"
    assert not finding.similar_panel.clear_button.isEnabled()
    finding.similar_panel.button.click()
    assert [layer.name for layer in viewer.layers] == ["eye"]


def test_clicks_in_a_volume_are_explained(viewer, finding, mouse):
    from napari.utils.notifications import notification_manager

    hand = mouse(viewer)
    viewer.dims.ndisplay = 3
    hand.click((20, 20))
    assert finding.controller.prompts.points == ()
    assert "2-D display" in notification_manager.records[-1].message
