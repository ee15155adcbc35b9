from __future__ import annotations

import numpy as np
import pytest
from tests.core.radiograph import overlap, radiograph

from napari_localdisc.core.priors import PRIORS
from napari_localdisc.core.priors.lung_shapes import MODES, lung_grid, outline_places
from napari_localdisc.core.priors.lungs import fit_lungs
from napari_localdisc.core.priors.masks import UNKNOWN


@pytest.mark.parametrize("seed", [0, 1])
def test_finds_both_lungs(seed):
    rgb, lungs = radiograph(seed)
    fit = fit_lungs(rgb, np.ones(lungs.shape, bool))
    assert overlap(fit.mask, lungs) > 0.9
    for half in (np.s_[:, :96], np.s_[:, 96:]):
        assert overlap(fit.mask[half], lungs[half]) > 0.85
    assert fit.score > 0.8
    assert fit.outlines.shape == (2, len(outline_places()[0]), 2)


@pytest.mark.parametrize("gamma", [0.3, 1.6])
def test_tones_do_not_matter(gamma):
    rgb, lungs = radiograph(0)
    fit = fit_lungs(rgb**gamma, np.ones(lungs.shape, bool))
    assert overlap(fit.mask, lungs) > 0.88


def test_fits_on_the_image_s_own_grid_whatever_its_shape():
    rgb, lungs = radiograph(0, size=256)
    lower = slice(16, None)
    fit = fit_lungs(rgb[lower], np.ones(lungs[lower].shape, bool))
    assert fit.mask.shape == (240, 256)
    assert overlap(fit.mask, lungs[lower]) > 0.88


def test_the_mask_stays_inside():
    rgb, lungs = radiograph(0)
    inside = np.ones(lungs.shape, bool)
    inside[:, :96] = False
    assert not fit_lungs(rgb, inside).mask[:, :96].any()


def test_says_nothing_where_there_are_no_lungs():
    noise = np.random.default_rng(0).normal(0.5, 0.02, (160, 160, 1))
    rgb = np.repeat(noise, 3, -1).astype(np.float32)
    inside = np.ones((160, 160), bool)
    for name in ("lungs", "heart", "clavicles"):
        assert (PRIORS[name].fit(rgb, inside) == UNKNOWN).all()


def test_the_registered_priors_give_these_maps():
    rgb, lungs = radiograph(1, size=160)
    inside = np.ones(lungs.shape, bool)
    for name, structure in (("lungs", "lung"), ("heart", "heart")):
        prior = PRIORS[name]
        assert prior.structure == structure
        shown = prior.fit(rgb, inside)
        assert shown.dtype == np.uint8
        assert set(np.unique(shown)) == {0, 255}


def test_the_mean_shape_is_two_separate_lungs_in_the_image():
    outlines = lung_grid(np.zeros((1, MODES)), *outline_places())[0]
    left, right = outlines[..., 1]
    assert left.max() < 0.5 < right.min()
    assert outlines.min() > 0
    assert outlines.max() < 1
