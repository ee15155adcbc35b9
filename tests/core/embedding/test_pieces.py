"""Pieces of a mask, on shapes whose answer is known."""

import numpy as np
import pytest
from scipy import ndimage

from napari_localdisc.core.embedding.pieces import cut_in_two, find_pieces, join
from napari_localdisc.core.errors import PromptError


@pytest.fixture
def mask():
    """A square, a larger one, and a diagonal of three pixels, which is one piece."""
    mask = np.zeros((40, 60), bool)
    mask[2:8, 2:8] = True
    mask[20:30, 30:42] = True
    mask[[12, 13, 14], [50, 51, 52]] = True
    return mask


def count(mask):
    return ndimage.label(mask, np.ones((3, 3)))[1]


def test_pieces_come_with_size_place_and_similarity(mask):
    similarity = np.where(mask, 0.75, 0).astype(np.float32)
    similarity[2:8, 2:8] = 0.5
    numbers, pieces = find_pieces(mask, similarity)
    assert [piece.pixels for piece in pieces] == [120, 36, 3]
    assert [piece.similarity for piece in pieces] == [0.75, 0.5, 0.75]
    for piece in pieces:
        row, column = map(int, piece.point)
        assert numbers[row, column] == piece.number
    np.testing.assert_array_equal(numbers > 0, mask)
    assert pieces[2].point == (13, 51)
    assert find_pieces(mask)[1][0].similarity is None
    assert find_pieces(np.zeros((3, 4), bool))[1] == []
    numbers, pieces = find_pieces(mask, most=2)
    assert [piece.pixels for piece in pieces] == [120, 36]
    assert numbers.max() == 2
    assert not numbers[12:15, 50:53].any()


def two_discs(gap):
    rows, columns = np.ogrid[:60, :100]
    left = np.hypot(rows - 30, columns - 30) < 15
    return left | (np.hypot(rows - 30, columns - 30 - gap) < 12)


def test_a_piece_is_cut_where_it_is_narrow():
    piece = two_discs(24)
    assert count(piece) == 1
    cut = cut_in_two(piece)
    assert not (cut & ~piece).any()
    assert count(piece & ~cut) == 2
    assert cut.sum() < 30
    assert 40 <= np.argwhere(cut)[:, 1].mean() <= 48
    with pytest.raises(PromptError, match="narrow nowhere"):
        cut_in_two(np.hypot(*np.ogrid[-20:20, -20:20]) < 12)


def test_a_cut_at_the_images_edge():
    piece = two_discs(24)[20:, 20:]
    cut = cut_in_two(piece)
    assert cut.shape == piece.shape
    assert count(piece & ~cut) == 2


def test_pieces_are_joined(mask):
    joined = join(mask)
    assert count(joined) == 1
    assert (joined & mask == mask).all()
