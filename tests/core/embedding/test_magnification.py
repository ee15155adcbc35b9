"""How large an image is to be seen, by the calibre of its vessels."""

import numpy as np
import pytest

from napari_localdisc.core.embedding.magnification import (
    USUAL_FIELD,
    WIDE_ANGLE,
    calibre,
    first_look,
    magnification_by_scale,
    suggested,
)
from napari_localdisc.core.model.model import load_model

INSIDE = np.ones((576, 576), bool)


def vessels(width, apart=48):
    """Straight vessels of that width."""
    shown = np.zeros(INSIDE.shape, np.float32)
    for row in range(20, 560, apart):
        shown[row : row + width, 8:-8] = 1
    return shown


def test_the_calibre_is_the_mean_width_at_the_usual_size():
    width = calibre(vessels(5), INSIDE)
    assert width is not None
    assert abs(width - 5) < 0.2
    half = calibre(vessels(6)[::2, ::2], INSIDE[::2, ::2])
    assert half is not None
    assert abs(half - 6) < 0.4


def test_narrow_vessels_are_looked_at_closer():
    assert suggested(vessels(3), INSIDE) == WIDE_ANGLE
    assert suggested(vessels(5), INSIDE) == 1


def test_a_closer_look_finds_narrower_vessels():
    assert suggested(vessels(4), INSIDE) == WIDE_ANGLE
    assert suggested(vessels(4), INSIDE, WIDE_ANGLE) == 1
    assert suggested(vessels(3), INSIDE, WIDE_ANGLE) == WIDE_ANGLE


@pytest.mark.parametrize(("calibre", "wanted"), [(2.5, WIDE_ANGLE), (6, 1)])
@pytest.mark.parametrize("side", [576, 432])
def test_narrow_ridges_are_looked_at_closer_at_once(calibre, wanted, side):
    rows, columns = np.mgrid[:side, :side] * 576 / side - 287.5
    inside = np.hypot(rows, columns) < 280
    across = np.abs(rows % 60 - 30)  # from the middle of the nearest vessel
    rng = np.random.default_rng(0)
    shade = 1 - 0.3 * np.exp(-0.5 * (across / (calibre / 2.4)) ** 2)
    green = 0.5 * shade + rng.normal(0, 0.005, inside.shape)
    colour = np.stack([green] * 3, -1).astype(np.float32) * inside[..., None]
    assert first_look(colour, inside) == wanted
    assert first_look(colour[:1], inside[:1]) == 1  # too little to say


def test_few_vessels_say_nothing():
    few = vessels(3, apart=400)
    assert calibre(few, INSIDE) is None
    assert suggested(few, INSIDE) == 1
    assert suggested(np.zeros_like(few), INSIDE) == 1


@pytest.fixture(scope="module")
def fundus():
    return load_model("fundus").card


@pytest.mark.parametrize(
    ("angle", "wanted"), [(30, 1), (45, 1), (60, 1.33), (75, 1.67), (100, 2)]
)
def test_a_pixel_s_length_tells_the_angle(disc, fundus, angle, wanted):
    """The same picture, 200 pixels across, of another part of the retina."""
    side = angle * USUAL_FIELD / 45 / 200
    told = magnification_by_scale(disc, fundus, side)
    assert told == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("side", [0.0005, 0.35, 0.0, float("nan")])
def test_a_length_that_no_retina_has_says_nothing(disc, fundus, side):
    assert magnification_by_scale(disc, fundus, side) is None


def test_models_of_other_images_have_no_angle(disc):
    assert magnification_by_scale(disc, load_model("chest").card, 0.065) is None


@pytest.fixture
def disc():
    rows, columns = np.mgrid[:240, :260] - np.array([120, 130])[:, None, None]
    inside = np.hypot(rows, columns) <= 100
    return (inside[..., None] * np.array([180, 90, 40])).astype(np.uint8)
