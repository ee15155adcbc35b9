"""What a model finds, made fit to be measured."""

import numpy as np
from tests.core import phantoms

from napari_localdisc.core.measure.found import find_heart, find_vessels, found_masks

SHAPE = (300, 300)


def test_thin_vessels_are_found_where_they_stand_out():
    view = np.ones(SHAPE, bool)
    sure = phantoms.tube(SHAPE, [np.array([(20, 50), (280, 80)])], 8)
    faint = phantoms.tube(SHAPE, [np.array([(20, 180), (280, 200)])], 3)
    values = np.maximum(sure.probability, 0.3 * faint.probability)
    found = find_vessels(values, view)
    assert found[faint.mask].mean() > 0.85
    assert found[sure.mask].mean() > 0.99
    far = (sure.distance > 9) & (faint.distance > 6)
    assert not found[far].any()
    # A haze is no vessel, and neither is a speck
    assert not find_vessels(np.full(SHAPE, 0.3), view).any()
    speck = np.zeros(SHAPE)
    speck[5, 5] = 1
    assert not find_vessels(speck, view).any()


def test_a_heart_reaches_the_lungs_beside_it_but_not_far_ones():
    lungs = np.zeros(SHAPE)
    lungs[50:250, 40:110] = lungs[50:250, 190:260] = 1
    lungs[50:250, 108:110] = 0.7  # a border
    heart = np.zeros(SHAPE)
    heart[140:220, 112:186] = 0.6
    heart[205:215, 90:230] = 0.6  # in front of the diaphragm
    found = find_heart(heart, lungs)
    assert found[140:196, 108:190].all()
    assert np.count_nonzero(found) == 56 * 82 + 14 * 74 + 10 * 82
    heart = np.zeros(SHAPE)
    heart[140:220, 140:160] = 0.9
    assert np.count_nonzero(find_heart(heart, lungs)) == 80 * 20
    both = found_masks({"lung": lungs, "heart": heart}, np.ones(SHAPE, bool))
    np.testing.assert_array_equal(both["lung"], lungs > 0)
    np.testing.assert_array_equal(both["heart"], find_heart(heart, lungs))
    assert not find_heart(np.zeros(SHAPE), lungs).any()
    alone = find_heart(heart, np.zeros(SHAPE))
    np.testing.assert_array_equal(alone, heart > 0)
