"""Prompts: what is like them, what is not, and the mask in between."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tests.core.tissue import (
    BACKGROUND,
    BAR,
    LEFT,
    ON_BAR,
    ON_LEFT,
    ON_RIGHT,
    RIGHT,
    SHAPE,
    D,
    make_embedding,
    unit,
)

from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.embedding.similarity import (
    Likeness,
    connected_to,
    moved_threshold,
    nearness,
    otsu_threshold,
    sample_vectors,
)
from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.model.model import Model


def random_matrix(pixels, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(D, pixels))
    return torch.from_numpy(unit(vectors, 0).astype(np.float32))


def likeness(matrix, positive, negative=()):
    kinds = (
        nearness(matrix, torch.from_numpy(np.reshape(kind, (-1, D)).astype(np.float32)))
        for kind in (positive, negative)
    )
    return Likeness(*(list(kind) for kind in kinds))


def slow_similarity(matrix, positive, negative):
    matrix = matrix.numpy().astype(np.float64)
    nearest = (np.asarray(positive) @ matrix).max(0)
    similarity = np.exp((nearest - 1) / 0.2)
    if len(negative):
        wrong = (np.asarray(negative) @ matrix).max(0)
        similarity /= 1 + np.exp((wrong - nearest) / 0.1)
    return similarity


@settings(max_examples=20, deadline=None)
@given(
    pixels=st.sampled_from([1, 77, 65536, 70001]),
    positives=st.integers(1, 4),
    negatives=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_the_fast_path_is_the_formula(pixels, positives, negatives, seed):
    matrix = random_matrix(pixels, seed)
    prompts = unit(np.random.default_rng(seed).normal(size=(positives + negatives, D)))
    positive, negative = prompts[:positives], prompts[positives:]
    got = likeness(matrix, positive, negative).at()
    assert got.dtype == torch.float32
    assert got.min() >= 0
    assert got.max() <= 1 + 1e-5
    expected = slow_similarity(matrix, positive, negative)
    np.testing.assert_allclose(got.numpy(), expected, atol=2e-5)


def test_likeness_of_some_pixels_is_that_of_all():
    matrix = random_matrix(500)
    prompts = matrix[:, :5].T.numpy()
    found = likeness(matrix, prompts[:3], prompts[3:])
    every = found.at()
    assert every[0] == pytest.approx(1, abs=0.4)
    chosen = torch.tensor([7, 3, 250])
    torch.testing.assert_close(found.at(chosen), every[chosen], atol=1e-6, rtol=0)
    torch.testing.assert_close(found.at(slice(9, 80)), every[9:80], atol=1e-6, rtol=0)


def test_likeness_leaves_what_it_is_made_of_as_it_was():
    found = likeness(random_matrix(100), unit(np.eye(D)[:1]))
    before = found.positive[0].clone()
    found.at()
    assert torch.equal(found.positive[0], before)


def test_the_click_path_allocates_little(embedding):
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        embedding.similarity_on_grid([ON_BAR])
    largest = max(event.cpu_memory_usage for event in profile.events())
    assert 0 < largest < embedding.matrix.nbytes / 3


def test_vectors_are_interpolated_and_normalised():
    matrix = random_matrix(6 * 5)
    vectors = matrix.T.reshape(6, 5, D).numpy()
    points = np.array([[2.0, 3.0], [2.5, 3.0], [-0.4, 4.4]])
    sampled = sample_vectors(matrix, (6, 5), points)
    np.testing.assert_allclose(sampled[0], vectors[2, 3], atol=1e-6)
    expected = unit(vectors[2, 3] + vectors[3, 3])
    np.testing.assert_allclose(sampled[1], expected, atol=1e-6)
    np.testing.assert_allclose(sampled[2], vectors[0, 4], atol=1e-6)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_similarity_is_a_map_of_the_image(embedding):
    similarity = embedding.similarity([ON_BAR])
    assert similarity.shape == SHAPE
    assert similarity.dtype == np.float32
    assert similarity.min() >= 0
    assert similarity.max() <= 1
    assert (similarity[~embedding.field_of_view] == 0).all()
    inner = ndimage.binary_erosion(BAR, iterations=2)
    others = embedding.field_of_view & ~ndimage.binary_dilation(BAR, iterations=2)
    assert similarity[inner].min() > 2 * similarity[others].max()
    assert similarity[34, 70] > 0.8


def test_the_working_grid_holds_the_same_map(embedding):
    on_grid = embedding.similarity_on_grid([ON_BAR], [BACKGROUND])
    assert on_grid.shape == embedding.grid.shape
    spread = embedding.grid.to_image(on_grid) * embedding.field_of_view
    similarity = embedding.similarity([ON_BAR], [BACKGROUND])
    np.testing.assert_allclose(similarity, spread, atol=1e-6)
    vectors = embedding.vectors_at([ON_BAR]), embedding.vectors_at([BACKGROUND])
    np.testing.assert_array_equal(embedding.similarity_to(*vectors), on_grid)


def test_one_point_may_be_given_bare_and_as_any_sequence(embedding):
    expected = embedding.similarity([ON_BAR])
    for form in (ON_BAR, np.array([ON_BAR]), (ON_BAR,), [list(ON_BAR)]):
        np.testing.assert_array_equal(embedding.similarity(form), expected)
    for nothing in ((), [], np.zeros((0, 2)), np.zeros(0)):
        got = embedding.similarity([ON_BAR], nothing)
        np.testing.assert_array_equal(got, expected)


def test_a_negative_point_only_lowers_and_mostly_what_is_like_it(embedding):
    before = embedding.similarity([ON_LEFT])
    after = embedding.similarity([ON_LEFT], [BACKGROUND])
    assert (after <= before + 1e-6).all()
    inner = ndimage.binary_erosion(LEFT, iterations=3)
    assert after[inner].mean() > 0.9 * before[inner].mean()
    other = embedding.field_of_view & ~(BAR | LEFT | RIGHT)
    assert after[other].mean() < 0.5 * before[other].mean()


def test_masks_find_every_like_region(embedding):
    assert dice(embedding.mask([ON_BAR]), BAR) > 0.9
    assert dice(embedding.mask([ON_LEFT]), LEFT | RIGHT) > 0.9
    both = embedding.mask([ON_BAR, ON_LEFT], [BACKGROUND])
    assert dice(both, BAR | LEFT | RIGHT) > 0.9


def test_connected_masks_keep_what_is_prompted(embedding):
    assert dice(embedding.mask([ON_LEFT], connected=True), LEFT) > 0.9
    both = embedding.mask([ON_LEFT, ON_RIGHT], connected=True)
    assert dice(both, LEFT | RIGHT) > 0.9


def test_a_higher_threshold_gives_a_smaller_mask(embedding):
    previous = embedding.field_of_view
    for threshold in (0, 0.2, 0.5, 0.8, 1):
        mask = embedding.mask([ON_BAR], threshold=threshold)
        assert mask.dtype == bool
        assert not (mask & ~previous).any()
        previous = mask
    automatic = embedding.automatic_threshold([ON_BAR])
    np.testing.assert_array_equal(
        embedding.mask([ON_BAR], threshold=automatic), embedding.mask([ON_BAR])
    )


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_prompts_come_out_right(embedding, data):
    rows, columns = np.nonzero(embedding.field_of_view)
    picks = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=4))
    points = [(rows[p], columns[p]) for p in picks]
    split = data.draw(st.integers(1, len(points)))
    positive, negative = points[:split], points[split:]
    mask = embedding.mask(positive, negative)
    assert all(mask[point] for point in positive)
    values = embedding.similarity(positive, negative)
    lowest = min(values[point] for point in positive)
    for point in negative:
        assert not mask[point] or values[point] >= lowest


def automatic_threshold(values, positive=(), negative=()):
    """Of values in a column; prompts are the rows of theirs."""
    points = [[(row, 0) for row in rows] for rows in (positive, negative)]
    return moved_threshold(otsu_threshold(values), values[:, None], *points)


def test_the_automatic_threshold_is_otsus():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.12, 3000), rng.normal(0.7, 0.12, 900)])
    values = values.clip(0, 1).astype(np.float32)
    values[:3] = low, middle, high = np.float32([0.3, 0.8, 0.9])
    threshold = automatic_threshold(values)
    filters = pytest.importorskip("skimage.filters")
    assert threshold == pytest.approx(filters.threshold_otsu(values), abs=0.02)
    assert automatic_threshold(values, [0]) == pytest.approx(low)
    assert middle < automatic_threshold(values, [2], [1]) < middle + 0.01 < high
    # Contradicting prompts: the positive ones decide
    assert automatic_threshold(values, [0], [1]) == pytest.approx(low)


def test_the_threshold_is_in_the_middle_of_a_gap():
    values = np.repeat(np.float32([0.1, 0.2, 0.8, 0.9]), 50)
    assert automatic_threshold(values) == pytest.approx(0.5, abs=0.01)


def test_similarity_that_is_the_same_everywhere_has_a_threshold():
    same = np.full(100, 0.5, np.float32)
    assert 0 <= automatic_threshold(same, [0]) <= 0.5


def test_components_touch_at_corners():
    mask = np.zeros((6, 6), bool)
    mask[0, 0] = mask[1, 1] = mask[4, 4] = True
    kept = connected_to(mask, [(0, 0), (3, 0)])
    assert kept.sum() == 2
    assert not kept[4, 4]


BAD = {
    "no point": ((), "at least one positive"),
    "outside above": ([(-1, 5)], "outside the image"),
    "outside right": ([(60, 149.6)], "outside the image"),
    "outside the field of view": ([(5, 5)], "outside the field of view"),
    "one good, one bad": ([(60, 60), (1000, 60)], r"y=1000, x=60"),
    "NaN": ([(np.nan, 60)], "finite"),
    "three numbers": ([(1, 2, 3)], "pairs"),
    "text": ("here", "pairs"),
    "text in a list": (["y", "x"], "pairs"),
    "None": (None, "pairs"),
    "ragged": ([(1, 2), (3,)], "pairs"),
}


@pytest.mark.parametrize(("points", "words"), BAD.values(), ids=BAD)
def test_bad_prompts_get_one_sentence(embedding, points, words):
    for method in (embedding.similarity, embedding.mask, embedding.similarity_on_grid):
        with pytest.raises(PromptError, match=words) as caught:
            method(points)
        assert str(caught.value).count("\n") == 0
    if len(np.atleast_1d(np.asarray(points, object))):
        with pytest.raises(PromptError, match=words):
            embedding.similarity([ON_BAR], points)


def test_pixels_reach_half_a_pixel_beyond_their_centre():
    model = Model.random(embedding_dim=D)
    grid = WorkingGrid.around(np.ones((20, 20), bool), 20)
    embedding = Embedding(
        random_matrix(400),
        torch.full((16, 20, 20), 1 / 16),
        np.ones((20, 20), bool),
        grid,
        model.card,
        model.centres,
        model.hash,
    )
    assert embedding.similarity([(-0.5, 19.4)]).max() == pytest.approx(1, abs=1e-5)
    with pytest.raises(PromptError, match="outside the image"):
        embedding.similarity([(-0.6, 0)])


def test_vectors_of_another_model_are_refused(embedding):
    with pytest.raises(PromptError, match="another model"):
        embedding.similarity_to(np.ones((1, D + 1)))
    with pytest.raises(PromptError, match="at least one positive"):
        embedding.similarity_to(np.zeros((0, D)))


def test_what_prompts_leave_behind_counts_as_memory():
    embedding = make_embedding()
    before = embedding.nbytes
    assert before >= embedding.matrix.nbytes + embedding.probability.nbytes
    embedding.similarity([ON_BAR])
    one_map = embedding.matrix[0].nbytes
    assert embedding.nbytes >= before + one_map
    grown = embedding.nbytes
    embedding.similarity([ON_BAR])
    assert embedding.nbytes == grown
