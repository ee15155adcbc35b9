from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.priors import PRIORS, DrawnPrior, get_prior
from napari_localdisc.core.priors.lesions import simulate_spots
from napari_localdisc.core.priors.masks import drawn_mask, random_mask, read_masks


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_spots_are_small_and_agree_with_their_depth(seed):
    depth, mask = simulate_spots(128, 540, np.random.default_rng(seed))
    assert depth.shape == mask.shape == (128, 128)
    assert 0 <= depth.min() <= depth.max() <= 1
    assert (mask > 0.5).mean() < 0.5
    assert ((mask == 0) & (depth > 0.2)).mean() < 0.005


def test_masks_of_a_folder(tmp_path):
    square = np.zeros((50, 70), np.uint8)
    square[10:30, 20:50] = 255
    Image.fromarray(square).save(tmp_path / "square.png")
    (tmp_path / "readme.txt").write_text("no mask")
    (mask,) = read_masks(tmp_path)
    assert np.array_equal(mask, square > 0)
    rng = np.random.default_rng(0)
    turned = random_mask([mask], 64, rng)
    assert set(np.unique(turned)) == {0.0, 1.0}
    depth, drawn = drawn_mask([mask], 64, rng)
    assert depth[drawn == 0].max() == 0
    assert depth[drawn > 0].min() > 0


def test_a_folder_is_a_prior_named_after_it(tmp_path):
    folder = tmp_path / "stars"
    folder.mkdir()
    Image.fromarray(np.full((9, 9), 255, np.uint8)).save(folder / "all.png")
    prior = get_prior(str(folder))
    assert isinstance(prior, DrawnPrior)
    assert prior.structure == "stars"


def test_a_folder_without_masks_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no mask"):
        get_prior(str(tmp_path))


def test_unknown_priors_are_refused_with_the_known_ones():
    with pytest.raises(TrainingError, match="vessel-tree"):
        get_prior("unicorn")


def test_every_prior_names_its_structure():
    assert {p.structure for p in PRIORS.values()} == {
        "vessel",
        "optic disc",
        "bright lesion",
        "dark lesion",
        "hard exudate",
        "cotton wool spot",
        "haemorrhage",
        "microaneurysm",
        "lung",
        "heart",
        "clavicle",
    }
