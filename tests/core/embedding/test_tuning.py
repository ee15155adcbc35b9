"""A structure's mask as tuned by hand, on shapes whose answer is known."""

import numpy as np
import pytest

import napari_localdisc as ld
from napari_localdisc.core.embedding.tuning import (
    StructureOptions,
    bridge,
    structure_mask,
)
from napari_localdisc.core.errors import PromptError


@pytest.fixture
def probability():
    """A ring of 0.9, a bar of 0.6 beside it, and a speck of 0.9."""
    values = np.zeros((60, 80), np.float32)
    values[10:30, 10:30] = 0.9
    values[15:25, 15:25] = 0.1
    values[18:22, 34:60] = 0.6
    values[50, 70] = 0.9
    return values


def pieces(probability, **options):
    return structure_mask(probability, StructureOptions(**options))


def test_by_default_it_is_cut_at_a_half(probability):
    np.testing.assert_array_equal(pieces(probability), probability >= 0.5)
    assert StructureOptions().given == {}


def test_each_option_does_what_it_says(probability):
    whole = pieces(probability)
    assert not pieces(probability, threshold=0.7)[20, 40]
    assert pieces(probability, fill_holes=True)[20, 20]
    assert not pieces(probability, minimum_size=2)[50, 70]
    np.testing.assert_array_equal(pieces(probability, minimum_size=1), whole)
    largest = pieces(probability, largest_only=True)
    assert largest.sum() == 300
    assert largest[10, 10]


def test_gaps_are_bridged_as_wide_as_the_narrower_end(probability):
    assert not pieces(probability, bridge_gaps=3)[20, 32]
    joined = pieces(probability, bridge_gaps=4)
    assert joined[20, 30:34].all()
    assert 2 <= joined[:, 32].sum() <= 5
    assert pieces(probability, bridge_gaps=4, largest_only=True)[20, 59]
    whole = pieces(probability)
    assert (joined | whole == joined).all()
    assert not (joined & ~whole)[:, :30].any()


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 117])
def test_a_thin_line_is_joined_in_any_direction(angle):
    mask = np.zeros((81, 81), bool)
    step = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
    for along in [*np.arange(-38, -4, 0.3), *np.arange(4, 38, 0.3)]:
        row, column = np.rint(40 + along * step).astype(int)
        mask[row, column] = True
    joined = bridge(mask, 9)
    np.testing.assert_array_equal(bridge(joined, 9), joined)  # it is one piece
    assert joined[40, 40]
    assert 5 <= (joined & ~mask).sum() <= 10
    np.testing.assert_array_equal(bridge(mask, 3), mask)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"minimum_size": -1}, "-1 pixels"),
        ({"bridge_gaps": -2}, "-2 pixels wide"),
    ],
)
def test_impossible_options_are_a_sentence(probability, options, words):
    with pytest.raises(PromptError, match=words):
        pieces(probability, **options)


def test_an_embedding_tunes_what_its_card_names(picture, models):
    embedding = ld.embed(picture, ld.load_model("tiny"))
    found = embedding.structure("vessel")
    np.testing.assert_array_equal(embedding.structure_mask("vessel"), found >= 0.5)
    options = {"threshold": 0.502, "bridge_gaps": 3, "fill_holes": True}
    np.testing.assert_array_equal(
        embedding.structure_mask("vessel", **options),
        structure_mask(found, StructureOptions(**options)),
    )
