"""Lines: centre lines found, and thin ones."""

import numpy as np
import pytest

from napari_localdisc.core.evaluation.lines import centreline_dice, thin_recall

SIDE = 200


def line(row, width, columns=slice(20, 180)):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[row - width // 2 : row - width // 2 + width, columns] = True
    return mask


def test_a_line_drawn_wider_has_the_same_centre_line():
    assert centreline_dice(line(100, 9), line(100, 3)) > 0.95
    assert centreline_dice(line(100, 3), line(100, 3)) == 1


def test_a_line_elsewhere_has_none_and_half_of_it_a_half():
    assert centreline_dice(line(50, 3), line(100, 3)) == 0
    half = centreline_dice(line(100, 3, slice(20, 100)), line(100, 3))
    assert half == pytest.approx(2 / 3, abs=0.02)  # precision 1, sensitivity 1/2


def test_nothing_agrees_with_nothing_and_with_nothing_else():
    nothing = np.zeros((SIDE, SIDE), bool)
    assert centreline_dice(nothing, nothing) == 1
    assert centreline_dice(nothing, line(100, 3)) == 0


def test_thin_lines_are_those_of_three_pixels_in_576():
    truth = line(50, 3) | line(100, 9)
    assert thin_recall(line(50, 3), truth, 576) == 1
    assert thin_recall(line(100, 9), truth, 576) < 0.1
    assert thin_recall(line(50, 1, slice(20, 100)), truth, 576) == pytest.approx(
        0.5, abs=0.05
    )
    assert np.isnan(thin_recall(truth, line(100, 9), 100))


def test_at_twice_the_size_lines_may_be_twice_as_wide():
    truth = line(50, 6)
    assert thin_recall(truth, truth, 2 * 576) == 1
    assert np.isnan(thin_recall(truth, truth, 300))
