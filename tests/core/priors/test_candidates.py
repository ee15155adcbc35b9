"""Lesions as objects of a photograph: what is surely one, what may be, what is none."""

import numpy as np
import pytest

from napari_localdisc.core.priors.candidates import KINDS, candidate_map

SIZE = 320
ROWS, COLUMNS = np.indices((SIZE, SIZE), np.float32)


def spot(row, column, radius, soft=0.6):
    away = np.hypot(ROWS - row, COLUMNS - column)
    return np.clip((radius - away) / (2 * soft) + 0.5, 0, 1)


@pytest.fixture(scope="module")
def maps():
    """A retina with a disc, a vessel, two exudates, a blot, a dot and a soft patch."""
    rng = np.random.default_rng(0)
    inside = np.hypot(ROWS - SIZE / 2, COLUMNS - SIZE / 2) < SIZE / 2 - 1
    light = 0.45 + 0.012 * rng.normal(size=inside.shape)
    light += 0.35 * spot(160, 70, 24, 1.5)
    light += 0.3 * np.maximum(spot(100, 180, 4), spot(110, 190, 3))
    light += 0.06 * spot(230, 220, 10, 4)
    light -= 0.18 * spot(210, 140, 6) + 0.18 * spot(110, 240, 1.8)
    light -= 0.18 * np.clip(3 - abs(ROWS - 170 - 0.2 * (COLUMNS - 160)), 0, 1)
    rgb = np.stack([light + 0.2, light, light * 0.4], -1) * inside[..., None]
    rgb = rgb.clip(0, 1).astype(np.float32)
    return {kind: candidate_map(kind, rgb, inside) for kind in KINDS}


def test_sharp_bright_spots_are_exudates(maps):
    found = maps["hard exudate"]
    assert found[100, 180] == 255
    assert found[110, 190] == 255
    assert (found == 255).sum() < 150


def test_blots_and_dots_are_told_apart_by_size(maps):
    assert maps["haemorrhage"][210, 140] == 255
    assert maps["microaneurysm"][210, 140] != 255
    assert maps["microaneurysm"][110, 240] == 255
    assert maps["haemorrhage"][110, 240] != 255


def test_neither_vessel_nor_disc_is_a_lesion(maps):
    for kind in KINDS:
        assert maps[kind][160, 70] != 255
        assert maps[kind][170, 160] != 255
    assert maps["haemorrhage"][170, 160] == 0


def test_a_pale_soft_patch_may_be_a_cotton_wool_spot_and_is_no_exudate(maps):
    assert maps["cotton wool spot"][230, 220] != 0
    assert maps["hard exudate"][230, 220] != 255


def test_what_lies_about_a_lesion_is_left_open(maps):
    found = maps["hard exudate"]
    assert found[100, 186] == 127
    assert set(np.unique(found)) == {0, 127, 255}
