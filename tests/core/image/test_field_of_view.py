"""The round field of view is found under noise, lettering and cut edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.image.surroundings import grown
from napari_localdisc.core.image.working import as_rgb

SHAPE = (300, 400)


def disc(shape=SHAPE, centre=(150, 190), radius=120):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(y - centre[0], x - centre[1]) <= radius


def photograph(mask, inside=(150, 90, 40), outside=0):
    return np.where(mask[..., None], np.array(inside), outside).astype(np.uint8)


def find(image, modality="fundus"):
    return find_field_of_view(as_rgb(image), modality)


def test_a_clean_disc_is_found_exactly():
    mask = disc()
    np.testing.assert_array_equal(find(photograph(mask)), mask)


def test_the_threshold_is_20_of_255_in_any_channel():
    mask = disc()
    np.testing.assert_array_equal(find(photograph(mask, (3, 21, 0), 20)), mask)
    sixteen_bit = photograph(mask, (3, 21, 0), 20).astype(np.uint16) * 257
    np.testing.assert_array_equal(find(sixteen_bit), mask)


def test_dark_vessels_and_holes_belong_to_the_field_of_view():
    mask = disc()
    image = photograph(mask)
    image[140:160, 100:280] = 5
    np.testing.assert_array_equal(find(image), mask)


def test_a_cut_disc_has_the_diameter_of_its_longer_side():
    mask = disc(centre=(150, 200), radius=180)
    found = find(photograph(mask))
    assert (found != mask).mean() < 1e-4
    grid = WorkingGrid.around(found, 540)
    assert (grid.top, grid.height) == (0, 300)
    assert grid.width == 361
    assert max(grid.shape) == 540


@pytest.mark.parametrize("size", [1, 4])
def test_noise_in_the_frame_is_no_field_of_view(size):
    rng = np.random.default_rng(1)
    shape = (SHAPE[0] * size, SHAPE[1] * size)
    mask = disc(shape, (150 * size, 190 * size), 120 * size)
    image = photograph(mask).astype(int)
    image += rng.normal(0, 6, image.shape).round().astype(int)
    specks = rng.random(shape) < 0.01
    image[specks & ~mask] = 60
    found = find(image.clip(0, 255).astype(np.uint8))
    assert (found != mask).mean() < 0.001
    grid = WorkingGrid.around(found, 540)
    assert abs(grid.height - 240 * size) <= 4 * size
    assert abs(grid.width - 240 * size) <= 4 * size


def test_lettering_and_thin_bridges_are_cut_off():
    mask = disc()
    image = photograph(mask)
    image[10:30, 5:90] = 255
    image[148:150, :] = np.maximum(image[148:150, :], 200)
    found = find(image)
    assert not found[:35, :100].any()
    assert (found != mask).mean() < 0.005


def test_an_image_without_dark_frame_is_used_whole():
    rng = np.random.default_rng(2)
    image = rng.integers(60, 200, (*SHAPE, 3), dtype=np.uint8)
    image[100:180, 150:220] = 3
    image[0, 100:200] = 0
    assert find(image).all()


def test_a_lifted_black_is_still_a_frame():
    mask = disc()
    image = np.where(mask, 0.8, 0.25).astype(np.float32)
    np.testing.assert_array_equal(find(image), mask)
    stretched = np.where(mask, 1200.0, -300.0)
    np.testing.assert_array_equal(find(stretched), mask)


@pytest.mark.parametrize("modality", ["fundus", "frame"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, bool])
def test_black_images_are_refused(modality, dtype):
    with pytest.raises(ImageError, match=r"black|one colour"):
        find(np.zeros(SHAPE, dtype), modality)


def test_too_dark_images_are_refused():
    with pytest.raises(ImageError, match="all black"):
        find(np.random.default_rng(0).integers(0, 21, SHAPE, dtype=np.uint8))


def test_a_frame_has_no_field_of_view():
    assert find(photograph(disc()), "frame").all()


def test_specks_alone_are_no_field_of_view():
    image = np.zeros((600, 600), np.uint8)
    image[300, 300] = 255
    with pytest.raises(ImageError, match=r"field of view"):
        WorkingGrid.around(find(image), 160)


@settings(max_examples=40, deadline=None)
@given(
    region=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12)),
    by=st.integers(1, 3),
    beyond=st.booleans(),
)
def test_regions_grow_as_in_scipy(region, by, beyond):
    square = np.ones((3, 3), bool)
    expected = ndimage.binary_dilation(
        region, square, iterations=by, border_value=beyond
    )
    np.testing.assert_array_equal(grown(region, by, beyond=beyond), expected)
