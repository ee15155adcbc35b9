"""Structures that follow from others, on drawn retinas and by the registry."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_localdisc.core.embedding.clusters import ClusterMaps
from napari_localdisc.core.errors import ModelError
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.model.card import ModelCard
from napari_localdisc.core.priors.cup import cup_map
from napari_localdisc.core.priors.derived import derived_from, every_structure
from napari_localdisc.core.priors.fovea import find_fovea, fovea_map

SIDE = 300
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE].astype(np.float32)
INSIDE = np.hypot(ROWS - 149.5, COLUMNS - 149.5) < 149


def retina(disc=(140, 220), fovea=(150, 118), cup=0.5, radius=21):
    """Draw colours, presence of the disc and of vessels, and the true cup."""
    away = np.hypot(ROWS - disc[0], COLUMNS - disc[1])
    rgb = np.full((SIDE, SIDE, 3), (0.7, 0.4, 0.2), np.float32)
    if fovea is not None:
        spot = np.hypot(ROWS - fovea[0], COLUMNS - fovea[1])
        rgb *= 1 - 0.3 * np.exp(-((spot / 12) ** 2))[..., None]
    rgb[away < radius] = (0.9, 0.6, 0.4)
    true = away < cup * radius
    rgb[true] = (0.95, 0.9, 0.7)
    noise = np.random.default_rng(0).normal(0, 0.02, rgb.shape)
    vessel = (abs(ROWS - 80 - 0.2 * COLUMNS) < 3) | (abs(ROWS - 230) < 3)
    rgb[vessel] *= 0.6
    rgb = ((rgb + noise).clip(0, 1) * INSIDE[..., None]).astype(np.float32)
    shown = np.where(away < radius, 0.95, 0.02).astype(np.float32)
    return rgb, shown, np.where(vessel, 0.9, 0.05).astype(np.float32), true


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_fovea_is_the_dark_spot_at_its_distance_on_either_side(mirrored):
    rgb, disc, vessel, _ = retina()
    if mirrored:
        rgb, disc, vessel = (
            np.ascontiguousarray(a[:, ::-1]) for a in (rgb, disc, vessel)
        )
    row, column, unit = find_fovea(rgb, INSIDE, disc, vessel)
    expected = SIDE - 1 - 118 if mirrored else 118
    assert np.hypot(row - 150, column - expected) < unit / 8
    assert unit == pytest.approx(42, abs=1)


def test_a_fovea_that_is_not_dark_lies_where_it_must():
    rgb, disc, vessel, _ = retina(fovea=None)
    row, column, unit = find_fovea(rgb, INSIDE, disc, vessel)
    assert np.hypot(row - 150, column - (220 - 2.5 * 42)) < unit / 2


def test_the_fovea_is_shown_as_half_a_disc_wide():
    rgb, disc, vessel, _ = retina()
    shown = fovea_map(rgb, INSIDE, {"optic disc": disc, "vessel": vessel})
    assert shown.dtype == np.float32
    assert (shown.min(), shown.max()) == (0, 1)
    assert 2 * np.sqrt((shown >= 0.5).sum() / np.pi) == pytest.approx(21, abs=1)


def test_without_a_disc_nothing_is_said():
    rgb, disc, vessel, _ = retina()
    presence = {"optic disc": 0 * disc, "vessel": vessel}
    assert not fovea_map(rgb, INSIDE, presence).any()
    assert not cup_map(rgb, INSIDE, presence).any()
    specks = np.where(np.hypot(ROWS - 90, COLUMNS - 90) < 3, 0.9, 0).astype(np.float32)
    assert find_fovea(rgb, INSIDE, specks, vessel) is None


@pytest.mark.parametrize("share", [0.5, 0.6, 0.75])
def test_the_cup_follows_brightness(share):
    rgb, disc, _, true = retina(cup=share, radius=40)
    found = cup_map(rgb, INSIDE, {"optic disc": disc}) >= 0.5
    assert not found[disc < 0.5].any()
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.75


def test_a_wider_cup_is_found_wider_and_a_vessel_makes_no_hole():
    areas = []
    for share in (0.4, 0.6, 0.8):
        rgb, disc, _, _ = retina(cup=share, radius=40)
        rgb[:, 218:222] *= 0.5
        found = cup_map(rgb, INSIDE, {"optic disc": disc}) >= 0.5
        assert ndimage.label(found)[1] == 1
        assert (ndimage.binary_fill_holes(found) == found).all()
        areas.append(found.sum())
    assert areas[0] < areas[1] < areas[2]


def test_what_follows_is_what_the_card_has_the_parts_of():
    assert list(derived_from(["vessel", "optic disc"])) == ["fovea", "optic cup"]
    assert list(derived_from(["optic disc", "optic cup"])) == []
    assert every_structure(["lung"]) == ("lung",)
    four = ["hard exudate", "cotton wool spot", "haemorrhage", "microaneurysm"]
    assert every_structure(four) == (*four, "bright lesion", "dark lesion")


def maps(structures):
    rgb, disc, vessel, _ = retina()
    given = {"optic disc": disc, "vessel": vessel}
    presence = {
        name: torch.from_numpy(given.get(name, 0 * disc)) for name in structures
    }
    return ClusterMaps(
        torch.full((16, SIDE, SIDE), 1 / 16),
        INSIDE,
        WorkingGrid((SIDE, SIDE), 0, 0, SIDE, SIDE, (SIDE, SIDE)),
        ModelCard("m", structures=structures),
        np.random.default_rng(0).normal(size=(16, 32)).astype(np.float32),
        presence,
        torch.from_numpy(rgb).permute(2, 0, 1).half(),
    )


def test_structures_that_follow_are_asked_for_like_others_and_are_clusters():
    seen = maps({"vessel": 0, "optic disc": 1, "dark lesion": 2})
    fovea = seen.structure("fovea")
    assert np.hypot(*(np.argwhere(fovea >= 0.5).mean(0) - (150, 118))) < 6
    assert 0 < (seen.structure("optic cup") >= 0.5).sum() < 1400
    labels = seen.clusters(10)
    assert (labels[fovea > 0.6] == 5).mean() > 0.9
    with pytest.raises(ModelError, match=r"'optic cup'"):
        seen.structure("macula")


def test_unions_are_the_larger_of_their_parts():
    seen = maps({"hard exudate": 0, "cotton wool spot": 1})
    seen.presence["hard exudate"][50:60, 50:60] = 0.8
    seen.presence["cotton wool spot"][90:99, 90:99] = 0.7
    found = seen.structure("bright lesion")
    assert found[55, 55] == pytest.approx(0.8)
    assert found[95, 95] == pytest.approx(0.7)
    assert found[150, 150] == 0
