import numpy as np
import pytest

from napari_localdisc.core.evaluation.clicks import click_through, dice_after


class Painter:
    """A segmenter that marks a square around each positive point and forgets others."""

    def __init__(self, shape, radius):
        self.shape, self.radius = shape, radius
        self.calls = []

    def mask(self, positive, negative=()):
        self.calls.append((list(positive), list(negative)))
        mask = np.zeros(self.shape, bool)
        for points, value in ((positive, True), (negative, False)):
            for y, x in points:
                r = self.radius
                mask[max(0, y - r) : y + r + 1, max(0, x - r) : x + r + 1] = value
        return mask


@pytest.fixture
def two_squares():
    reference = np.zeros((60, 60), bool)
    reference[5:20, 5:20] = True
    reference[40:51, 40:51] = True
    return reference


def test_clicks_go_to_the_largest_wrong_region_until_nothing_is_wrong(two_squares):
    everywhere = np.ones_like(two_squares)
    painter = Painter(two_squares.shape, 7)
    made = click_through(painter, two_squares, everywhere)
    assert made[0].point == (12, 12)
    assert made[1].point == (45, 45)
    assert made[0].is_positive
    assert made[1].is_positive
    # The second square is over-marked by a frame of two pixels: negatives follow
    assert not made[2].is_positive
    assert made[0].dice == pytest.approx(2 * 225 / (225 + 225 + 121))
    assert len(made) <= 10
    assert painter.calls[1] == ([(12, 12), (45, 45)], [])


def test_a_perfect_mask_ends_the_clicks(two_squares):
    class Oracle:
        def mask(self, positive, negative=()):
            return two_squares

    made = click_through(Oracle(), two_squares, np.ones_like(two_squares))
    assert [click.dice for click in made] == [1]
    assert dice_after(made) == {1: 1, 3: 1, 5: 1, 10: 1}


def test_a_mask_that_ignores_clicks_ends_them(two_squares):
    class Stubborn:
        def mask(self, positive, negative=()):
            return np.zeros_like(two_squares)

    made = click_through(Stubborn(), two_squares, np.ones_like(two_squares))
    assert [click.dice for click in made] == [0]


def test_only_the_field_of_view_counts_and_is_clicked(two_squares):
    seen = np.zeros_like(two_squares)
    seen[:30] = True
    painter = Painter(two_squares.shape, 7)
    made = click_through(painter, two_squares, seen)
    assert [click.dice for click in made] == [1]


def test_no_more_clicks_than_asked_for():
    rng = np.random.default_rng(0)
    reference = rng.random((40, 40)) < 0.5
    painter = Painter(reference.shape, 1)
    made = click_through(painter, reference, np.ones_like(reference), clicks=4)
    assert len(made) == 4
    assert len(painter.calls[-1][0]) + len(painter.calls[-1][1]) == 4


def test_a_reference_outside_the_field_of_view_is_refused(two_squares):
    with pytest.raises(ValueError, match="empty"):
        click_through(Painter((60, 60), 3), two_squares, np.zeros_like(two_squares))
