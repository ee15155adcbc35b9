"""Bright pieces: which are sharp lesions, and what clicks on them move."""

import numpy as np
import pytest

from napari_localdisc.core.embedding.bright_pieces import Pieces
from napari_localdisc.core.embedding.meaning import Clicks
from napari_localdisc.core.embedding.spots import Spot

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


def known_of(shown):
    """What a network is sure of: half of each of these spots, and one that is none."""
    known = np.full((SIDE, SIDE), 0.02, np.float32)
    for row, column in shown:
        known[about(row, column, 3.5) & (row >= ROWS)] = 0.8
    return known


def test_what_is_known_of_pixels_counts_more_than_their_piece(pieces):
    known = known_of([*SHARP[:2], FAINT[0]])
    likely = pieces.likely(known=known)
    assert (at(likely, [*SHARP[:2], FAINT[0]]) > 0.5).all()
    assert (at(likely, [*SHARP[2:], *FAINT[1:], WIDE]) < 0.5).all()
    assert likely[SHARP[0][0] + 2, SHARP[0][1]] < 0.5  # unknown, of the same piece


def test_who_clicks_on_a_piece_means_all_of_it(pieces):
    known = known_of(SHARP[:2])
    after = pieces.likely(clicks(SHARP[0]), known)
    assert (after[about(*SHARP[0], 2.5)] > 0.5).all()
    assert after[SHARP[1][0] + 2, SHARP[1][1]] < 0.5


def test_a_negative_click_leaves_what_is_surer(pieces):
    known = known_of(SHARP)
    known[about(*SHARP[1], 1.5)] = 0.95
    beside = (SHARP[1][0] - 3, SHARP[1][1])
    after = pieces.likely(clicks(SHARP[0], negative=[beside]), known)
    assert after[beside] < 0.5
    assert (at(after, SHARP) > 0.5).all()


def test_an_object_that_is_much_more_than_its_piece_is_not_taken_over(pieces):
    def spot(radius):
        return Spot((slice(None),) * 2, about(*SHARP[0], radius), True, 1.0, 1.0)

    pixel = np.array(SHARP[0])
    assert pieces.holds(spot(3), pixel)
    assert not pieces.holds(spot(12), pixel)
    nowhere = np.array((200, 400))
    assert pieces.holds(spot(3), nowhere) == (spot(3).mask.sum() <= 40)
