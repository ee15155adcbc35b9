"""The sample photograph through inference, with the bundled model if there is one."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import napari_localdisc
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.model.card import list_models
from napari_localdisc.core.model.model import Model, load_model

SAMPLE = Path(napari_localdisc.__file__).parent / "data" / "retina.jpg"


@pytest.fixture(scope="module")
def retina():
    if not SAMPLE.is_file():
        pytest.skip("the sample photograph is not in the package")
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(SAMPLE))


@pytest.fixture(scope="module")
def fundus():
    if "fundus" not in list_models():
        pytest.skip("the bundled fundus model is not in the package")
    return load_model("fundus", device="cpu")


@pytest.fixture(scope="module")
def embedding(retina, fundus):
    return embed(retina, fundus, precision="float32")


def test_the_field_of_view_is_the_round_photograph(retina):
    embedding = embed(retina, Model.random(working_diameter=160))
    y, x = np.nonzero(embedding.field_of_view)
    area = embedding.field_of_view.sum()
    radius = np.sqrt(area / np.pi)
    assert abs(y.max() - y.min() + 1 - 2 * radius) < 0.01 * radius
    assert abs(x.max() - x.min() + 1 - 2 * radius) < 0.01 * radius
    labels = embedding.clusters(6)
    assert labels.shape == retina.shape[:2]
    np.testing.assert_array_equal(labels > 0, embedding.field_of_view)


def test_tiles_equal_the_whole(retina, fundus, embedding):
    tiled = embed(retina, fundus, precision="float32", tile_size=400)
    np.testing.assert_allclose(tiled.vectors, embedding.vectors, atol=1e-3)
    np.testing.assert_allclose(tiled.probability, embedding.probability, atol=1e-3)


def test_bfloat16_keeps_the_clusters(retina, fundus, embedding):
    fast = embed(retina, fundus, precision="bfloat16")
    inside = embedding.field_of_view
    # Among many a whole region of the background may be of either of two
    for n, least in ((4, 0.995), (8, 0.995), (len(embedding.centres), 0.99)):
        same = fast.clusters(n)[inside] == embedding.clusters(n)[inside]
        assert same.mean() >= least


def test_clusters_are_more_than_one_and_none_is_spent_on_the_frame(embedding):
    labels = embedding.clusters(8)
    inside = embedding.field_of_view
    areas = np.bincount(labels[inside], minlength=9)[1:] / inside.sum()
    assert (areas > 0.002).sum() >= 3
    edge = inside & ~ndimage.binary_erosion(inside, iterations=12)
    at_edge = np.bincount(labels[edge], minlength=9)[1:] / edge.sum()
    # A cluster that lies on the edge and hardly anywhere else follows the frame
    frame = (at_edge > 0.5) & (areas < 2 * at_edge * edge.sum() / inside.sum())
    assert not frame.any()


def test_vessels_are_darker_than_what_is_beside_them(retina, embedding):
    if "vessel" not in embedding.card.structures:
        pytest.skip("the bundled fundus model names no vessels")
    vessel = embedding.structure("vessel") > 0.5
    assert 0.03 < vessel.sum() / embedding.field_of_view.sum() < 0.25
    green = retina[..., 1].astype(float)
    beside = ndimage.binary_dilation(vessel, iterations=8) & ~vessel
    beside &= embedding.field_of_view
    assert green[vessel].mean() < green[beside].mean() - 5
