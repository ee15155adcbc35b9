"""Which kind clicks mean: exudate or cotton wool spot, optic disc or its cup."""

import numpy as np
import pytest
from tests.core.embedding.clicking import about, clicks, shown

import napari_localdisc as ld
from napari_localdisc.core.embedding.kinds import means_cup, means_wool
from napari_localdisc.core.embedding.meaning import depth_of
from napari_localdisc.core.embedding.spots import Spot
from napari_localdisc.io.samples import sample_path


def spot(area, bright=True):
    side = round(area**0.5) + 1
    return Spot((slice(0, side),) * 2, np.ones((side, side), bool), bright, 0.5, 0.6)


def wool(seen, exudate, peaks, area=30):
    """Ask of clicks at which both are as present as said."""
    given = clicks(*([(5, 5)] * len(seen)), spots=(spot(area),) * len(seen))
    return means_wool(given, *(np.array(each) for each in (exudate, seen, peaks)))


def test_of_bright_lesions_the_one_that_is_seen_is_meant():
    assert wool([0.9], [0.1], [8.0])
    assert not wool([0.1], [0.9], [20.0])
    assert not wool([0.1], [0.05], [8.0])  # neither: most bright lesions are exudates


def test_what_is_wide_and_low_is_cotton_wool_though_nothing_is_seen_there():
    assert wool([0.0], [0.02], [8.0], area=300)
    assert not wool([0.0], [0.02], [25.0], area=300)
    assert not wool([0.0], [0.9], [8.0], area=300)


def test_the_first_click_says_which_bright_lesion_until_most_lie_on_steep_exudates():
    first = {"seen": [0.9], "exudate": [0.1], "peaks": [8.0]}

    def then(exudate, peak, count):
        later = {"seen": 0.0, "exudate": exudate, "peaks": peak}
        return wool(**{name: first[name] + [later[name]] * count for name in first})

    assert then(0.8, 8.0, 9)
    assert then(1.0, 20.0, 1)
    assert not then(1.0, 20.0, 2)


DISC, CUP = about(100, 100, 40), about(100, 100, 20)
DEPTH = depth_of(shown(DISC))


@pytest.mark.parametrize(
    ("positive", "negative", "meant"),
    [
        ([(100, 100)], [], False),
        ([(100, 100)], [(100, 72)], False),
        ([(100, 100)], [(100, 72), (72, 100)], True),
        ([(100, 100)], [(100, 72), (104, 72)], False),  # on one side
        ([(100, 100)], [(100, 62), (62, 100)], False),  # along its border
        ([(100, 100), (100, 122)], [(100, 72), (72, 100)], True),
        ([(100, 100), (100, 139)], [(100, 72), (72, 100)], True),
        ([(100, 150)], [(100, 72), (72, 100)], False),  # on something beside it
        # More want the disc's border
        (
            [(100, 100), (100, 139), (139, 100), (100, 61)],
            [(100, 72), (72, 100)],
            False,
        ),
    ],
)
def test_the_cup_is_meant_where_the_rim_is_denied_on_two_sides(
    positive, negative, meant
):
    assert means_cup(clicks(*positive, negative=negative), DEPTH) is meant


def test_clicks_on_the_rim_find_the_cup_and_so_do_they_in_another_image():
    image = ld.read_image(sample_path())[::4, ::4]
    eye = ld.embed(image, ld.load_model("fundus", "cpu"))
    disc, cup = (eye.structure_mask(f"optic {part}") for part in ("disc", "cup"))

    def dice(mask, truth):
        return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())

    # In the middle of the cup; and on the rim above it and below
    row, column = np.argwhere(cup).mean(0).round().astype(int).tolist()
    within = np.flatnonzero(disc[:, column])
    inner = np.flatnonzero(cup[:, column])
    rim = [(int(within[end] + 3 * inner[end]) // 4, column) for end in (0, -1)]
    middle = [(row, column)]
    assert eye.meaning(middle) == {"optic disc": 1}
    assert dice(eye.mask(middle), disc) > 0.9
    assert eye.meaning(middle, rim[:1]) == {"optic disc": 1}
    assert eye.meaning(middle, rim) == {"optic cup": 1}
    assert dice(eye.mask(middle, rim), cup) > 0.9
    vectors = eye.vectors_at(middle), eye.vectors_at(rim)
    elsewhere = eye.read_vectors(*vectors, eye.meaning(middle, rim))
    assert dice(elsewhere.mask, cup) > 0.9
