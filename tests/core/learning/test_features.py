"""What a classifier sees beside the vectors: the picture around each pixel."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_localdisc as ld
from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.errors import FileError, ModelError, PromptError
from napari_localdisc.core.image.appearance import picture_features
from napari_localdisc.core.learning.concept import Concept, load_concept
from napari_localdisc.core.learning.features import FEATURES, VECTORS, WITH_PICTURE

SIDE = 64


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(16, SIDE),
    gain=st.floats(0.3, 1),
    offset=st.floats(0, 0.2),
)
def test_features_are_finite_clear_outside_and_hardly_see_the_light(
    seed, height, gain, offset
):
    random = torch.Generator().manual_seed(seed)
    colour = torch.rand((3, height, SIDE), generator=random) * 0.7 + 0.05
    inside = torch.ones(height, SIDE)
    inside[:, :5] = 0
    colour = colour * inside
    features = picture_features(colour, inside)
    assert features.shape == (14, height * SIDE)
    assert torch.isfinite(features).all()
    assert (features.view(14, height, SIDE)[:, :, :5] == 0).all()
    darker = picture_features((colour * gain + offset) * inside, inside)
    scale = features.abs().amax(1, keepdim=True)
    assert ((darker - features).abs() / scale).mean() < 0.1


def test_ridges_are_told_by_their_sign():
    colour = torch.full((3, SIDE, SIDE), 0.5)
    colour[:, 20:22], colour[:, 44:46] = 0.2, 0.8
    features = picture_features(colour, torch.ones(SIDE, SIDE)).view(14, SIDE, SIDE)
    larger, smaller = features[12], features[13]
    assert larger[20, 30] > 5 * larger[32, 30].abs()
    assert smaller[44, 30] < -5 * smaller[32, 30].abs()
    assert larger[20, 30] > larger[44, 30]


@pytest.fixture
def blind(models, picture) -> Embedding:
    """A bluish and a reddish half that the vectors say nothing about."""
    image = picture.copy()
    image[:, :20, 2] += 0.1
    image[:, 20:, 0] += 0.1
    seen = ld.embed(image, ld.load_model("tiny", "cpu"))
    vectors = torch.ones_like(seen.matrix) / len(seen.matrix) ** 0.5
    return Embedding(
        vectors,
        seen.cluster_probability,
        seen.field_of_view,
        seen.grid,
        seen.card,
        seen.centres,
        seen.model_hash,
        seen.presence,
        seen.colour,
    )


@pytest.fixture
def strokes():
    labels = np.zeros((48, 40), np.uint8)
    labels[5:40, 6:10], labels[5:40, 30:34] = 1, 2
    return labels


def right(labels) -> float:
    return float(np.mean(labels == np.where(np.arange(40) < 20, 1, 2)))


def test_what_the_vectors_do_not_tell_the_picture_does(blind, strokes):
    assert right(ld.learn(blind, strokes).predict(blind)) > 0.85
    alone = ld.learn(blind, strokes, features=VECTORS)
    assert right(alone.predict(blind)) < 0.6
    with pytest.raises(PromptError, match="no features 'smell'"):
        ld.learn(blind, strokes, features="smell")


@pytest.mark.parametrize("features", FEATURES)
def test_a_concept_carries_its_features_to_another_image(
    blind, strokes, features, tmp_path, models, picture
):
    classifier = ld.learn(blind, strokes, features=features)
    path = Concept.from_classifier("half", classifier).save(tmp_path / "half")
    read = load_concept(path)
    assert read.rule.features == features
    other = ld.embed(picture[::-1].copy(), ld.load_model("tiny", "cpu"))
    np.testing.assert_array_equal(read.labels(other), classifier.predict(other))


def test_features_of_another_version_are_refused_in_a_sentence(
    blind, strokes, tmp_path
):
    learned = ld.learn(blind, strokes)
    strange = dataclasses.replace(learned, features="vectors, picture 7")
    path = Concept.from_classifier("half", strange).save(tmp_path / "half")
    with pytest.raises(FileError, match="picture 7"):
        load_concept(path)


def test_without_a_picture_the_vectors_are_what_is_learned_from(blind, strokes):
    learned = ld.learn(blind, strokes)
    assert learned.features == WITH_PICTURE
    blind.colour = None
    blind.__dict__.pop("appearance", None)
    assert ld.learn(blind, strokes).features == VECTORS
    with pytest.raises(ModelError, match="embed the image again"):
        learned.predict(blind)
