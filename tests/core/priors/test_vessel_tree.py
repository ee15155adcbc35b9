from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.morphology import skeletonize

from napari_localdisc.core.priors.vessel_tree import simulate_vessel_trees


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([64, 150]))
def test_depth_and_mask_agree(seed, size):
    depth, mask = simulate_vessel_trees(size, 540, np.random.default_rng(seed))
    assert depth.shape == mask.shape == (size, size)
    assert depth.dtype == mask.dtype == np.float32
    assert 0 <= depth.min() <= depth.max() < 1
    assert 0 <= mask.min() <= mask.max() <= 1
    deep = depth > 0.1
    assert (mask[deep] > 0).all()


def test_trees_have_plausible_calibres_and_branch():
    rng = np.random.default_rng(0)
    radii, shares, junctions = [], [], 0
    for _ in range(12):
        _, mask = simulate_vessel_trees(300, 540, rng)
        vessel = mask > 0.5
        centre = skeletonize(vessel)
        radii.append(ndimage.distance_transform_edt(vessel)[centre])
        shares.append(vessel.mean())
        neighbours = ndimage.convolve(centre.astype(int), np.ones((3, 3), int)) - 1
        junctions += int(((neighbours > 2) & centre).sum())
    radius = np.concatenate(radii)
    assert 0.9 < np.median(radius) < 3
    assert np.quantile(radius, 0.99) < 8
    assert 0.03 < np.mean(shares) < 0.3
    assert junctions > 50


def test_calibre_scales_with_the_working_diameter():
    _, small = simulate_vessel_trees(200, 270, np.random.default_rng(4))
    _, large = simulate_vessel_trees(400, 540, np.random.default_rng(4))
    ratio = (large > 0.5).mean() / (small > 0.5).mean()
    assert ratio == pytest.approx(1, abs=0.45)


def test_the_generator_decides():
    first, second = (
        simulate_vessel_trees(80, 540, np.random.default_rng(1)) for _ in range(2)
    )
    assert np.array_equal(first[0], second[0])
