from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import polygon2mask
from tests.core.radiograph import overlap

from napari_localdisc.core.priors.clavicles import fit_clavicles
from napari_localdisc.core.priors.lung_pair import lung_pair

SIZE = 192


@pytest.fixture(scope="module")
def lungs():
    rows, columns = np.mgrid[:SIZE, :SIZE]
    beside = np.abs(columns - 96)
    return (rows >= 20) & (rows < 150) & (beside > 12) & (beside < 70)


def bars(drop, inner=40):
    """Two bars of 8 pixels from 12 to 74 pixels beside the middle, rising outwards."""
    mask = np.zeros((SIZE, SIZE), bool)
    for side in (-1, 1):
        ends = np.array([[inner, 96 + side * 12], [inner - drop, 96 + side * 74]])
        half = np.array([4, 0])
        outline = np.concatenate([ends - half, ends[::-1] + half])
        mask |= polygon2mask(mask.shape, outline)
    return mask


@pytest.mark.parametrize(("drop", "inner"), [(8, 40), (14, 44), (12, 36)])
def test_finds_bars_that_are_brighter_than_around(lungs, drop, inner):
    truth = bars(drop, inner)
    noise = np.random.default_rng(0).normal(0, 0.02, lungs.shape)
    grey = 0.6 - 0.3 * lungs + 0.12 * truth + noise
    mask, score = fit_clavicles(grey, lung_pair(lungs))
    assert overlap(mask, truth) > 0.75
    assert score > 0.8


def test_without_bars_the_fit_is_doubtful(lungs):
    noise = np.random.default_rng(0).normal(0, 0.02, lungs.shape)
    _, score = fit_clavicles(0.6 - 0.3 * lungs + noise, lung_pair(lungs))
    assert score < 0.8


def test_dark_bars_are_none(lungs):
    grey = 0.6 - 0.3 * lungs - 0.12 * bars(12)
    assert fit_clavicles(grey, lung_pair(lungs))[1] < 0.8
