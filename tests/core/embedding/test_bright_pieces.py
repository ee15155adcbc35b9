"""Bright pieces: which are sharp lesions, and what clicks on them move."""

import numpy as np
import pytest

from napari_localdisc.core.embedding.bright_pieces import Pieces
from napari_localdisc.core.embedding.meaning import Clicks

SIDE = 480
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
SHARP = [(60, 60), (66, 80), (80, 64), (84, 84)]
FAINT = [(300, 60), (320, 120), (360, 90)]
WIDE = (170, 170)


def about(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) < radius


def made():
    """Small steep spots, faint ones, and a wide one that is not steep."""
    rng = np.random.default_rng(0)
    colour = rng.normal(0.4, 0.01, (3, SIDE, SIDE)).astype(np.float32)
    presence = np.zeros((SIDE, SIDE), np.float32)
    for row, column in SHARP:
        colour[1][about(row, column, 3.5)] += 0.2
        presence[about(row, column, 3.5)] = 0.9
    for row, column in FAINT:
        colour[1][about(row, column, 3.5)] += 0.032
    colour[:2] += 0.08 * np.exp(
        -((ROWS - WIDE[0]) ** 2 + (COLUMNS - WIDE[1]) ** 2) / 2 / 7**2
    )
    presence[about(*WIDE, 14)] = 0.9
    return Pieces.of(colour, presence, np.ones((SIDE, SIDE), bool))


@pytest.fixture(scope="module")
def pieces():
    return made()


def clicks(*positive, negative=()):
    places = np.array([*positive, *negative])
    return Clicks(np.ones((len(places), 4), np.float32), places, len(positive))


def at(values, places):
    return np.array([values[place] for place in places])


def test_what_is_steep_is_a_lesion_and_what_is_wide_or_faint_is_none(pieces):
    likely = pieces.likely()
    assert likely.shape == (SIDE, SIDE)
    assert likely.dtype == np.float32
    assert (at(likely, SHARP) > 0.6).all()
    assert (at(likely, FAINT) < 0.4).all()
    assert likely[WIDE] < 0.4
    assert (likely > 0.5).mean() < 0.01


def test_a_click_counts_and_what_looks_like_it_follows_a_little(pieces):
    before, after = pieces.likely(), pieces.likely(clicks(SHARP[0], FAINT[0]))
    assert after[FAINT[0]] > 0.6
    assert (at(after, FAINT) > at(before, FAINT)).all()
    assert after[WIDE] == pytest.approx(before[WIDE], abs=0.05)
    assert (at(after, SHARP) > 0.6).all()


def test_a_negative_click_takes_its_piece(pieces):
    after = pieces.likely(clicks(SHARP[0], negative=[SHARP[2]]))
    assert after[SHARP[2]] < 0.4
    assert after[SHARP[0]] > 0.6


def test_a_negative_click_at_the_foot_of_a_piece_leaves_its_core():
    rng = np.random.default_rng(0)
    colour = rng.normal(0.4, 0.005, (3, SIDE, SIDE)).astype(np.float32)
    foot = about(100, 100, 6)
    colour[1][foot] += 0.05
    colour[1][about(100, 97, 2)] += 0.25
    everywhere = np.ones((SIDE, SIDE), bool)
    pieces = Pieces.of(colour, foot.astype(np.float32), everywhere)
    assert pieces.likely()[100, 104] > 0.5
    after = pieces.likely(clicks((100, 97), negative=[(100, 104)]))
    assert after[100, 104] < 0.5 < after[100, 97]


def test_a_picture_that_shows_nothing_has_none():
    nothing = np.zeros((3, 64, 64), np.float32)
    outside = np.zeros((64, 64), bool)
    for inside in (outside, ~outside):
        likely = Pieces.of(nothing, nothing[0], inside).likely(clicks((5, 5)))
        assert np.isfinite(likely).all()
        assert (likely < 0.5).all()
