"""Old grids of layers are forgotten by napari's canvas, and new ones made once."""

import gc

import numpy as np
import pytest

from napari_localdisc._qt.grids import (
    keep_no_old_grids,
    make_one_grid_for_all_that_is_shown,
)


@pytest.mark.parametrize("times", [1, 2])
def test_a_grid_of_another_shape_takes_the_place_of_the_old_one(
    make_napari_viewer, times
):
    for _ in range(times):
        keep_no_old_grids()
    viewer = make_napari_viewer()
    canvas = viewer.window._qt_viewer.canvas
    grid = getattr(viewer, "canvas", viewer).grid  # before napari 0.9
    viewer.add_image(np.zeros((9, 9)))
    grid.enabled = True
    widgets, first = len(canvas.central_widget._widgets), canvas.grid
    for _ in range(3):
        for _ in range(4):
            viewer.add_image(np.zeros((9, 9)))
        assert canvas.grid is not first
        assert canvas.grid.grid_size == (2, 3)
        del viewer.layers[1:]
    assert canvas.grid in canvas.central_widget._widgets
    assert len(canvas.central_widget._widgets) == widgets


def test_a_hidden_layer_outlives_the_grid_that_it_was_in(make_napari_viewer):
    keep_no_old_grids()
    viewer = make_napari_viewer()
    for _ in range(5):
        viewer.add_image(np.ones((9, 9)))
    grid = getattr(viewer, "canvas", viewer).grid  # before napari 0.9
    grid.enabled = True
    hidden, also = viewer.layers[1:3]
    hidden.visible = also.visible = False
    del viewer.layers[3:]
    viewer.add_image(np.ones((9, 9)))
    gc.collect()
    hidden.scale = (2, 2)
    viewer.layers.remove(hidden)
    also.visible = True
    canvas = viewer.window._qt_viewer.canvas
    assert (
        canvas.layer_to_visual[also].node.root_node is canvas.central_widget.root_node
    )


def test_a_picture_of_the_viewer_has_what_was_shown_or_hidden_last(make_napari_viewer):
    pytest.importorskip("napari", "0.9", "hidden layers keep their cells in older ones")
    keep_no_old_grids()
    make_one_grid_for_all_that_is_shown()
    viewer = make_napari_viewer()
    for value in range(1, 5):
        viewer.add_image(np.full((9, 9), value), contrast_limits=(0, 4))
    grid = getattr(viewer, "canvas", viewer).grid  # before napari 0.9
    grid.enabled = True
    canvas = viewer.window._qt_viewer.canvas

    def picture():
        return viewer.screenshot(flash=False)

    four = picture()
    for layer in viewer.layers[1:]:
        layer.visible = False
    assert canvas.grid.grid_size == (2, 2)
    one = picture()
    assert canvas.grid.grid_size == (1, 1)
    assert len(np.unique(one)) < len(np.unique(four))
    for layer in viewer.layers:
        layer.visible = True
    np.testing.assert_array_equal(picture(), four)
    viewer.layers.move(0, 4)
    picture()
    for at, layer in enumerate(viewer.layers):
        cell = canvas.grid[grid.position(at, viewer.layers)]
        assert canvas.layer_to_visual[layer].node.parent is cell.scene
