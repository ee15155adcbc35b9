"""Named structures: both read-outs of the paper, inside the margin."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_localdisc.core.embedding.clusters import (
    MARGIN,
    in_one_piece,
    nearest_deep,
    nearest_region,
)
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import ModelError
from napari_localdisc.core.model.model import Model


@pytest.fixture(scope="module")
def photograph():
    y, x = np.mgrid[:300, :320]
    texture = np.random.default_rng(0).integers(60, 200, (300, 320))
    return np.where(np.hypot(y - 150, x - 160) < 145, texture, 0).astype(np.uint8)


@pytest.fixture(scope="module")
def embedding(photograph):
    model = Model.random(working_diameter=160, structures={"vessel": 3, "disc": 7})
    return embed(photograph, model)


def test_the_clustering_branch_is_read_on_the_images_grid(embedding):
    vessel = embedding.structure("vessel", readout="probability")
    assert vessel.shape == embedding.shape
    assert vessel.dtype == np.float32
    expected = embedding.grid.to_image(embedding.probability[3])
    inner = vessel > 0
    np.testing.assert_allclose(vessel[inner], expected[inner], atol=1e-6)
    other = embedding.structure("disc", readout="probability")
    assert not np.array_equal(vessel, other)


def test_structures_are_read_before_they_share_pixels_by_default(embedding):
    """Each structure is a sigmoid of its own; shares of all clusters sum to 1."""
    presence = embedding.presence["vessel"].numpy()
    assert presence.shape == embedding.grid.shape
    vessel = embedding.structure("vessel")
    inner = vessel > 0
    expected = embedding.grid.to_image(presence)
    np.testing.assert_allclose(vessel[inner], expected[inner], atol=1e-6)
    share = embedding.structure("vessel", readout="probability")
    assert (vessel >= share - 1e-6).all()
    ratio = embedding.probability[3] / embedding.probability[7]
    other = embedding.presence["disc"].numpy()
    np.testing.assert_allclose(presence / other, ratio, rtol=1e-4)


def test_the_outermost_part_is_left_out(embedding):
    seen = embedding.structure("vessel") > 0
    y, x = np.mgrid[: seen.shape[0], : seen.shape[1]]
    radius = np.hypot(y - 150, x - 160)
    margin = 290 * MARGIN
    assert seen[radius < 145 - margin - 2].all()
    assert not seen[radius > 145 - margin + 2].any()


def test_a_frame_has_no_margin():
    model = Model.random(modality="frame", working_diameter=64, structures={"lung": 0})
    image = np.random.default_rng(0).random((80, 100))
    assert (embed(image, model).structure("lung") > 0).all()


@pytest.mark.parametrize("centres", ["model", "image"])
def test_the_embedding_branch_is_a_softmax_over_cosines(embedding, centres):
    regions = embedding.centres if centres == "model" else embedding.region_vectors()
    cosine = embedding.vectors @ regions.T / 0.2
    chance = np.exp(cosine) / np.exp(cosine).sum(2, keepdims=True)
    expected = embedding.grid.to_image(chance[..., 3])
    got = embedding.structure("vessel", readout="embedding", centres=centres)
    inner = got > 0
    assert inner.mean() > 0.5
    np.testing.assert_allclose(got[inner], expected[inner], atol=1e-5)


def test_chances_of_all_regions_sum_to_one():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(8, 70_000, generator=generator)
    matrix /= matrix.norm(dim=0)
    regions = np.eye(4, 8, dtype=np.float32)
    total = sum(nearest_region(matrix, regions, channel) for channel in range(4))
    torch.testing.assert_close(total, torch.ones(70_000))


def test_region_vectors_are_weighted_means_inside_the_field_of_view(embedding):
    weight = embedding.probability * embedding.inside
    mean = np.einsum("mhw,hwd->md", weight, embedding.vectors)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(embedding.region_vectors(), mean, atol=1e-4)


def test_unknown_structures_get_a_sentence_with_the_known_ones(embedding, photograph):
    with pytest.raises(ModelError, match=r"no structure 'fovea'.*'vessel', 'disc'\."):
        embedding.structure("fovea")
    nameless = embed(photograph, Model.random(working_diameter=64))
    with pytest.raises(ModelError, match="names no structure"):
        nameless.structure("vessel")


def test_where_the_picture_goes_on_structures_reach_the_edge_and_not_beyond(photograph):
    photograph = photograph.copy()
    photograph[:40] = 0  # cut straight
    model = Model.random(working_diameter=160, structures={"vessel": 3}, surround=0.05)
    found = embed(photograph, model)
    vessel, inside = found.structure("vessel") > 0, found.field_of_view
    np.testing.assert_array_equal(vessel, inside)
    np.testing.assert_array_equal(found.clusters(5) > 0, found.field_of_view)


def test_of_what_an_image_shows_once_the_largest_round_piece_is_found():
    presence = torch.full((40, 50), 0.1)
    presence[5:20, 5:20], presence[30:34, 30:34] = 0.7, 0.99
    presence[35:, :] = 0.9  # larger, and not round
    kept = in_one_piece(presence)
    assert (kept >= 0.5).sum() == 15 * 15
    torch.testing.assert_close(kept[5:20, 5:20], presence[5:20, 5:20])
    assert kept[20, 10] == presence[20, 10]  # its rim
    assert not kept[28:].any()
    nothing = torch.full((40, 50), 0.3)
    assert in_one_piece(nothing) is nothing


def test_lines_go_on_to_the_edge_from_a_little_inside():
    rows, columns = np.mgrid[:80, :80] - 39.5
    inside = np.hypot(rows, columns) < 38
    inside[:12] = False
    nearest = nearest_deep(inside, 4.0)
    depth = ndimage.distance_transform_edt(inside)
    own = np.indices(inside.shape)
    deep = depth > 4
    np.testing.assert_array_equal(nearest[:, deep], own[:, deep])
    assert depth[tuple(nearest)].min() > 4
    assert np.hypot(*(nearest - own))[inside].max() < 6
    line = np.abs(columns) < 2
    reached = line[tuple(nearest)]
    assert reached[12:16, 39:41].all()
    assert not reached[12:16, 50:60].any()
    nothing = np.zeros((5, 6), bool)
    np.testing.assert_array_equal(nearest_deep(nothing, 4.0), np.indices((5, 6)))
