"""Outlines are rounded, pieces chosen, and nothing else of a mask changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.core.tissue import BAR, LEFT, ON_BAR, ON_LEFT, RIGHT

from napari_localdisc.core.embedding.masks import refine, smooth, without_small
from napari_localdisc.core.embedding.prompts import MaskOptions
from napari_localdisc.core.errors import PromptError

masks = arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20)))


@settings(max_examples=20, deadline=None)
@given(masks, st.integers(0, 9))
def test_small_pieces_go_and_the_others_stay(mask, size):
    kept = refine(mask, (), MaskOptions(minimum_size=size), (1, 1))
    assert not (kept & ~mask).any()
    np.testing.assert_array_equal(without_small(kept, size), kept)
    left_out = mask & ~kept
    assert without_small(left_out, max(1, size)).sum() == 0
    if size <= 1:
        np.testing.assert_array_equal(kept, mask)


@settings(max_examples=20, deadline=None)
@given(masks, st.floats(0.3, 3))
def test_smoothing_knows_no_direction(mask, sigma):
    there = smooth(mask, (sigma, sigma))
    np.testing.assert_array_equal(smooth(mask[::-1].T, (sigma, sigma)).T[::-1], there)


def test_straight_edges_stay_and_spurs_go():
    half = np.zeros((60, 80), bool)
    half[:, :33] = True
    np.testing.assert_array_equal(smooth(half, (2, 2)), half)
    with_spur = half.copy()
    with_spur[30, 33:36] = True
    with_spur[10, 10] = False
    np.testing.assert_array_equal(smooth(with_spur, (2, 2)), half)
    assert not smooth(np.zeros((5, 5), bool), (2, 2)).any()
    assert smooth(np.ones((5, 5), bool), (2, 2)).all()


def test_a_disc_stays_a_disc():
    distance = np.hypot(*np.mgrid[-30:31, -30:31])
    disc = distance < 20
    changed = smooth(disc, (1.5, 1.5)) ^ disc
    assert (np.abs(distance[changed] - 20) < 1.5).all()


def test_a_negative_size_is_refused():
    with pytest.raises(PromptError, match="-3 pixels"):
        refine(np.ones((3, 3), bool), (), MaskOptions(minimum_size=-3), (1, 1))


def test_masks_of_an_embedding_have_these_options(embedding):
    plain = embedding.mask([ON_BAR, ON_LEFT])
    assert embedding.mask([ON_BAR, ON_LEFT], minimum_size=500).sum() < plain.sum()
    large = embedding.mask([ON_BAR, ON_LEFT], connected=True, minimum_size=500)
    assert (large & BAR).any()
    assert not (large & (LEFT | RIGHT)).any()
    rounded = embedding.mask([ON_LEFT], smooth=True)
    assert not (rounded & ~embedding.field_of_view).any()
    corner = np.argwhere(LEFT)[0]
    assert plain[tuple(corner)]
    assert not rounded[tuple(corner)]
    middle = embedding.mask([ON_LEFT])
    overlap = 2 * (rounded & middle).sum() / (rounded.sum() + middle.sum())
    assert overlap > 0.97
