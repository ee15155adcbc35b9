"""A grid of layers that gave way to another is forgotten by napari's canvas."""

import gc

import numpy as np
import pytest

from napari_localdisc._qt.grids import keep_no_old_grids


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
