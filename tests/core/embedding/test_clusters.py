"""Merged clusters keep their labels and colours from image to image and n to n."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from napari_localdisc.core.colours import (
    PALETTE,
    STRUCTURES,
    structure_colours,
    to_hex,
)
from napari_localdisc.core.embedding.clusters import (
    cluster_colours,
    dominant_cluster,
    merge_table,
)
from napari_localdisc.core.embedding.embed import embed, map_clusters
from napari_localdisc.core.embedding.named import cluster_names
from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.model.card import ModelCard
from napari_localdisc.core.model.model import Model


def random_centres(seed, count=16):
    centres = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return centres / np.linalg.norm(centres, axis=1, keepdims=True)


def same_partition(a, b):
    return len(set(zip(a, b, strict=True))) == len(set(a)) == len(set(b))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 24))
def test_average_linkage_on_cosines_is_cut_at_n(seed, count):
    centres = random_centres(seed, count)
    merges = linkage(centres, "average", "cosine")
    for n in range(2, min(16, count) + 1):
        table = merge_table(centres, n)
        assert sorted(set(table)) == list(range(1, n + 1))
        assert same_partition(table, fcluster(merges, n, "maxclust"))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    named=st.lists(st.integers(0, 18), max_size=4, unique=True),
)
def test_one_more_cluster_splits_one_label_and_leaves_the_others(seed, named):
    centres = random_centres(seed)
    structures = {f"structure {m}": m for m in named}
    tables = {n: merge_table(centres, n, structures) for n in range(2, 17)}
    background = [m for m in range(16) if m not in named]
    for n in range(2, 16):
        changed = tables[n] != tables[n + 1]
        assert changed.any()
        assert len(set(tables[n][changed])) == 1
        assert set(tables[n + 1][changed]) == {n + 1}
        # The background keeps the label, and of its parts that of the lowest channel
        members = np.flatnonzero(tables[n] == tables[n][changed][0])
        assert not changed[min(set(members) & set(background))]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    named=st.lists(st.integers(0, 18), min_size=1, max_size=5, unique=True),
)
def test_structures_appear_one_by_one_beside_one_background(seed, named):
    structures = {f"structure {m}": m for m in named}
    for n in range(2, 17):
        table = merge_table(random_centres(seed), n, structures)
        labels = [table[m] for m in named]
        expected = [1, *range(3, n + 1)][: len(named)]
        assert labels[: len(expected)] == expected
        assert set(labels[len(expected) :]) <= {2}
        others = {int(table[m]) for m in range(16) if m not in named}
        assert not others & set(expected)


def test_structures_of_other_names_have_colours_that_no_known_one_has():
    given = structure_colours(["membrane", "Optic Disc", "vessel", "membrane"])
    assert given["vessel"] == STRUCTURES["vessel"]
    assert given["Optic Disc"] == STRUCTURES["optic_disc"]
    assert given["membrane"] not in (given["vessel"], given["Optic Disc"])
    assert set(STRUCTURES.values()) <= set(PALETTE)
    many = structure_colours([f"structure {k}" for k in range(len(PALETTE))])
    assert len(set(many.values())) == len(PALETTE)


def test_labels_of_structures_have_names_and_colours_of_their_own():
    card = ModelCard("m", structures={"vessel": 3, "optic disc": 0, "bright lesion": 7})
    # The fovea follows from the first two
    assert cluster_names(card, 16) == {
        **{1: "vessel", 3: "optic disc", 4: "bright lesion", 5: "fovea"},
    }
    assert cluster_names(card, 3) == {1: "vessel", 3: "optic disc"}
    colours = cluster_colours(Model.random(structures=card.structures), 16)
    plain = cluster_colours(Model.random(), 16)
    wanted = [STRUCTURES[n] for n in ("vessel", "optic_disc", "bright_lesion", "fovea")]
    assert [to_hex(row) for row in colours[[1, 3, 4, 5]]] == wanted
    assert {tuple(row) for row in colours} == {tuple(row) for row in plain}
    assert colours[2, :3].max() < 0.5


def test_identical_clusters_can_still_be_told_apart():
    centres = np.ones((6, 4), np.float32) / 2
    for n in range(2, 7):
        assert sorted(set(merge_table(centres, n))) == list(range(1, n + 1))


@pytest.mark.parametrize("n", [-1, 0, 1, 17, 2.5, "four", None])
def test_numbers_out_of_range_get_one_sentence(n):
    with pytest.raises(LocalDiscError, match="whole number from 2 to 16"):
        merge_table(random_centres(0, 20), n)


def test_a_small_model_has_fewer_clusters():
    with pytest.raises(LocalDiscError, match="from 2 to 5, not 6"):
        merge_table(random_centres(0, 5), 6)
    with pytest.raises(LocalDiscError, match="from 2 to 5, not 6"):
        cluster_colours(Model.random(clusters=5), 6)


def test_colours_do_not_depend_on_n():
    model = Model.random()
    all_colours = cluster_colours(model, 16)
    assert all_colours.shape == (17, 4)
    assert all_colours.dtype == np.float32
    assert (all_colours[0] == 0).all()
    assert (all_colours[1:, 3] == 1).all()
    for n in range(2, 16):
        np.testing.assert_array_equal(cluster_colours(model, n), all_colours[: n + 1])
    assert len(set(PALETTE)) == 16


# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]


@pytest.mark.parametrize(
    ("vision", "least"), [(np.eye(3), 25), (DEUTERANOPIA, 16), (PROTANOPIA, 16)]
)
def test_colours_differ_for_every_eye(vision, least):
    color = pytest.importorskip("skimage.color")
    rgb = cluster_colours(Model.random(), 16)[1:, :3].astype(float)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(vision), 0, 1)
    seen = np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = color.rgb2lab(seen[None])[0]
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    assert distance[np.triu_indices(16, 1)].min() > least


@pytest.mark.parametrize(
    "shape", [(150, 170), (40, 50), (26, 30), (300, 37), (37, 300)]
)
@pytest.mark.parametrize("count", [2, 5, 16, 17])
def test_the_dominant_cluster_is_the_argmax_on_the_images_grid(shape, count):
    field_of_view = np.zeros(shape, bool)
    field_of_view[5:-4, 3:-6] = True
    grid = WorkingGrid.around(field_of_view, 64)
    generator = torch.Generator().manual_seed(0)
    probability = torch.rand(1, count, *grid.shape, generator=generator) ** 3
    probability = F.normalize(probability, p=1, dim=1)[0]
    labels = dominant_cluster(probability, grid, field_of_view)
    assert labels.dtype == np.uint8
    assert (labels[~field_of_view] == 0).all()
    size = grid.height, grid.width
    strong = 2 * size[0] < grid.shape[0]  # only then is there anything to alias
    fine = F.interpolate(
        probability[None], size=size, mode="bilinear", antialias=strong
    )
    maps = np.zeros((count, *shape), np.float32)
    maps[:, *grid.box] = fine[0]
    top = np.sort(maps, axis=0)
    clear = field_of_view & (top[-1] - top[-2] > 1e-5)
    assert clear.sum() > 0.99 * field_of_view.sum()
    np.testing.assert_array_equal(labels[clear], maps.argmax(0)[clear] + 1)


@pytest.fixture(scope="module")
def model():
    return Model.random(working_diameter=128, structures={"vessel": 3})


@pytest.fixture(scope="module", params=[(150, 180), (90, 100)])
def embedding(request, model):
    height, width = request.param
    y, x = np.mgrid[:height, :width]
    disc = np.hypot(y - height / 2, x - width / 2) < height / 2 - 3
    texture = np.random.default_rng(1).integers(50, 220, (height, width))
    return embed(np.where(disc, texture, 0).astype(np.uint8), model)


def test_labels_are_those_of_the_model_in_every_image(embedding, model):
    inside = embedding.field_of_view
    base = embedding.clusters(16)
    finest = merge_table(model.centres, 16, model.card.structures)
    for n in range(2, 17):
        labels = embedding.clusters(n)
        assert labels.dtype == np.uint8
        assert labels.shape == embedding.shape
        assert (labels[~inside] == 0).all()
        assert labels[inside].min() >= 1
        assert labels.max() <= n
        table = merge_table(model.centres, n, model.card.structures)
        channel = np.argsort(finest)[base[inside] - 1]
        np.testing.assert_array_equal(labels[inside], table[channel])


def test_images_in_memory_and_their_maps_alone_have_the_same_clusters(model):
    image = np.random.default_rng(3).integers(40, 220, (100, 110, 3)).astype(np.uint8)
    image[:, :8] = 0
    np.testing.assert_array_equal(
        embed(image, model).clusters(8), map_clusters(image, model).clusters(8)
    )


def test_a_label_array_may_be_changed(embedding):
    labels = embedding.clusters(4)
    expected = labels.copy()
    labels[:] = 0
    np.testing.assert_array_equal(embedding.clusters(4), expected)
