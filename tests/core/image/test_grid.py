"""The working grid maps to the image and back without shifting anything."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.image.grid import WorkingGrid


def blobs(shape, points, sigma):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return sum(
        np.exp(-0.5 * ((y - row) ** 2 + (x - column) ** 2) / sigma**2)
        for row, column in points
    )


def centroid(image, near, radius):
    """Weighted mean position of a blob: exact far below a pixel."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image * (np.hypot(y - near[0], x - near[1]) < radius)
    return np.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum()


def grid_around(shape, box, working_diameter):
    mask = np.zeros(shape, bool)
    mask[box] = True
    return WorkingGrid.around(mask, working_diameter)


BOX = np.s_[31:331, 17:298]
LANDMARKS = [(90.0, 70.0), (95.3, 200.7), (250.5, 90.25), (260.0, 220.0)]


@pytest.mark.parametrize("working_diameter", [71, 100, 149, 300, 540])
def test_landmarks_are_found_where_they_are(working_diameter):
    grid = grid_around((350, 320), BOX, working_diameter)
    sigma = 3 * max(1, 1 / min(grid.scale))
    image = blobs(grid.image_shape, LANDMARKS, sigma)
    working = grid.to_working(image)
    expected = grid.points_to_working(LANDMARKS)
    back = grid.to_image(working)
    for landmark, point in zip(LANDMARKS, expected, strict=True):
        on_grid = centroid(working, point, 3.5 * sigma * grid.scale[0])
        assert np.abs(on_grid - point).max() < 0.1
        assert np.abs(grid.points_to_image([on_grid]) - landmark).max() < 0.1
        assert np.abs(centroid(back, landmark, 4 * sigma) - landmark).max() < 0.1


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(16, 90),
    width=st.integers(16, 90),
    working_diameter=st.integers(16, 200),
    point=st.tuples(st.floats(-5, 120), st.floats(-5, 120)),
)
def test_points_go_there_and_back(height, width, working_diameter, point):
    box = np.s_[7 : 7 + height, 11 : 11 + width]
    grid = grid_around((110, 120), box, working_diameter)
    assert max(grid.shape) == working_diameter
    assert (grid.top, grid.left, grid.height, grid.width) == (7, 11, height, width)
    there = grid.points_to_working([point])
    np.testing.assert_allclose(grid.points_to_image(there), [point], atol=1e-9)
    # The outer edges of the two grids coincide, whatever was rounded
    edges = np.array([[6.5, 10.5], [6.5 + height, 10.5 + width]])
    corners = [[-0.5, -0.5], np.array(grid.shape) - 0.5]
    np.testing.assert_allclose(grid.points_to_working(edges), corners, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(working_diameter=st.integers(30, 300), slope=st.floats(-2, 2))
def test_a_ramp_keeps_its_values(working_diameter, slope):
    # 0.3 grey values are 0.1 pixels of the steepest ramp
    grid = grid_around((150, 130), np.s_[10:140, 5:125], working_diameter)
    y, x = np.mgrid[:150, :130].astype(np.float32)
    ramp = y + slope * x
    working = grid.to_working(ramp)
    rows, columns = np.mgrid[: grid.shape[0], : grid.shape[1]]
    points = np.stack([rows.ravel(), columns.ravel()], 1)
    expected = (grid.points_to_image(points) @ [1, slope]).reshape(grid.shape)
    inner = np.s_[8:-8, 8:-8]
    np.testing.assert_allclose(working[inner], expected[inner], atol=0.3)
    back = grid.to_image(working)
    inner = np.s_[35:-35, 35:-35]
    np.testing.assert_allclose(back[inner], ramp[inner], atol=0.3)


def test_the_same_size_changes_nothing():
    image = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    grid = grid_around((40, 50), np.s_[:, :], 50)
    np.testing.assert_array_equal(grid.to_working(image), image)
    np.testing.assert_array_equal(grid.to_image(image), image)


def test_shrinking_does_not_alias():
    stripes = np.tile([0.0, 1.0], (200, 100))
    working = grid_around(stripes.shape, np.s_[:, :], 57).to_working(stripes)
    assert np.abs(working[:, 3:-3] - 0.5).max() < 0.06


def test_spread_writes_nothing_outside():
    grid = grid_around((60, 70), np.s_[10:50, 10:60], 30)
    inside = torch.zeros(60, 70, dtype=torch.bool)
    inside[20:40, 20:50] = True
    spread = grid.spread(torch.ones(grid.shape), inside)
    assert torch.equal(spread > 0, inside)
    box = torch.zeros(60, 70)
    box[10:50, 10:60] = 1
    assert torch.allclose(grid.spread(torch.ones(grid.shape)), box)


@pytest.mark.parametrize("size", [0, 1, 15])
def test_too_small_a_field_of_view_is_refused(size):
    mask = np.zeros((40, 40), bool)
    mask[:size, :] = True
    with pytest.raises(ImageError, match="field of view"):
        WorkingGrid.around(mask, 100)
