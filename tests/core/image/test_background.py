from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_localdisc.core.image.background import clean_background, ridge_strength

DIAMETER = 270


@pytest.fixture
def photograph():
    """A textured disc with a dark vessel of 3 pixels and its mask."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:DIAMETER, :DIAMETER] - (DIAMETER - 1) / 2
    inside = np.hypot(y, x) < DIAMETER / 2
    rgb = np.full((DIAMETER, DIAMETER, 3), (0.6, 0.35, 0.2), np.float32)
    rgb += rng.normal(0, 0.01, rgb.shape).astype(np.float32)
    vessel = np.abs(y - 0.3 * x) < 1.5
    rgb[vessel] *= 0.6
    rgb[~inside] = 0
    return rgb.clip(0, 1), inside, vessel & (np.hypot(y, x) < 110)


def test_vessels_vanish_and_texture_stays(photograph):
    rgb, inside, vessel = photograph
    background, _ = clean_background(rgb, inside, DIAMETER)
    around = inside & ~vessel & (np.hypot(*(np.indices(inside.shape) - 135)) < 100)
    before = rgb[around, 1].mean() - rgb[vessel, 1].mean()
    after = background[around, 1].mean() - background[vessel, 1].mean()
    assert abs(after) < 0.15 * before
    assert background[around, 1].std() > 0.5 * rgb[around, 1].std()
    assert (background[~inside] == 0).all()
    assert 0 <= background.min() <= background.max() <= 1


def test_vessels_vanish_up_to_the_edge(photograph):
    rgb, inside, _ = photograph
    background, _ = clean_background(rgb, inside, DIAMETER)
    y, x = np.mgrid[:DIAMETER, :DIAMETER] - (DIAMETER - 1) / 2
    depth = DIAMETER / 2 - np.hypot(y, x)
    rim = (depth > 1) & (depth < 6)
    vessel = rim & (np.abs(y - 0.3 * x) < 1.5)
    before, after = (
        picture[rim, 1].mean() - picture[vessel, 1].mean()
        for picture in (rgb, background)
    )
    assert after < 0.3 * before


def test_faint_lines_that_stay_are_doubtful_and_grain_is_not(photograph):
    rgb, inside, vessel = photograph
    rows = np.arange(DIAMETER)[:, None]
    faint = inside & (np.abs(rows - 200) < 1.2) & (np.arange(DIAMETER) > 100)
    rgb = np.where(faint[..., None], rgb * 0.93, rgb).astype(np.float32)
    background, doubtful = clean_background(rgb, inside, DIAMETER)
    deep = faint & (np.hypot(*(np.indices(inside.shape) - 135)) < 100)
    stays = background[deep, 1].mean() < background[inside & ~faint, 1].mean() - 0.01
    assert stays
    assert doubtful[deep].mean() > 0.6
    assert doubtful[inside & ~faint].mean() < 0.15
    assert not doubtful[vessel].mean() > 0.2


def test_ridges_answer_to_dark_lines_and_not_to_steps():
    image = torch.ones(1, 1, 60, 60)
    image[..., 28:31] = 0.5
    image[..., :10] = 0.5
    ridge = ridge_strength(image)[0, 0]
    assert ridge[30, 29] > 4 * ridge[30, 45]
    assert ridge[30, 29] > 1.5 * ridge[30, 5:20].max()


def test_large_spots_are_no_ridges():
    y, x = torch.meshgrid(*[torch.arange(80.0) - 40] * 2, indexing="ij")
    line = 1 - 0.5 * torch.exp(-(y**2) / 18)
    spot = 1 - 0.5 * torch.exp(-(y**2 + x**2) / 18)
    strength = [
        ridge_strength(image[None, None], (3.0,))[0, 0, 40, 40]
        for image in (line, spot)
    ]
    assert strength[1] < 0.1 * strength[0]
