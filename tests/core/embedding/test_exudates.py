"""Hard exudates as whole pieces: what is bright, by what the network sees of it."""

import numpy as np
import pytest

from napari_localdisc.core.embedding.exudates import whole_exudates

SIZE = 400
ROWS, COLUMNS = np.indices((SIZE, SIZE), np.float32)
INSIDE = np.hypot(ROWS - SIZE / 2, COLUMNS - SIZE / 2) < SIZE / 2
SURE = [(120, 120), (120, 150), (150, 120)]
FAINT = (250, 250)
NONE = np.zeros((SIZE, SIZE), np.float32)


def within(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


def spots(*places, radius=4):
    return np.any([within(*place, radius) for place in places], axis=0)


@pytest.fixture
def light():
    noise = np.random.default_rng(0).normal(size=INSIDE.shape)
    shown = 0.5 + 0.01 * noise + 0.2 * spots(*SURE, FAINT)
    return np.where(INSIDE, shown, 0).astype(np.float32)


def seen(faint, *sure):
    """What the network sees: the middles of some, and hardly anything of one."""
    presence = 0.95 * spots(*sure, radius=2) if sure else np.zeros(INSIDE.shape)
    return np.maximum(presence, faint * within(*FAINT, 4)).astype(np.float32)


def found(light, presence, vessel=NONE, wool=NONE):
    values = whole_exudates(light, INSIDE, presence, vessel, wool)
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() <= 1
    assert not values[~INSIDE].any()
    return values >= 0.5


def test_a_piece_of_which_the_middle_is_seen_is_whole(light):
    mask = found(light, seen(0, *SURE))
    assert mask[spots(*SURE, radius=3)].all()
    assert not mask[~spots(*SURE, radius=7)].any()


def test_a_faint_one_counts_where_there_are_many_sure_ones(light):
    assert found(light, seen(0.02, *SURE))[FAINT]
    assert not found(light, seen(0.02))[FAINT]
    assert not found(light, seen(0, *SURE))[FAINT]


def test_what_is_bright_and_never_seen_is_none(light):
    assert not found(light, NONE).any()


def test_a_reflex_on_a_vessel_is_none(light):
    vessel = within(*FAINT, 6).astype(np.float32)
    presence = seen(0.02, *SURE)
    assert not found(light, presence, vessel=vessel)[FAINT]
    assert found(light, presence, vessel=vessel)[SURE[0]]


def test_a_cotton_wool_spot_is_none(light):
    wool = (0.8 * within(*FAINT, 6)).astype(np.float32)
    presence = seen(0.4, *SURE)
    assert found(light, presence)[FAINT]
    assert not found(light, presence, wool=wool)[FAINT]


def test_seen_at_another_size_it_is_the_same(light):
    """Half the pixels a side: noise and outlines are all that changes."""
    presence = seen(0.02, *SURE)
    small = found(light, presence)[::2, ::2]
    quarter = (slice(None, None, 2),) * 2
    half = whole_exudates(
        light[quarter], INSIDE[quarter], presence[quarter], NONE[quarter], NONE[quarter]
    )
    assert ((half >= 0.5) != small).mean() < 0.002


def test_nothing_in_view_is_no_error():
    nowhere = np.zeros_like(INSIDE)
    values = whole_exudates(NONE, nowhere, NONE, NONE, NONE)
    assert not values.any()
