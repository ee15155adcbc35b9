"""Any 2-D image becomes RGB in [0, 1]; anything else gets one clear sentence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.image.working import (
    as_rgb,
    few_tones,
    stretch_tones,
    working_image,
)

SHAPE = (20, 24)


@pytest.fixture
def photograph(rng):
    return rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_eight_bits_are_divided_by_255(photograph):
    rgb = as_rgb(photograph)
    assert rgb.dtype == np.float32
    assert rgb.shape == (*SHAPE, 3)
    np.testing.assert_array_equal(rgb, photograph / np.float32(255))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint32, ">u2", np.int64])
@pytest.mark.parametrize("brightest", [255, 50])
def test_sixteen_bit_copy_of_an_image_gives_the_same_rgb(photograph, dtype, brightest):
    photograph = np.minimum(photograph, brightest)
    photograph[0, 0] = brightest
    wide = (photograph.astype(np.int64) * 257).astype(dtype)
    np.testing.assert_array_equal(as_rgb(wide), as_rgb(photograph))


@pytest.mark.parametrize(
    ("highest", "full_scale"),
    [
        (200, 255),
        (256, 1023),
        (1023, 1023),
        (4000, 4095),
        (9000, 16383),
        (16384, 65535),
    ],
)
def test_bit_depth_is_the_smallest_that_holds_the_maximum(highest, full_scale):
    image = np.zeros(SHAPE, np.uint16)
    image[3, 4] = highest
    assert as_rgb(image).max() == np.float32(highest) / np.float32(full_scale)


def test_grey_images_of_two_layouts_and_of_bools(photograph):
    grey = photograph[..., 0]
    expected = np.repeat(as_rgb(photograph)[..., :1], 3, axis=2)
    np.testing.assert_array_equal(as_rgb(grey), expected)
    np.testing.assert_array_equal(as_rgb(grey[..., None]), expected)
    assert set(np.unique(as_rgb(grey > 99))) == {0, 1}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_opaque_alpha_changes_nothing_and_transparent_pixels_are_black(
    photograph, dtype
):
    full = 1 if dtype is np.float32 else np.iinfo(dtype).max
    colour = (photograph / 255 * full).astype(dtype)
    alpha = np.full((*SHAPE, 1), full, dtype)
    rgba = np.concatenate([colour, alpha], axis=2)
    np.testing.assert_array_equal(as_rgb(rgba), as_rgb(colour))
    rgba[2, 3, 3] = 0
    assert (as_rgb(rgba)[2, 3] == 0).all()
    np.testing.assert_array_equal(as_rgb(rgba)[5:], as_rgb(colour)[5:])


def test_floats_in_the_unit_range_stay_as_they_are(rng):
    image = rng.uniform(0.1, 0.3, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(as_rgb(image)[..., 0], image)


@settings(max_examples=25, deadline=None)
@given(
    offset=st.floats(-1e6, 1e6),
    scale=st.floats(2.5, 1e6),
    dtype=st.sampled_from([np.float64, np.float32]),
)
def test_other_floats_are_stretched(offset, scale, dtype):
    ramp = np.linspace(0, 1, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    image = (ramp * scale + offset).astype(dtype)
    rgb = as_rgb(image)
    if image.min() < 0 or image.max() > 1:
        assert rgb.min() == 0
        assert rgb.max() == 1
        assert (np.diff(rgb[..., 0].ravel()) >= 0).all()


def test_negative_integers_are_stretched():
    image = np.linspace(-900, 3000, SHAPE[0] * SHAPE[1]).reshape(SHAPE)
    rgb = as_rgb(image.astype(np.int16))
    assert rgb.min() == 0
    assert rgb.max() == 1


def test_the_image_given_is_never_changed(photograph):
    photograph.setflags(write=False)
    before = photograph.copy()
    rgb = as_rgb(photograph)
    rgb[:] = 0
    np.testing.assert_array_equal(photograph, before)
    floats = np.full((*SHAPE, 3), 0.5, np.float32)
    as_rgb(floats)[:] = 0
    assert (floats == 0.5).all()


def test_views_and_foreign_byte_orders_are_read(photograph):
    expected = as_rgb(np.ascontiguousarray(photograph[::-1, 3:-3]))
    np.testing.assert_array_equal(as_rgb(photograph[::-1, 3:-3]), expected)
    flipped = np.asfortranarray(photograph)
    np.testing.assert_array_equal(as_rgb(flipped), as_rgb(photograph))


BAD = {
    "one pixel": (np.zeros((1, 1)), "1×1 pixels"),
    "too narrow": (np.zeros((100, 15, 3)), "at least 16×16"),
    "empty": (np.zeros((0, 20)), "0×20"),
    "a number": (3.5, "two dimensions"),
    "a row": (np.zeros(50), "two dimensions"),
    "a volume": (np.zeros((30, 40, 50)), "choose one slice"),
    "a colour volume": (np.zeros((5, 30, 40, 3)), "choose one slice"),
    "channels first": (np.zeros((3, 40, 50)), "choose one slice"),
    "two channels": (np.zeros((40, 50, 2)), "choose one slice"),
    "NaN": (np.full((20, 20), np.nan), "NaN"),
    "one NaN": (np.where(np.eye(20) > 0, np.nan, 0.5), "NaN"),
    "infinity": (np.where(np.eye(20) > 0, np.inf, 0.5), "infinite"),
    "strings": (np.full((20, 20), "a"), "real numbers"),
    "a file name": ("retina.jpg", "real numbers"),
    "nothing": (None, "real numbers"),
    "complex": (np.zeros((20, 20), complex), "real numbers"),
    "dates": (np.zeros((20, 20), "datetime64[s]"), "real numbers"),
    "ragged": ([[1, 2], [3]], "real numbers"),
}


@pytest.mark.parametrize(("image", "words"), BAD.values(), ids=BAD)
def test_bad_images_get_one_sentence(image, words):
    with pytest.raises(ImageError, match=words) as caught:
        as_rgb(image)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 200


def test_pixels_outside_the_field_of_view_play_no_part(rng):
    y, x = np.mgrid[:80, :90]
    disc = np.hypot(y - 40, x - 44) < 35
    image = rng.uniform(0.3, 0.9, (80, 90, 3)).astype(np.float32)
    dark, noisy = (np.where(disc[..., None], image, other) for other in (0, 1))
    grid = WorkingGrid.around(disc, 48)
    first, inside = working_image(dark.astype(np.float32), disc, grid)
    second, _ = working_image(noisy.astype(np.float32), disc, grid)
    np.testing.assert_array_equal(first, second)
    assert first[inside].min() >= 0.3
    assert (first[~inside] == 0).all()
    assert abs(inside.mean() - np.pi / 4) < 0.03


def test_a_frame_is_used_whole(photograph):
    rgb = as_rgb(photograph)
    field_of_view = find_field_of_view(rgb, "frame")
    assert field_of_view.all()
    colour, inside = working_image(
        rgb, field_of_view, WorkingGrid.around(field_of_view, 24)
    )
    assert inside.all()
    np.testing.assert_allclose(colour, rgb, atol=1e-6)


def test_few_tones_are_spread_over_all_of_them():
    ramp = np.linspace(0.93, 0.99, 900, dtype=np.float32).reshape(30, 30, 1)
    rgb, inside = np.repeat(ramp, 3, -1), np.ones((30, 30), bool)
    spread = stretch_tones(rgb, inside, few_tones(rgb, inside))
    assert spread.dtype == np.float32
    assert spread.min() == 0
    assert spread.max() == 1
    assert (np.diff(spread[..., 0].ravel()) >= 0).all()


def test_an_image_with_enough_tones_or_with_one_stays():
    inside = np.ones((20, 20), bool)
    rgb = np.random.default_rng(0).random((20, 20, 3), np.float32)
    assert few_tones(rgb, inside) is None
    np.testing.assert_array_equal(stretch_tones(rgb, inside, None), rgb)
    flat = np.full((20, 20, 3), 0.5, np.float32)
    assert few_tones(flat, inside) is None
