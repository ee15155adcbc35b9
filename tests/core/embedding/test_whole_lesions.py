"""Lesions are completed by the picture: whole pieces of which the network is sure."""

import numpy as np
import pytest

from napari_localdisc.core.embedding.spots import Contrast
from napari_localdisc.core.embedding.whole_lesions import completion, whole

SIZE = 200
ROWS, COLUMNS = np.indices((SIZE, SIZE), np.float32)
INSIDE = np.ones((SIZE, SIZE), bool)


def within(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


@pytest.fixture(params=[True, False], ids=["bright", "dark"])
def seen(request):
    """Two blots and a line of one contrast; the network sees a part of one blot."""
    noise = np.random.default_rng(0).normal(size=INSIDE.shape)
    shapes = within(60, 60, 5) | within(140, 140, 5) | (abs(ROWS - 100) < 0.6)
    light = 0.5 + 0.01 * noise + (0.2 if request.param else -0.2) * shapes
    presence = np.where(within(60, 60, 2), 0.4, 0).astype(np.float32)
    contrast = Contrast(light.astype(np.float32), INSIDE)
    how = completion("bright lesion" if request.param else "dark lesion")
    assert how is not None
    return whole(contrast, presence, how), request.param


def test_a_piece_that_the_network_sees_a_part_of_is_whole(seen):
    found, _ = seen
    assert (found[within(60, 60, 4)] >= 0.5).all()
    assert found[60, 60] == pytest.approx(0.7)


def test_what_the_network_does_not_see_is_none(seen):
    found, _ = seen
    assert not found[within(140, 140, 8)].any()
    assert not found[100].any()


def test_presence_is_never_less_than_it_was():
    rng = np.random.default_rng(1)
    presence = rng.random(INSIDE.shape, np.float32)
    contrast = Contrast(rng.random(INSIDE.shape, np.float32), INSIDE)
    for name in ("hard exudate", "cotton wool spot", "haemorrhage", "microaneurysm"):
        how = completion(name)
        assert how is not None
        found = whole(contrast, presence, how)
        assert (found >= presence).all()
        assert found.max() <= 1


def test_what_is_no_lesion_is_not_completed():
    assert completion("vessel") is None
    assert completion("bright lesion") == completion("cotton wool spot")
