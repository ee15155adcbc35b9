"""CRAE, CRVE and AVR: the formula, and vessels drawn around a disc."""

import numpy as np
import pytest
from tests.core import phantoms

import napari_localdisc as ld
from napari_localdisc.core.measure.equivalents import ARTERY, VEIN, equivalent

SIDE, DIAMETER = 700, 120


def spokes(calibres, first, centre, turn=0.0):
    """Vessels that run away from the disc, a calibre each; probability and mask."""
    probability = np.zeros((SIDE, SIDE), np.float32)
    ways = first + turn + np.arange(len(calibres)) * 360 / len(calibres)
    for degrees, calibre in zip(ways, calibres, strict=True):
        way = np.array([-np.sin(np.radians(degrees)), np.cos(np.radians(degrees))])
        line = [np.stack([centre + 30 * way, centre + 290 * way])]
        tube = phantoms.tube((SIDE, SIDE), line, calibre)
        probability = np.maximum(probability, tube.probability)
    return probability


def test_pairs_the_widest_with_the_narrowest():
    by_hand = 0.88 * np.hypot(0.88 * np.hypot(10, 4), 0.88 * np.hypot(8, 6))
    assert equivalent([6, 10, 8, 4], ARTERY) == pytest.approx(by_hand)
    # Of six, three; the middle one of them waits
    three = sorted(0.95 * np.hypot(a, b) for a, b in ((10, 1), (9, 2), (8, 3)))
    last = 0.95 * np.hypot(0.95 * np.hypot(three[0], three[2]), three[1])
    assert equivalent([1, 2, 3, 8, 9, 10], VEIN) == pytest.approx(last)
    assert equivalent([5.0], VEIN) == 5


@pytest.mark.parametrize("turn", [0, 13.7])
@pytest.mark.parametrize("by_map", [True, False])
def test_avr_of_drawn_vessels(turn, by_map):
    arteries, veins = (9, 8, 7.5, 6, 5.5, 5, 4), (12, 11, 9.5, 8, 7, 6)
    centre = np.array([350.2, 349.7])
    maps = {
        "artery": spokes(arteries, 4, centre, turn),
        "vein": spokes(veins, 29, centre, turn),
    }
    found = ld.measure(
        {name: values >= 0.5 for name, values in maps.items()},
        probability=maps if by_map else None,
        disc=(*centre, DIAMETER),
        pieces=False,
    )
    truth = {
        "CRAE": equivalent(arteries[:6], ARTERY),
        "CRVE": equivalent(veins, VEIN),
    }
    for name, value in truth.items():
        measured = found.value(measure=name, unit="pixel")
        assert measured == pytest.approx(value, rel=0.01 if by_map else 0.03)
    ratio = found.value(measure="AVR")
    assert ratio == pytest.approx(truth["CRAE"] / truth["CRVE"], rel=0.02)
    # Both kinds together are vessels
    density = found.value(structure="vessel", measure="density", region="image")
    both = np.maximum(maps["artery"], maps["vein"]) >= 0.5
    assert density == pytest.approx(both.mean())


def test_too_few_vessels_are_no_equivalent():
    centre = np.array([350.0, 350.0])
    masks = {
        "artery": spokes((9, 8, 7), 0, centre) >= 0.5,
        "vein": spokes((9, 8, 7, 6, 6, 6), 30, centre) >= 0.5,
    }
    found = ld.measure(masks, disc=(*centre, DIAMETER), regions=["field"])
    (row,) = found.where(measure="AVR")
    assert row.value is None
    assert row.reason == "6 vessels must cross zone B, and 3 were found at most"
    assert found.value(measure="CRVE", unit="pixel") > 0
    view = np.zeros((SIDE, SIDE), bool)
    view[:, 380:] = True
    found = ld.measure(masks, disc=(*centre, DIAMETER), field_of_view=view)
    (row,) = found.where(measure="CRVE", unit="pixel")
    assert row.value is None
    assert row.share_in_view < 0.5
    assert "is in view" in row.reason
    found = ld.measure(masks, regions=["field"])
    assert "disc is not known" in found.where(measure="AVR")[0].reason
