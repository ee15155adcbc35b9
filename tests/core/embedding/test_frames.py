"""A box or a lasso finds what it is drawn around."""

import numpy as np
import pytest
import torch
from tests.core.tissue import (
    BAR,
    LEFT,
    ON_LEFT,
    ON_RIGHT,
    RIGHT,
    SHAPE,
    kind_mask,
    make_embedding,
)

from napari_localdisc.core.embedding.frames import check_frames, mask_of
from napari_localdisc.core.embedding.prompts import Prompts
from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.evaluation.agreement import dice
from napari_localdisc.core.learning.concept import Concept

AROUND_LEFT = [(56, 31), (84, 59)]
AROUND_RIGHT = [(56, 91), (84, 119)]
LASSO_RIGHT = [(54, 105), (70, 89), (84, 92), (86, 118), (70, 122)]
OUT_LEFT = [(50, 25), (90, 65)]


@pytest.fixture(scope="module")
def embedding():
    return make_embedding()


def with_maps(embedding):
    """Give it a structure of both squares, and one of the bar."""
    maps = {}
    for name, mask in (("square", LEFT | RIGHT), ("bar", BAR)):
        values = embedding.grid.to_working(mask.astype(np.float32))
        maps[name] = torch.from_numpy(values.astype(np.float32))
    return embedding.with_presence(maps)


@pytest.fixture(scope="module", params=["likeness", "named"])
def either(request, embedding):
    return embedding if request.param == "likeness" else with_maps(embedding)


def test_a_box_around_an_object_yields_that_object_alone(either):
    mask = either.mask(frames=[AROUND_LEFT])
    assert dice(mask, LEFT) > 0.93
    assert not (mask & RIGHT).any()
    similar = either.similarity(frames=[AROUND_LEFT])
    assert similar.shape == SHAPE
    assert similar[70, 45] > 0.5 > similar[70, 105]


def test_the_corners_of_a_box_have_no_order(either):
    (top, left), (bottom, right) = AROUND_LEFT
    np.testing.assert_array_equal(
        either.mask(frames=[[(bottom, left), (top, right)]]),
        either.mask(frames=[AROUND_LEFT]),
    )


def test_a_lasso_does_the_same(either):
    mask = either.mask(frames=[LASSO_RIGHT])
    assert dice(mask, RIGHT) > 0.9
    assert not (mask & LEFT).any()


def test_several_frames_and_clicks_find_all_of_theirs(either):
    both = either.mask(frames=[AROUND_LEFT, LASSO_RIGHT])
    assert dice(both, LEFT | RIGHT) > 0.9
    # A click is for all that is like it, as ever
    assert dice(either.mask([ON_RIGHT], frames=[AROUND_LEFT]), LEFT | RIGHT) > 0.9


def test_a_negative_frame_drops_what_is_in_it(either):
    mask = either.mask([ON_LEFT], negative_frames=[(OUT_LEFT[0], (90, 45))])
    assert not mask[56:84, 26:44].any()
    assert mask[70, 45]  # but not the click itself
    everything = either.mask(frames=[AROUND_LEFT], negative_frames=[AROUND_LEFT])
    assert not everything.any()


def test_a_negative_frame_drops_what_looks_like_it(embedding):
    """Where likeness is all there is."""
    bar = [(26, 22), (40, 126)]
    top = kind_mask(slice(10, 14), slice(5, 25))
    assert embedding.mask([ON_LEFT, (33.6, 40.2)])[top].mean() > 0.9
    with_bar_dropped = embedding.mask([ON_LEFT], negative_frames=[bar])
    assert not with_bar_dropped[BAR].any()
    assert dice(with_bar_dropped, LEFT | RIGHT) > 0.9


def test_a_negative_click_in_a_box_takes_away_what_is_like_it(embedding):
    both = [(24, 20), (86, 62)]  # bar and square
    mask = embedding.mask(frames=[both])
    less = embedding.mask(negative=[(33.6, 40.2)], frames=[both])
    assert not less[BAR].any()
    assert less.sum() <= mask.sum()


def test_a_frame_means_the_structure_that_it_is_drawn_around(embedding):
    named = with_maps(embedding)
    assert named.meaning(frames=[AROUND_LEFT]) == {"square": 1}
    assert named.meaning(frames=[[(25, 22), (41, 128)]]) == {"bar": 1}
    assert named.read(Prompts((), (), [AROUND_LEFT])).meaning == "square"


def test_connected_and_smallest_pieces_hold_for_frames(either):
    boxes = [AROUND_LEFT, AROUND_RIGHT]
    mask = either.mask(frames=boxes, connected=True)
    assert dice(mask, LEFT | RIGHT) > 0.9
    assert not either.mask(frames=boxes, minimum_size=10_000).any()


def test_a_concept_of_a_box_is_found_everywhere(either):
    concept = Concept.from_prompts("square", either, frames=[AROUND_LEFT])
    assert dice(concept.labels(either) > 0, LEFT | RIGHT) > 0.9


def test_where_nothing_stands_out_all_of_the_frame_is_meant(embedding):
    mask = embedding.mask(frames=[[(90, 70), (100, 90)]])
    assert mask[92:99, 72:88].mean() > 0.3


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ([(1, 2)], "two opposite corners"),
        ([1, 2, 3], "two opposite corners"),
        ("box", "two opposite corners"),
        ([(1, np.nan), (3, 4)], "finite"),
        ([(0, 0), (4, 4)], "outside the field of view"),
    ],
)
def test_bad_frames_get_one_sentence(embedding, frame, words):
    with pytest.raises(PromptError, match=words):
        embedding.mask(frames=[frame])


def test_without_a_positive_prompt_there_is_nothing_to_find(embedding):
    with pytest.raises(PromptError, match="at least one positive"):
        embedding.mask(negative_frames=[AROUND_LEFT])


def test_a_frame_may_be_as_small_as_a_pixel_and_reach_off_the_grid():
    (tiny,) = check_frames([[(3.2, 4.1), (3.4, 4.3)]])
    assert mask_of(tiny, (8, 9)).sum() >= 1
    (large,) = check_frames([[(-5, -5), (20, 3)]])
    mask = mask_of(large, (8, 9))
    assert mask[:, :4].all()
    assert not mask[:, 5:].any()
