"""Cardiothoracic ratio and lungs of a drawn chest."""

import numpy as np
import pytest
from tests.core import phantoms

import napari_localdisc as ld

SHAPE = (300, 320)


@pytest.fixture(scope="module")
def chest():
    lungs = phantoms.ellipse(SHAPE, (150, 90), 110, 50)
    lungs |= phantoms.ellipse(SHAPE, (140, 230), 90, 45)
    heart = phantoms.ellipse(SHAPE, (200, 170), 45, 60)
    return lungs & ~heart, heart


def value(table, measure, **more):
    return table.value(measure=measure, **more)


def test_ratio_and_areas(chest):
    lungs, heart = chest
    for masks in (
        {"lung": lungs, "heart": heart},
        {
            "right lung": lungs & (np.arange(320) < 160),
            "left lung": lungs & (np.arange(320) >= 160),
            "heart": heart,
        },
    ):
        table = ld.measure(masks, "chest", scale=0.4)
        assert value(table, "heart width", unit="pixel") == pytest.approx(120, abs=1.5)
        wide = value(table, "chest width", unit="mm")
        assert wide == pytest.approx(0.4 * (275 - 40), abs=1)
        ratio = value(table, "cardiothoracic ratio")
        assert ratio == pytest.approx(120 / 235, abs=0.01)
        right, left = (
            value(table, f"{side} lung area", unit="pixel²")
            for side in ("right", "left")
        )
        assert right == np.count_nonzero(lungs[:, :160])
        assert left == np.count_nonzero(lungs[:, 160:])
        assert value(table, "symmetry") == pytest.approx(left / right)


def test_specks_do_not_widen_the_heart(chest):
    lungs, heart = chest
    noisy = heart.copy()
    noisy[5:8, 300:305] = True
    table = ld.measure({"lung": lungs, "heart": noisy}, "chest")
    assert value(table, "heart width", unit="pixel") == pytest.approx(120, abs=1.5)


def test_lungs_that_touch_are_still_two(chest):
    lungs, _ = chest
    joined = lungs.copy()
    joined[80:84, 100:220] = True
    table = ld.measure({"lung": joined}, "chest")
    right = value(table, "right lung area", unit="pixel²")
    assert right == pytest.approx(np.count_nonzero(lungs[:, :160]), rel=0.02)


def test_what_is_missing_says_why(chest):
    lungs, _ = chest
    empty = np.zeros(SHAPE, bool)
    (row,) = ld.measure({"lung": lungs, "heart": empty}, "chest").where(
        measure="cardiothoracic ratio"
    )
    assert (row.value, row.reason) == (None, "no heart is labelled")
