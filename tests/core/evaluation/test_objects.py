"""Single objects found, beside false ones."""

import numpy as np
import pytest

from napari_localdisc.core.evaluation.objects import (
    THRESHOLDS,
    found_objects,
    sensitivity,
)

SIDE = 60
PLACES = [(10, 10), (10, 40), (40, 10), (40, 40)]


def spots(*places, value=1.0):
    shown = np.zeros((SIDE, SIDE))
    for row, column in places:
        shown[row : row + 4, column : column + 4] = value
    return shown


def at(found, threshold):
    return found[int(np.flatnonzero(np.isclose(THRESHOLDS, threshold))[0])]


def test_each_object_that_is_touched_counts_once_and_pieces_elsewhere_are_false():
    score = spots(PLACES[0], value=0.9)
    score[10, 13] = 0  # in part
    score = np.maximum(score, spots((25, 25), (50, 50), value=0.6))
    found = found_objects(score, spots(*PLACES[:3]) > 0)
    assert found.objects == 3
    assert at(found.hits, 0.5) == 1
    assert at(found.false, 0.5) == 2
    assert at(found.false, 0.8) == 0


def test_as_many_as_can_be_with_few_false_ones():
    surely, doubtful = spots(*PLACES[:2], value=0.9), spots(*PLACES[2:], value=0.3)
    false = [(row, column) for row in (2, 18, 26, 34, 52) for column in (2, 24, 52)]
    score = np.max([surely, doubtful, spots(*false, value=0.3)], axis=0)
    found = found_objects(score, spots(*PLACES) > 0)
    assert sensitivity([found], most_false=20) == 1
    assert sensitivity([found]) == pytest.approx(0.5)


def test_false_ones_are_counted_over_all_images():
    truth = spots(PLACES[0]) > 0
    good = found_objects(spots(PLACES[0]), truth)
    bad = found_objects(spots((25, 25), (50, 50)), truth)
    assert sensitivity([good, bad], most_false=1) == 0.5
    assert np.isnan(sensitivity([good, bad], most_false=0.5))


def test_an_object_is_connected_over_corners():
    truth = np.eye(SIDE, dtype=bool)
    found = found_objects(truth.astype(float), truth)
    assert found.objects == 1
    assert (found.hits == 1).all()
    assert not found.false.any()
