"""What clicks mean: a named structure, or likeness; and what they correct."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_localdisc as ld
from napari_localdisc.core.embedding.correction import cut_at_half, mix
from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.embedding.meaning import Clicks, Extent, weigh
from napari_localdisc.core.embedding.similarity import Likeness, nearness
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.model.model import Model

SIDE, D = 64, 8
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
DISC = (ROWS - 20) ** 2 + (COLUMNS - 20) ** 2 < 100
TREE = abs(ROWS - COLUMNS) < 3
BLOB = (ROWS - 50) ** 2 + (COLUMNS - 12) ** 2 < 36


def presence(mask, inside=0.97, outside=0.02):
    return torch.from_numpy(np.where(mask, inside, outside).astype(np.float32))


def extents(maps):
    return [Extent.of(values, np.ones(values.shape, bool)) for values in maps]


def made():
    """Vectors that tell nothing apart but the blob; a disc crossed by a tree."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 0.05, (D, SIDE, SIDE))
    vectors[0] += 1
    vectors[1] += 2 * BLOB
    vectors /= np.linalg.norm(vectors, axis=0)
    model = Model.random(embedding_dim=D, clusters=4, modality="frame")
    card = dataclasses.replace(model.card, structures={"tree": 0, "disc": 1})
    everywhere = np.ones((SIDE, SIDE), bool)
    return Embedding(
        torch.from_numpy(vectors.reshape(D, -1).astype(np.float32)),
        torch.full((4, SIDE, SIDE), 0.25),
        everywhere,
        WorkingGrid.around(everywhere, SIDE),
        card,
        model.centres,
        model.hash,
        {"tree": presence(TREE), "disc": presence(DISC)},
    )


@pytest.fixture
def embedding():
    return made()


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_a_click_on_a_structure_means_all_of_it_and_only_it(embedding):
    assert max(embedding.meaning([(12, 20)]).items(), key=lambda m: m[1])[0] == "disc"
    assert dice(embedding.mask([(12, 20)]), DISC) > 0.95
    assert dice(embedding.mask([(45, 45)]), TREE) > 0.95


def test_a_click_a_little_beside_a_thin_structure_means_it(embedding):
    assert "tree" in embedding.meaning([(45, 49)])


def test_further_clicks_say_which_of_two_was_meant(embedding):
    both = [(20, 20)]
    assert dice(embedding.mask([*both, (50, 50)], [(12, 20)]), TREE) > 0.8
    assert dice(embedding.mask([*both, (12, 20)], [(50, 50)]), DISC) > 0.8


def test_a_click_on_nothing_known_means_what_is_like_it(embedding):
    assert sum(embedding.meaning([(50, 12)]).values()) < 0.5
    assert dice(embedding.mask([(50, 12)]), BLOB) > 0.95


def test_corrections_are_those_of_a_gaussian_process(embedding):
    positive, negative = [(12, 20), (40, 10)], [(20, 13)]
    points = np.array([*positive, *negative])
    disc = embedding.presence["disc"]
    first = disc.numpy().astype(float)
    mixed = first * 0.7 / (first * 0.4 + 0.3)
    odds = np.log(mixed.clip(0.02, 0.98) / (1 - mixed.clip(0.02, 0.98)))
    signs = np.array([1, 1, -1])
    missing = signs * np.maximum(0, 1 - signs * odds[*points.T])
    vectors = embedding.vectors[*points.T]
    places = np.stack(np.mgrid[:SIDE, :SIDE], -1)

    def kernel(at, of):
        distance = np.square((at[..., None, :] - points) / (0.1 * SIDE)).sum(-1)
        return np.exp((of @ vectors.T - 1) / 0.2 - distance / 2)

    strength = np.linalg.solve(kernel(points, vectors) + 0.02 * np.eye(3), missing)
    shifted = odds + kernel(places, embedding.vectors) @ strength
    clipped = 1 / (1 + np.exp(-odds))
    expected = (mixed + 1 / (1 + np.exp(-shifted)) - clipped).clip(0, 1)
    clicks = Clicks(vectors, points, 2)
    compared = list(nearness(embedding.matrix, torch.from_numpy(vectors)))
    likeness = Likeness(compared[:2], compared[2:])
    known = [cut_at_half(disc.view(-1), 0.3)]
    found = mix(likeness, 0.5, known, np.array([1, 0]), (SIDE, SIDE), clicks)
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_correction_stays_near_its_click(embedding):
    before = embedding.similarity([(12, 20)])
    after = embedding.similarity([(12, 20)], [(20, 13)])
    assert after[20, 13] < 0.5 < before[20, 13]
    far = np.hypot(ROWS - 20, COLUMNS - 13) > 30
    assert abs(after - before)[far].max() < 0.1
    added = embedding.similarity([(12, 20), (40, 10)])
    assert added[40, 10] > 0.5


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_similarity_is_between_0_and_1_and_clicks_come_out_right(data):
    embedding = made()
    places = st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))
    points = data.draw(st.lists(places, min_size=1, max_size=6, unique=True))
    split = data.draw(st.integers(1, len(points)))
    positive, negative = points[:split], points[split:]
    similarity = embedding.similarity(positive, negative)
    assert similarity.dtype == np.float32
    assert similarity.min() >= 0
    assert similarity.max() <= 1
    mask = embedding.mask(positive, negative)
    assert all(mask[point] for point in positive)
    lowest = min(similarity[point] for point in positive)
    assert all(not mask[point] or similarity[point] >= lowest for point in negative)


def test_the_weights_sum_to_one():
    maps = [presence(TREE), presence(DISC)]
    clicks = Clicks(np.ones((2, D), np.float32), np.array([[12, 20], [50, 50]]), 1)
    weights = weigh(maps, extents(maps), clicks)
    assert weights.sum() == pytest.approx(1)
    assert weights.argmax() == 1


def test_a_correction_near_a_border_is_no_reason_to_mean_something_else():
    rows, columns = np.mgrid[:400, :400]
    disc = np.hypot(rows - 150, columns - 150) < 50
    tree = abs(rows - columns) < 4
    maps = [presence(disc), presence(tree)]

    def weight_of_disc(outside, first=(150, 156)):
        # On the disc, then on the tree some way beyond the disc
        beside = round(150 + (50 + outside) / np.sqrt(2))
        clicks = np.array([first, (beside, beside)])
        clicks = Clicks(np.ones((2, D), np.float32), clicks, 2)
        return weigh(maps, extents(maps), clicks)[0]

    assert weight_of_disc(3) > weight_of_disc(60) + 0.05
    assert weight_of_disc(3) > 0.6
    both = (150, 150)
    assert weight_of_disc(60, both) < 0.35


def test_everything_is_near_a_border_of_a_thin_structure():
    rows, columns = np.mgrid[:400, :400]
    tree = presence(abs(rows - columns) < 4)
    (extent,) = extents([tree])
    assert extent.thickness == pytest.approx(3.5, abs=0.5)
    assert extent.share == pytest.approx(0.017, abs=0.003)

    def weight_of_tree(second):
        clicks = np.array([(150, 150), second])
        clicks = Clicks(np.ones((2, D), np.float32), clicks, 2)
        return weigh([tree], [extent], clicks)[0]

    on, near, beside, far = ((300, 300 + by) for by in (0, 7, 20, 60))
    assert weight_of_tree(on) > weight_of_tree(near) > weight_of_tree(beside)
    assert weight_of_tree(beside) == pytest.approx(weight_of_tree(far))


def test_a_structure_that_is_everywhere_explains_nothing():
    maps = [torch.full((64, 64), 0.55), presence(DISC)]
    clicks = Clicks(np.ones((1, D), np.float32), np.array([[2, 60]]), 1)
    weights = weigh(maps, extents(maps), clicks)
    assert weights[0] == 0
    assert weights.sum() == pytest.approx(1)


def test_a_concept_carries_the_meaning_to_other_images(embedding, tmp_path):
    concept = ld.Concept.from_prompts("disc", embedding, [(12, 20)])
    concept = ld.load_concept(concept.save(tmp_path / "disc"))
    assert dict(concept.rule.meaning) == pytest.approx(embedding.meaning([(12, 20)]))
    embedding.presence["disc"] = presence(np.roll(DISC, 25, axis=1))
    found = concept.labels(embedding) == 1
    assert dice(found, np.roll(DISC, 25, axis=1)) > 0.95
