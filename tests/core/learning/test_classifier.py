"""A few labelled pixels teach classes that hold for the whole image and for others."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.tissue import BACKGROUND, BAR, LEFT, ON_BAR, ON_LEFT, RIGHT, SHAPE

import napari_localdisc as ld
from napari_localdisc.core.errors import ModelError, PromptError


def strokes(*marks):
    """Labels with a 3×3 dab of each value at each point."""
    labels = np.zeros(SHAPE, np.uint8)
    for (y, x), value in marks:
        labels[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = value
    return labels


@pytest.fixture(scope="module")
def painted():
    return strokes((ON_BAR, 3), (ON_LEFT, 7), (BACKGROUND, 1))


@pytest.fixture(scope="module")
def classifier(embedding, painted):
    return ld.learn(embedding, painted)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_a_dab_of_each_class_labels_the_image(embedding, classifier):
    labels = classifier.predict(embedding)
    assert labels.dtype == np.uint8
    assert labels.shape == SHAPE
    assert set(np.unique(labels)) == {0, 1, 3, 7}
    np.testing.assert_array_equal(labels == 0, ~embedding.field_of_view)
    assert dice(labels == 3, BAR) > 0.9
    assert dice(labels == 7, LEFT | RIGHT) > 0.9


def test_probabilities_are_probabilities(embedding, classifier):
    probability = classifier.probability(embedding)
    assert probability.shape == (3, *embedding.grid.shape)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability.sum(0), 1, atol=1e-5)
    assert list(classifier.classes) == [1, 3, 7]


def test_what_was_never_seen_is_uncertain(embedding):
    two = np.where(BAR, 3, 0)
    two[90:108, 20:130] = 1
    uncertainty = ld.learn(embedding, two).uncertainty(embedding)
    assert uncertainty.shape == SHAPE
    assert uncertainty.min() >= 0
    assert uncertainty.max() <= 1
    assert (uncertainty[~embedding.field_of_view] == 0).all()
    assert uncertainty[LEFT | RIGHT].mean() > 1.5 * uncertainty[BAR].mean()


def test_the_next_spot_is_where_a_class_was_never_seen(embedding):
    two = strokes((ON_BAR, 3), (BACKGROUND, 1))
    learned = ld.learn(embedding, two)
    y, x = learned.where_next(embedding, two)
    assert embedding.field_of_view[y, x]
    assert two[y, x] == 0
    near = np.argwhere(two > 0)
    assert np.hypot(*(near - [y, x]).T).min() > 3


@settings(max_examples=15, deadline=None)
@given(values=st.permutations([1, 2, 300]), size=st.integers(1, 4))
def test_values_are_names_and_keep_their_meaning(embedding, values, size):
    bar, square, background = values
    labels = np.zeros(SHAPE, np.uint16)
    for (y, x), value in zip((ON_BAR, ON_LEFT, BACKGROUND), values, strict=True):
        labels[round(y) - 1 : round(y) + 1, round(x) : round(x) + size] = value
    predicted = ld.learn(embedding, labels).predict(embedding)
    assert predicted.dtype == np.uint16
    assert dice(predicted == bar, BAR) > 0.85
    assert dice(predicted == square, LEFT | RIGHT) > 0.85
    assert predicted[100, 30] == background


def test_many_labelled_pixels_count_no_more_than_few(embedding):
    labels = np.where(BAR, 3, 1).astype(np.int64)
    labels[~embedding.field_of_view] = 0
    predicted = ld.learn(embedding, labels).predict(embedding)
    assert dice(predicted == 3, BAR) > 0.9


def test_learning_twice_gives_the_same(embedding, painted, classifier):
    again = ld.learn(embedding, painted)
    np.testing.assert_array_equal(again.coefficients, classifier.coefficients)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(SHAPE, int), "no class"),
        (strokes((ON_BAR, 3)), "only class 3"),
        (strokes((ON_BAR, 3), ((3, 3), 2)), "only class 3"),
        (np.zeros((5, 5), int), "5×5"),
        (np.zeros(SHAPE), "float64"),
        (np.full(SHAPE, -1), "between 0"),
    ],
    ids=["none", "one", "one inside", "size", "float", "negative"],
)
def test_bad_labels_get_one_sentence(embedding, labels, words):
    with pytest.raises(PromptError, match=words):
        ld.learn(embedding, labels)


def test_another_models_classes_are_refused(embedding, classifier):
    foreign = dataclasses.replace(classifier, model_hash="other", model_name="chest")
    for operation in (foreign.predict, foreign.probability, foreign.uncertainty):
        with pytest.raises(ModelError, match="'chest'"):
            operation(embedding)
