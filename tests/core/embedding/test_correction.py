"""What clicks mean: a named structure, or likeness; and what they correct."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_localdisc as ld
from napari_localdisc.core.embedding.correction import mix
from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.embedding.meaning import (
    Candidate,
    Clicks,
    Extent,
    choose,
    depth_of,
)
from napari_localdisc.core.embedding.prompts import Prompts
from napari_localdisc.core.embedding.similarity import (
    Likeness,
    alike_by_prompts,
    cut_at_half,
    nearness,
)
from napari_localdisc.core.embedding.spots import Contrast, Spot
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.model.model import Model

SIDE, D = 64, 8
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
DISC = (ROWS - 20) ** 2 + (COLUMNS - 20) ** 2 < 100
TREE = abs(ROWS - COLUMNS) < 3
BLOB = (ROWS - 50) ** 2 + (COLUMNS - 12) ** 2 < 36


def presence(mask, inside=0.97, outside=0.02):
    return torch.from_numpy(np.where(mask, inside, outside).astype(np.float32))


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
    assert dice(embedding.mask([*both, (50, 50), (58, 58)], [(12, 20)]), TREE) > 0.8
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
        distance = np.square((at[..., None, :] - points) / (0.05 * SIDE)).sum(-1)
        return np.exp((of @ vectors.T - 1) / 0.2 - distance / 2)

    strength = np.linalg.solve(kernel(points, vectors) + 0.02 * np.eye(3), missing)
    shifted = odds + kernel(places, embedding.vectors) @ strength
    clipped = 1 / (1 + np.exp(-odds))
    expected = (mixed + 1 / (1 + np.exp(-shifted)) - clipped).clip(0, 1)
    clicks = Clicks(vectors, points, 2)
    compared = list(nearness(embedding.matrix, torch.from_numpy(vectors)))
    likeness = Likeness(compared[:2], compared[2:])
    known = [cut_at_half(disc.view(-1), 0.3)]
    found = mix(likeness, None, known, np.array([1, 0]), (SIDE, SIDE), clicks)
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


def candidates(*maps, **known):
    everywhere = np.ones(maps[0].shape, bool)
    return [Candidate(each, Extent.of(each, everywhere), **known) for each in maps]


def clicks_at(*places, positives=None, spots=()):
    vectors = np.ones((len(places), D), np.float32)
    return Clicks(vectors, np.array(places), positives or len(places), spots)


def test_lesions_do_not_explain_what_was_missed_of_something_else():
    line, spot = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    line[30:33], spot[10:13, 10:13] = True, True
    (vessel,) = candidates(torch.from_numpy(line.astype(np.float32)))
    (lesion,) = candidates(torch.from_numpy(spot.astype(np.float32)), is_lesion=True)
    on_spot, on_line = (11, 11), [(31, column) for column in range(4, 60, 5)]
    chosen = [
        choose([vessel, lesion], clicks_at(on_spot, *on_line[:later]))
        for later in range(12)
    ]
    assert chosen[:2] == [1, 1]  # one may be a lesion that was missed
    assert chosen[-1] == 0
    assert chosen == sorted(chosen, reverse=True)


def test_one_thing_is_meant():
    maps = candidates(presence(TREE), presence(DISC))
    assert choose(maps, clicks_at((12, 20), (50, 50), positives=1)) == 1
    assert choose(maps, clicks_at((55, 5))) == 2
    assert choose([], clicks_at((55, 5))) == 0


def test_a_correction_near_a_border_is_no_reason_to_mean_something_else():
    rows, columns = np.mgrid[:400, :400]
    disc = np.hypot(rows - 150, columns - 150) < 50
    tree = abs(rows - columns) < 4
    maps = candidates(presence(disc, 0.8), presence(tree, 0.5))

    def is_disc(*outside):
        # On both, then on the tree some way beyond the disc
        beside = [round(150 + (50 + away) / np.sqrt(2)) for away in outside]
        return choose(maps, clicks_at((150, 150), *((at, at) for at in beside))) == 0

    assert is_disc()
    assert is_disc(3, 6, 9)
    assert not is_disc(60, 70, 80)


def test_what_is_meant_changes_only_with_clear_evidence():
    maps = candidates(presence(TREE, 0.9), presence(DISC, 0.95))
    both, on_disc, on_tree = (20, 20), (12, 20), (50, 50)
    assert choose(maps, clicks_at(both)) == choose(maps, clicks_at(both, on_disc)) == 1
    assert choose(maps, clicks_at(both, on_tree, (55, 55), (60, 60))) == 0


def test_a_click_outside_of_what_there_is_but_one_of_counts_more():
    maps = [presence(TREE, 0.5), presence(DISC, 0.95)]
    single = [*candidates(maps[0]), *candidates(maps[1], is_single=True)]
    clicks = clicks_at((20, 20), (50, 50))
    assert choose(candidates(*maps), clicks) == 1
    assert choose(single, clicks) == 0


def test_a_structure_that_is_everywhere_explains_nothing():
    maps = candidates(torch.full((64, 64), 0.55), presence(DISC))
    assert choose(maps, clicks_at((2, 60))) == 2


def test_a_spot_means_a_lesion_of_its_kind_and_no_vessel():
    lesion = torch.full((64, 64), 0.02)
    maps = [
        *candidates(presence(TREE)),
        *candidates(lesion, is_lesion=True, bright=False),
        *candidates(lesion, is_lesion=True, bright=True),
    ]
    box = slice(0, 3), slice(0, 3)

    def meant(bright, roundness=0.5, apartness=0.6):
        spot = Spot(box, np.ones((3, 3), bool), bright, roundness, apartness)
        return choose(maps, clicks_at((45, 45), spots=(spot,)))

    assert choose(maps, clicks_at((45, 45), spots=(None,))) == 0
    assert (meant(False), meant(True)) == (1, 2)
    assert meant(False, roundness=0.1) == 0
    assert meant(False, apartness=0.2) == 0


def test_what_is_dark_all_around_is_the_reflex_on_a_vessel_and_no_bright_lesion():
    box, mask = (slice(0, 3), slice(0, 3)), np.ones((3, 3), bool)
    assert Spot(box, mask, True, 0.5, 0.6).stands_alone
    assert not Spot(box, mask, True, 0.5, 1.2).stands_alone


def test_off_a_discs_middle_a_click_on_a_vessel_means_the_vessel():
    rows, columns = np.mgrid[:400, :400]
    disc = presence(np.hypot(rows - 200, columns - 200) < 50)
    tree = presence((rows - columns) % 100 < 6)
    maps = [
        *candidates(tree),
        *candidates(disc, is_single=True, depth=depth_of(disc)),
    ]
    assert choose(maps, clicks_at((203, 200))) == 1
    assert choose(maps, clicks_at((230, 228))) == 0
    assert choose(maps, clicks_at((230, 175))) == 1  # nothing else is there


def test_bright_lesions_are_not_meant_by_clicks_on_what_is_not_bright():
    lesion = torch.full((64, 64), 0.02)
    lesion[55:62, 55:62] = 0.9  # so that there are some, which nobody clicks on
    maps = [
        *candidates(lesion, is_lesion=True, bright=False),
        *candidates(lesion, is_lesion=True, bright=True),
    ]
    spot = Spot((slice(0, 3),) * 2, np.ones((3, 3), bool), False, 0.1, 0.1)
    places = (45, 45), (10, 10), (20, 50), (30, 5), (12, 30)
    dark = clicks_at(*places, spots=(None, *[spot] * 4))
    assert choose(maps, dark) == 0


def test_what_no_click_shows_is_not_meant_where_there_are_few():
    vessel = torch.zeros(64, 64)
    vessel[30:33] = 0.9
    few = torch.zeros(64, 64)
    maps = [
        *candidates(vessel),
        *candidates(few, is_lesion=True, bright=False),
    ]
    missed_first = clicks_at((10, 10), (31, 20), (31, 50), (5, 60), positives=3)
    assert choose(maps, missed_first) == 0


def test_a_click_between_pixels_comes_out_right_without_another_cut(embedding):
    reading = embedding.read(Prompts([(12, 20), (50, 12.4)], [(40.4, 40.6)]))
    assert reading.threshold == 0.5
    assert reading.mask[50, 12]
    assert not reading.mask[40, 41]


def test_a_concept_carries_the_meaning_to_other_images(embedding, tmp_path):
    concept = ld.Concept.from_prompts("disc", embedding, [(12, 20)])
    concept = ld.load_concept(concept.save(tmp_path / "disc"))
    assert dict(concept.rule.meaning) == pytest.approx(embedding.meaning([(12, 20)]))
    other = made()
    other.presence["disc"] = presence(np.roll(DISC, 25, axis=1))
    found = concept.labels(other) == 1
    assert dice(found, np.roll(DISC, 25, axis=1)) > 0.95


LESION_SIDE = 200


def lesions():
    """A picture with a tree, six dark spots of two kinds and a bright one."""
    rows, columns = np.mgrid[:LESION_SIDE, :LESION_SIDE]
    tree = abs(rows - columns) < 3
    kinds = {name: np.zeros(tree.shape, bool) for name in ("blot", "shadow", "exudate")}
    for name, row, column in (
        *(("blot", 40, 110), ("blot", 60, 160), ("blot", 100, 170)),
        *(("shadow", 110, 40), ("shadow", 150, 30), ("shadow", 170, 80)),
        ("exudate", 30, 160),
    ):
        kinds[name] |= np.hypot(rows - row, columns - column) < 6
    light = np.full(tree.shape, 0.5) + np.random.default_rng(0).normal(
        0, 0.01, tree.shape
    )
    light[tree | kinds["blot"] | kinds["shadow"]] -= 0.2
    light[kinds["exudate"]] += 0.2
    vectors = np.random.default_rng(1).normal(0, 0.03, (D, *tree.shape))
    vectors[0] += 1
    for component, mask in enumerate((tree, *kinds.values()), 1):
        vectors[component] += 2 * mask
    vectors /= np.linalg.norm(vectors, axis=0)
    model = Model.random(embedding_dim=D, clusters=4, modality="frame")
    card = dataclasses.replace(
        model.card, structures={"vessel": 0, "dark lesion": 1, "bright lesion": 2}
    )
    everywhere = np.ones(tree.shape, bool)
    # The network sees vessels in blots, and every shadow faintly
    seen = {
        "vessel": presence(tree | kinds["blot"], 0.8),
        "dark lesion": presence(kinds["blot"] | kinds["shadow"], 0.4),
        "bright lesion": presence(kinds["exudate"], 0.6),
    }
    return (
        tree,
        kinds,
        Embedding(
            torch.from_numpy(vectors.reshape(D, -1).astype(np.float32)),
            torch.full((4, *tree.shape), 0.25),
            everywhere,
            WorkingGrid.around(everywhere, LESION_SIDE),
            card,
            model.centres,
            model.hash,
            seen,
            torch.from_numpy(np.stack([light] * 3)).half(),
        ),
    )


def test_a_click_on_a_dark_spot_means_it_and_its_like_not_the_tree():
    tree, kinds, embedding = lesions()
    assert embedding.meaning([(40, 110)]) == {"dark lesion": 1}
    mask = embedding.mask([(40, 110)])
    assert (mask & tree).sum() < 0.02 * tree.sum()
    assert mask[kinds["blot"]].mean() > 0.9
    assert embedding.meaning([(150, 150)]) == {"vessel": 1}
    assert dice(embedding.mask([(30, 160)]), kinds["exudate"]) > 0.8


def test_a_negative_click_acts_on_everything_that_looks_like_it():
    _, kinds, embedding = lesions()
    before = embedding.mask([(40, 110)])
    assert before[kinds["shadow"]].mean() > 0.9
    after = embedding.mask([(40, 110)], [(110, 40)])
    assert after[kinds["shadow"]].mean() < 0.1
    assert after[kinds["blot"]].mean() > 0.9


def test_a_spot_has_the_objects_outline_and_a_line_is_none():
    _, _, embedding = lesions()
    light = embedding.colour[1].float().numpy()
    contrast = Contrast(light, np.ones(light.shape, bool))
    spot = contrast.spot(60, 160)
    found = np.zeros(light.shape, bool)
    found[spot.box] = spot.mask
    rows, columns = np.indices(light.shape)
    own = np.hypot(rows - 60, columns - 160) < 6
    assert dice(found, own) > 0.75
    assert spot.stands_alone
    assert not spot.is_bright
    at, beside = np.array((60, 160)), np.array([(60, 166)])
    assert spot.without(beside[:0], at).sum() == spot.mask.sum()
    kept = np.argwhere(spot.without(beside, at)) + [part.start for part in spot.box]
    assert 0.7 * spot.mask.sum() < len(kept) < spot.mask.sum()
    assert 162 < kept[kept[:, 0] == 60, 1].max() < 164
    on_tree = contrast.spot(120, 120)
    assert on_tree is None or not on_tree.stands_alone
    assert contrast.spot(30, 160).is_bright
    assert contrast.spot(190, 20) is None or not contrast.spot(190, 20).stands_alone


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 99), likes=st.integers(1, 4), dislikes=st.integers(0, 4))
def test_a_negative_click_adds_nothing_to_likeness(seed, likes, dislikes):
    rng = np.random.default_rng(seed)
    near = [
        torch.from_numpy(rng.beta(*rng.uniform(0.2, 3, 2), 4096).astype(np.float32))
        for _ in range(likes + dislikes + 1)
    ]
    positive, negative, more = near[:likes], near[likes:-1], near[-1]

    def found(*given):
        return alike_by_prompts(Likeness(*given), torch.arange(4096)) >= 0.5

    before = found(positive, negative)
    assert (found(positive, [*negative, more]) <= before).all()


def test_a_positive_click_on_something_common_does_not_find_half_the_picture():
    """One threshold for all of them once made that of one click."""
    rng = np.random.default_rng(0)
    few, many = (torch.from_numpy(rng.uniform(0, 0.1, 4096)) for _ in range(2))
    few[:60] += 0.8
    many[1000:3000] += 0.6 + 0.2 * torch.from_numpy(rng.random(2000))

    def found(*near):
        likeness = Likeness([each.float() for each in near])
        return int((alike_by_prompts(likeness, torch.arange(4096)) >= 0.5).sum())

    assert (found(few), found(many)) == (60, 2000)
    assert 60 < found(few, many) <= 120


def test_a_negative_click_leaves_something_where_all_looks_alike():
    """To a network that has learned little, every pixel is as near to both."""
    rng = np.random.default_rng(0)
    near, against = torch.from_numpy(rng.uniform(0.9, 1, (2, 4096)).astype(np.float32))
    few = torch.arange(0, 4096, 4)
    alone = alike_by_prompts(Likeness([near]), few) >= 0.5
    left = alike_by_prompts(Likeness([near], [against]), few) >= 0.5
    assert (left <= alone).all()
    assert 0.5 * alone.sum() < left.sum()
