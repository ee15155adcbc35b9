from __future__ import annotations

import numpy as np
import pytest
from tests.core.radiograph import overlap, radiograph

from napari_localdisc.core.priors.heart import heart_between, heart_map
from napari_localdisc.core.priors.lungs import fit_lungs


@pytest.fixture(scope="module")
def lungs():
    """Two lungs whose inner borders go apart from row 40 to row 120."""
    rows, columns = np.mgrid[:160, :160]
    apart = 10 + 12 * np.clip((rows - 40) / 80, 0, 1)
    beside = np.abs(columns - 80)
    return (rows >= 20) & (rows < 120) & (beside > apart) & (beside < 60)


def test_it_fills_what_the_lungs_leave_free_down_to_their_corners(lungs):
    heart = heart_between(lungs)
    assert not (heart & lungs).any()
    for row in range(90, 118):
        assert heart[row, np.flatnonzero(lungs[row, :80])[-1] + 1 : 80].all()
        assert heart[row, 80 : 80 + np.flatnonzero(lungs[row, 80:])[0]].all()
    rows = np.flatnonzero(heart.any(1))
    assert rows[0] == pytest.approx(20 + 0.6 * 99, abs=3)
    assert 119 < rows[-1] < 130


def test_it_is_the_same_turned_to_the_other_side(lungs):
    """Symmetric lungs have a symmetric heart, near enough."""
    heart = heart_between(lungs)
    assert overlap(heart, heart[:, ::-1]) > 0.95


def test_pieces_beside_the_lungs_do_not_matter(lungs):
    specks = lungs.copy()
    specks[2:6, 2:6] = specks[150:155, 80:84] = True
    np.testing.assert_array_equal(heart_between(specks), heart_between(lungs))


@pytest.mark.parametrize("side", [np.s_[:, :80], np.s_[:, 80:], np.s_[:]])
def test_without_a_pair_there_is_none(lungs, side):
    one = lungs.copy()
    one[side] = False
    assert heart_between(one) is None


def test_the_prior_says_what_lies_between_the_fitted_lungs():
    rgb, lungs = radiograph(0, variation=0)
    inside = np.ones(lungs.shape, bool)
    heart = heart_between(fit_lungs(rgb, inside).mask)
    np.testing.assert_array_equal(heart_map(rgb, inside) == 255, heart)
    columns = np.nonzero(heart)[1]
    assert columns.mean() > np.nonzero(lungs)[1].mean(), "more on the image's right"
