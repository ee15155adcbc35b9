import numpy as np
import pytest

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.evaluation import baselines
from napari_localdisc.core.evaluation.agreement import dice
from napari_localdisc.core.model.model import Model


@pytest.fixture(scope="module")
def scene():
    """A disc-shaped view with a bright square and a dark line in it."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:160, :160] - 79.5
    view = np.hypot(rows, columns) < 78
    image = np.full((160, 160, 3), (150, 80, 40), float)
    square = (abs(rows + 30) < 12) & (abs(columns) < 12)
    line = (abs(rows - 20) < 2) & (abs(columns) < 60)
    image[square] = 220, 200, 120
    image[line] = 90, 40, 30
    image += rng.normal(0, 4, image.shape)
    image *= view[..., None]
    return image.clip(0, 255).astype(np.uint8), square, line


@pytest.fixture(scope="module")
def embedding(scene):
    return embed(scene[0], Model.random(working_diameter=160))


@pytest.mark.parametrize("name", baselines.FEATURES)
def test_distance_of_features_takes_the_place_of_the_cosine(scene, embedding, name):
    features = baselines.FEATURES[name](scene[0], embedding)
    similarity = features.similarity([(50, 80)])
    assert similarity.shape == scene[0].shape[:2]
    assert similarity[50, 80] > 0.9  # 1 at the point itself, between pixels
    assert similarity.min() >= 0
    assert similarity.max() <= 1
    # The same by the distance written out
    planes = features.matrix[:-2].numpy().reshape(-1, *features.grid.shape)
    query = features.vectors_at([(50, 80)])[0, :-2]
    square = np.square(planes - query[:, None, None]).sum(0)
    on_grid = features.similarity_to(features.vectors_at([(50, 80)]))
    np.testing.assert_allclose(on_grid, np.exp(-square / 2 / 0.2), atol=1e-4)


def test_colour_finds_the_bright_square(scene, embedding):
    image, square, _ = scene
    mask = baselines.colour(image, embedding).mask([(50, 80)])
    assert dice(mask, square) > 0.9


def test_ridges_find_the_dark_line(scene, embedding):
    image, _, line = scene
    ridge, threshold = baselines.ridges(image, embedding)
    assert ridge.shape == line.shape
    assert ridge[line].mean() > 5 * ridge[~line].mean()
    assert dice(ridge >= threshold, line) > 0.5
