import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_localdisc.core.evaluation.agreement import (
    area_under_curve,
    area_under_precision,
    dice,
    dice_by_threshold,
    largest_region,
    most_interior_pixel,
    pair_dice,
)


@pytest.fixture
def scored():
    rng = np.random.default_rng(0)
    reference = rng.random((40, 30)) < 0.2
    # Coarse steps, so that there are ties
    score = np.round(rng.random((40, 30)) + 0.4 * reference, 1)
    return score, reference


def test_dice_of_known_masks():
    a = np.array([1, 1, 1, 0, 0], bool)
    b = np.array([0, 1, 1, 1, 0], bool)
    assert dice(a, b) == pytest.approx(4 / 6)
    assert dice(a, a) == 1
    assert dice(a, ~a) == 0
    assert dice(a & ~a, a & ~a) == 1


def test_precision_over_recall_of_a_perfect_and_of_a_blind_map():
    reference = np.zeros((10, 10), bool)
    reference[2:4, 2:7] = True
    assert area_under_precision(reference.astype(float), reference) == 1
    assert area_under_precision(np.ones((10, 10)), reference) == pytest.approx(0.1)
    assert np.isnan(area_under_precision(np.ones(3), np.zeros(3, bool)))


def test_auc_is_that_of_scikit_learn(scored):
    score, reference = scored
    expected = roc_auc_score(reference.ravel(), score.ravel())
    assert area_under_curve(score, reference) == pytest.approx(expected)


def test_auc_without_two_classes_is_nan():
    assert np.isnan(area_under_curve(np.ones(3), np.ones(3, bool)))
    assert np.isnan(area_under_curve(np.ones(3), np.zeros(3, bool)))


def test_dice_by_threshold_equals_one_threshold_at_a_time(scored):
    score, reference = scored
    thresholds = np.arange(0.05, 2, 0.05)
    expected = [dice(score >= t, reference) for t in thresholds]
    found = dice_by_threshold(score, reference, thresholds)
    np.testing.assert_allclose(found, expected)


def test_pair_dice_equals_the_unions_made_by_hand():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 5, (30, 30)).astype(np.uint8)
    reference = rng.random((30, 30)) < 0.3
    found = pair_dice(labels, reference, 4)
    for i in range(4):
        for j in range(4):
            union = (labels == i + 1) | (labels == j + 1)
            assert found[i, j] == pytest.approx(dice(union, reference))


def test_most_interior_pixel_of_a_square_at_the_border():
    region = np.zeros((20, 30), bool)
    region[:9, 10:19] = True
    assert most_interior_pixel(region) == (4, 14)


def test_most_interior_pixel_is_inside_a_ring():
    rows, columns = np.mgrid[:41, :41] - 20
    radius = np.hypot(rows, columns)
    ring = (radius < 18) & (radius > 8)
    assert ring[most_interior_pixel(ring)]


def test_most_interior_pixel_needs_a_region():
    with pytest.raises(ValueError, match="empty"):
        most_interior_pixel(np.zeros((3, 3), bool))


def test_largest_region_joins_diagonal_neighbours():
    wrong = np.zeros((8, 8), bool)
    wrong[0, 0] = wrong[1, 1] = wrong[2, 2] = True
    wrong[6, 5:7] = True
    region = largest_region(wrong)
    assert region is not None
    assert region.sum() == 3
    assert region[1, 1]
    assert largest_region(wrong & False) is None
