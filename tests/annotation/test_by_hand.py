"""What a hand painted and rubbed out, found by comparison."""

import numpy as np
import pytest

from napari_localdisc.annotation.by_hand import ByHand, Forgotten


@pytest.fixture
def labels():
    """A class 1 on the left half, as an operation left it."""
    pixels = np.zeros((4, 6), np.uint8)
    pixels[:, :3] = 1
    return pixels


@pytest.fixture
def hand(labels):
    return ByHand(labels)


def test_what_is_rubbed_out_is_left_out_of_its_class_alone(hand, labels):
    labels[0, :2] = 0
    hand.notice(labels)
    everywhere = np.ones_like(labels)
    left = hand.left_out(labels, everywhere)
    assert np.argwhere(left).tolist() == [[0, 0], [0, 1]]
    assert not hand.left_out(labels, 2 * everywhere).any()
    assert not hand.painted(labels).any()


def test_a_point_in_what_was_rubbed_out_means_that_piece(hand, labels):
    labels[0, :2] = labels[3, 0] = 0
    hand.notice(labels)
    left = hand.left_out(labels, np.ones_like(labels), [(0.2, 0.9), (2, 2)])
    assert np.argwhere(left).tolist() == [[3, 0]]


def test_what_is_painted_stays_its_class_where_that_is_written_too(hand, labels):
    labels[1, 4] = 2
    hand.notice(labels)
    assert np.argwhere(hand.painted(labels)).tolist() == [[1, 4]]
    every = np.ones_like(labels)
    assert not hand.left_out(labels, every).any()  # to overwrite it is another matter
    every[0, 0] = 2  # a prediction, which writes both
    assert np.argwhere(hand.left_out(labels, every)).tolist() == [[1, 4]]


def test_what_an_operation_wrote_is_not_by_hand(hand, labels):
    at = np.array([3, 4])
    new = np.array([1, 1], labels.dtype)
    before = labels.copy()
    decided = hand.after(at, labels.ravel()[at], new)
    labels.ravel()[at] = new
    hand.wrote(before, at, new, decided)
    hand.notice(labels)
    assert not hand.decided.any()


def test_painted_over_by_an_operation_is_by_hand_no_longer(hand, labels):
    labels[1, 4], labels[1, 0] = 2, 0
    hand.notice(labels)
    at = np.array([6, 10])  # rubbed out of 1, painted 2
    old, new = labels.ravel()[at], np.array([3, 3], labels.dtype)
    assert hand.after(at, old, new).tolist() == [1, 0]
    assert hand.after(at, old, np.array([1, 2], labels.dtype)).tolist() == [0, 0]


def test_runs_give_it_back(hand, labels):
    labels[0, :2], labels[3, 5] = 0, 7
    hand.notice(labels)
    again = ByHand(labels)
    again.take(hand.to_runs())
    np.testing.assert_array_equal(again.decided, hand.decided)
    with pytest.raises(ValueError, match="another size"):
        again.take([(1, 0, 25)])


def test_a_removed_class_is_forgotten_and_comes_back(hand, labels):
    labels[0, :2], labels[3, 5] = 0, 2
    hand.notice(labels)
    edit = Forgotten(hand, 1)
    edit.redo()
    assert np.unique(hand.decided).tolist() == [0, 2]
    edit.undo()
    assert np.unique(hand.decided).tolist() == [0, 1, 2]


def test_labels_of_another_size_begin_anew(hand, labels):
    labels[0, 0] = 0
    hand.notice(labels)
    hand.notice(np.ones((2, 2), labels.dtype))
    assert hand.decided.shape == (2, 2)
    assert not hand.decided.any()
