"""From an array to its embedding: exact tiles, progress, cancelling, bad input."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_localdisc.core.embedding.embed import (
    embed,
    embed_steps,
    map_clusters,
)
from napari_localdisc.core.errors import Cancelled, ImageError, LocalDiscError
from napari_localdisc.core.image import contrast
from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.working import as_rgb, working_image
from napari_localdisc.core.model.inference import Inference
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.model.tiles import SURROUND


@pytest.fixture(scope="module")
def model():
    return Model.random(working_diameter=160)


@pytest.fixture(scope="module")
def photograph():
    """A disc of texture in a dark frame, not in the middle."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:260, :300]
    texture = rng.integers(60, 200, (260, 300, 3))
    disc = np.hypot(y - 125, x - 160) < 118
    return np.where(disc[..., None], texture, 0).astype(np.uint8)


@pytest.fixture(scope="module")
def embedding(photograph, model):
    return embed(photograph, model, precision="float32")


def test_shapes_types_and_norms(embedding, photograph, model):
    h, w = embedding.grid.shape
    assert max(h, w) == 160
    assert embedding.shape == embedding.field_of_view.shape == photograph.shape[:2]
    assert embedding.field_of_view.dtype == bool
    assert embedding.vectors.shape == (h, w, 32)
    assert embedding.vectors.dtype == np.float32
    assert embedding.probability.shape == (16, h, w)
    np.testing.assert_allclose(np.linalg.norm(embedding.vectors, axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(embedding.probability.sum(0), 1, atol=1e-5)
    assert embedding.card is model.card
    assert embedding.model_hash == model.hash
    np.testing.assert_array_equal(embedding.centres, model.centres)


def test_vectors_are_a_view_of_one_row_per_dimension(embedding):
    matrix = embedding.matrix
    assert matrix.is_contiguous()
    assert matrix.shape == (32, embedding.inside.size)
    assert np.shares_memory(embedding.vectors, matrix.numpy())
    vector = embedding.vectors[20, 30]
    np.testing.assert_array_equal(
        matrix[:, 20 * embedding.grid.shape[1] + 30].numpy(), vector
    )


def test_the_embedding_is_what_the_network_says(embedding, photograph, model):
    rgb = as_rgb(photograph)
    colour, inside = working_image(
        rgb, find_field_of_view(rgb, "fundus"), embedding.grid
    )
    x = contrast.network_input(
        torch.from_numpy(colour).permute(2, 0, 1)[None],
        torch.from_numpy(inside)[None, None].float(),
        160,
    )
    h, w = inside.shape
    padding = (SURROUND, SURROUND + -w % 16, SURROUND, SURROUND + -h % 16)
    surrounded = torch.nn.functional.pad(x, padding)
    vectors, probability = (
        values[..., SURROUND : SURROUND + h, SURROUND : SURROUND + w]
        for values in model.network(surrounded)
    )
    expected = vectors[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(embedding.vectors, expected, atol=1e-4)
    expected = probability[0].numpy()
    np.testing.assert_allclose(embedding.probability, expected, atol=1e-5)


@settings(max_examples=4, deadline=None)
@given(
    height=st.integers(17, 64),
    width=st.integers(330, 450),
    tile_size=st.sampled_from([288, 304, 320]),
    seed=st.integers(0, 99),
)
@example(height=304, width=352, tile_size=336, seed=0)
def test_no_seams(height, width, tile_size, seed):
    model = Model.random(seed, modality="frame", working_diameter=max(height, width))
    image = np.random.default_rng(seed).random((height, width), np.float32)
    tiled, whole = (
        embed(image, model, tile_size=size, precision="float32")
        for size in (tile_size, 1024)
    )
    np.testing.assert_allclose(tiled.vectors, whole.vectors, atol=1e-4)
    np.testing.assert_allclose(tiled.probability, whole.probability, atol=1e-5)


@pytest.mark.parametrize(("flips", "tile_size"), [(1, 1024), (2, 272)])
def test_clusters_alone_are_those_of_the_embedding(photograph, flips, tile_size):
    model = Model.random(working_diameter=160)
    model.card.structures.update(vessel=3)
    embedding, maps = (
        work(photograph, model, flips=flips, tile_size=tile_size)
        for work in (embed, map_clusters)
    )
    for number in (2, 7, 16):
        np.testing.assert_array_equal(maps.clusters(number), embedding.clusters(number))
    for readout in ("presence", "probability"):
        np.testing.assert_array_equal(
            maps.structure("vessel", readout), embedding.structure("vessel", readout)
        )


def test_clusters_alone_can_be_watched_and_cancelled(photograph, model):
    seen = []
    map_clusters(photograph, model, progress=lambda *tile: seen.append(tile))
    assert seen == [(1, 1)]
    with pytest.raises(Cancelled):
        map_clusters(photograph, model, cancel=lambda: True)


def test_what_no_tile_fills_is_neutral(monkeypatch, photograph, model):
    monkeypatch.setattr(
        "napari_localdisc.core.model.tiles.plan_tiles", lambda inside, tile_size: []
    )
    embedding = embed(photograph, model)
    np.testing.assert_array_equal(np.linalg.norm(embedding.vectors, axis=2), 1)
    np.testing.assert_allclose(embedding.probability, 1 / 16)


def test_bfloat16_gives_the_same_clusters(embedding, photograph, model):
    fast = embed(photograph, model, precision="bfloat16")
    inside = embedding.field_of_view
    agree = fast.clusters(16)[inside] == embedding.clusters(16)[inside]
    # Random weights have near ties everywhere; trained ones are held to 99.5 %
    assert agree.mean() > 0.98


@pytest.mark.parametrize("flips", [2, 4])
def test_averaged_over_flips_the_image_may_be_mirrored(flips):
    # Sides that are multiples of 16, so that mirrored pooling grids coincide
    model = Model.random(modality="frame", working_diameter=160)
    image = np.random.default_rng(0).random((128, 160), np.float32)
    straight, mirrored = (
        embed(i, model, flips=flips, precision="float32")
        for i in (image, image[:, ::-1])
    )
    np.testing.assert_allclose(mirrored.vectors[:, ::-1], straight.vectors, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(straight.vectors, axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(straight.probability.sum(0), 1, atol=1e-5)


def test_sixteen_bit_and_grey_copies_embed_alike(photograph, model, embedding):
    wide = embed(photograph.astype(np.uint16) * 257, model, precision="float32")
    np.testing.assert_array_equal(wide.vectors, embedding.vectors)
    grey = photograph[..., 0]
    one, three = (
        embed(image, model, precision="float32")
        for image in (grey, np.repeat(grey[..., None], 3, axis=2))
    )
    np.testing.assert_array_equal(one.vectors, three.vectors)


@pytest.mark.parametrize("in_channels", [3, 6])
def test_both_kinds_of_input(photograph, in_channels):
    model = Model.random(working_diameter=96, in_channels=in_channels)
    assert embed(photograph, model).vectors.shape[2] == 32


@pytest.mark.parametrize("shape", [(16, 16), (16, 400), (401, 33)])
def test_small_and_narrow_frames(shape):
    model = Model.random(modality="frame", working_diameter=64)
    embedding = embed(np.random.default_rng(0).random(shape), model)
    labels = embedding.clusters(5)
    assert labels.shape == shape
    assert labels.min() >= 1


def test_progress_is_told_tile_by_tile(model):
    model = Model.random(modality="frame", working_diameter=560)
    image = np.random.default_rng(0).random((100, 560))
    told = []
    embed(image, model, tile_size=288, progress=lambda *step: told.append(step))
    total = len(told)
    assert total > 1
    assert told == [(done, total) for done in range(1, total + 1)]


def test_work_can_be_cancelled_between_tiles():
    model = Model.random(modality="frame", working_diameter=560)
    image = np.random.default_rng(0).random((100, 560))
    told = []
    with pytest.raises(Cancelled):
        embed(
            image,
            model,
            tile_size=288,
            progress=lambda *step: told.append(step),
            cancel=lambda: len(told) == 2,
        )
    assert len(told) == 2


def test_steps_can_be_driven_by_a_worker(photograph, model, embedding):
    steps = embed_steps(photograph, model, Inference(precision="float32"))
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as finished:
            result = finished.value
            break
        assert torch.is_grad_enabled()
    assert told == [(1, 1)]
    np.testing.assert_array_equal(result.vectors, embedding.vectors)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((1, 1)), "1×1"),
        (np.zeros((200, 200, 3), np.uint8), "all black"),
        (np.full((200, 200), np.nan), "NaN"),
        (np.zeros((50, 60, 70)), "slice"),
        ("retina.jpg", "real numbers"),
    ],
)
def test_bad_images_get_one_sentence(image, words, model):
    with pytest.raises(ImageError, match=words) as caught:
        embed(image, model)
    assert str(caught.value).count("\n") == 0


def test_bad_settings_get_one_sentence(photograph, model):
    with pytest.raises(LocalDiscError, match="at least 272"):
        embed(photograph, model, tile_size=100)
    with pytest.raises(LocalDiscError, match="flips"):
        embed(photograph, model, flips=8)
    with pytest.raises(LocalDiscError, match="precision"):
        embed(photograph, model, precision="half")


def test_the_model_is_left_as_it_was(photograph):
    model = Model.random(working_diameter=96)
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    embed(photograph, model)
    after = model.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_an_image_is_seen_larger_where_its_vessels_are_narrow(
    model, photograph, monkeypatch
):
    from napari_localdisc.core.embedding import embed as module

    card = replace(model.card, structures={"vessel": 0})
    model = replace(model, card=card)
    usual = embed(photograph, model)
    assert usual.magnification == 1
    monkeypatch.setattr(module, "suggested", lambda vessel, inside, seen_at: 4 / 3)
    larger = embed(photograph, model)
    assert larger.magnification == pytest.approx(4 / 3, abs=0.01)
    monkeypatch.setattr(module, "first_look", lambda colour, inside: 4 / 3)
    tiles: list[int] = []
    at_once = embed(photograph, model, progress=lambda done, _: tiles.append(done))
    assert torch.equal(at_once.matrix, larger.matrix)
    assert tiles == sorted(set(tiles)), "one look"
    monkeypatch.setattr(module, "suggested", lambda vessel, inside, seen_at: 1.0)
    assert embed(photograph, model).magnification == 1
    assert embed(photograph, model, magnification=1).magnification == 1
    again = embed(photograph, model, magnification=4 / 3)
    assert torch.equal(larger.matrix, again.matrix)
    assert larger.structure("vessel").shape == photograph.shape[:2]


@pytest.mark.parametrize("magnification", [0.1, 5.0])
def test_magnifications_out_of_range_are_refused(model, photograph, magnification):
    with pytest.raises(LocalDiscError, match="between"):
        embed(photograph, model, magnification=magnification)
