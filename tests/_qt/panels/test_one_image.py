"""What is looked at is worked on; two images of other sizes and transforms."""

import numpy as np
import pytest

from napari_localdisc.layers.plane import grid_of

CLICKED = (30, 8)


def seen(viewer) -> set[str]:
    return {layer.name for layer in viewer.layers if layer.visible}


@pytest.fixture
def worked_on(two, viewer, mouse, wait, choose_image):
    """A widget in whose viewer both images were clicked and clustered."""
    for name in ("large", "small"):
        choose_image(two, name)
        two.cluster_panel.button.click()
        wait(two)
        if not two.controller.prompts.is_finding:
            two.similar_panel.button.click()
        mouse(viewer).click(viewer.layers[name].data_to_world(CLICKED))
        wait(two)
        assert len(two.controller.prompts.points) == 1
    return two


def test_all_follows_the_image_that_is_selected(worked_on, viewer, choose_image, mouse):
    controller, panel = worked_on.controller, worked_on.similar_panel
    for name, other in (("large", "small"), ("small", "large"), ("large", "small")):
        choose_image(worked_on, name)
        assert worked_on.images.value is viewer.layers[name]
        shown = {f"{name} {what}" for what in ("structures", "similarity", "mask")}
        assert {name, *shown} <= seen(viewer)
        assert not {each for each in seen(viewer) if each.startswith(other)}
        (prompt,) = controller.prompts.points
        assert np.abs(np.subtract((prompt.row, prompt.column), CLICKED)).max() < 2
        assert panel.add_button.isEnabled()
    # A layer of ours stands for its image
    choose_image(worked_on, "small structures")
    assert controller.workspace.images.current is viewer.layers["small"]
    assert "large" not in seen(viewer)


def test_the_map_of_the_prompts_gives_way_to_a_preview(
    worked_on, viewer, choose_image, mouse, qtbot
):
    choose_image(worked_on, "large")
    hand, image = mouse(viewer), viewer.layers["large"]
    overlays = worked_on.controller.workspace.overlays
    preview, similarity = "large preview", "large similarity"

    def point(at):
        qtbot.mouseMove(hand._canvas.native, hand.at(image.data_to_world(at)))
        qtbot.waitUntil(lambda: preview in seen(viewer), timeout=5000)

    point((12, 30))
    assert similarity not in seen(viewer)
    assert overlays.is_meant_to_show(viewer.layers[similarity])
    viewer.mouse_over_canvas = True
    viewer.mouse_over_canvas = False
    assert similarity in seen(viewer)
    # With another image chosen it is not seen, and comes back with its own
    point((20, 20))
    choose_image(worked_on, "small")
    assert not {each for each in seen(viewer) if each.startswith("large")}
    choose_image(worked_on, "large")
    assert similarity in seen(viewer)
    # Off is off
    point((12, 30))
    overlays.choose("off")
    viewer.mouse_over_canvas = True
    viewer.mouse_over_canvas = False
    assert similarity not in seen(viewer)
    overlays.choose("outline")
    assert similarity in seen(viewer)


def test_a_grid_shows_all_and_clicks_land_after_it(
    worked_on, viewer, choose_image, mouse, wait, qtbot
):
    grid, image = grid_of(viewer), viewer.layers["small"]
    before = seen(viewer)
    grid.enabled = True
    assert {"small", "large", "small mask", "large mask"} <= seen(viewer)
    grid.enabled = False
    assert before - {"small preview"} <= seen(viewer)
    assert not {each for each in seen(viewer) if each.startswith("large")}
    mouse(viewer).click(image.data_to_world((12, 30)))
    wait(worked_on)
    assert len(worked_on.controller.prompts.points) == 2


def test_another_viewer_is_another_desk(
    worked_on, make_napari_viewer, picture, open_widget
):
    before = seen(worked_on.controller.workspace.viewer)
    other = make_napari_viewer()
    other.add_image(picture[5:], name="third", scale=(2, 2))
    second = open_widget(other)
    assert second.controller.workspace.images.current.name == "third"
    second.similar_panel.button.click()
    assert second.controller.prompts.is_finding
    assert worked_on.controller.workspace.images.current.name == "small"
    assert seen(worked_on.controller.workspace.viewer) == before
