"""Concepts: what was learned on one image, in a file, on another image."""

import json

import numpy as np
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save_file

import napari_localdisc as ld
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.errors import FileError, ModelError, PromptError
from napari_localdisc.core.learning.classifier import Classifier, learn
from napari_localdisc.core.learning.concept import (
    KEY,
    SUFFIX,
    Concept,
    ConceptClass,
    PromptRule,
    load_concept,
)
from napari_localdisc.core.model.model import load_model

AT, NOT = [(20, 20), (30, 8)], [(5, 30)]


@pytest.fixture
def model(models):
    return load_model("tiny", "cpu")


@pytest.fixture
def embedding(picture, model):
    return embed(picture, model)


@pytest.fixture
def other(picture, model):
    """Another image of the same model, of another size."""
    return embed(picture[::-1, :, ::-1].repeat(2, 0).repeat(2, 1), model)


@pytest.fixture
def strokes():
    labels = np.zeros((48, 40), np.uint8)
    labels[4:8, 4:30] = 2
    labels[30:34, 4:30] = 5
    labels[40:44, 4:30] = 9
    return labels


@pytest.mark.parametrize("options", [{}, {"smooth": True, "minimum_size": 3}])
def test_prompts_give_the_mask_they_were_taken_from(embedding, options, tmp_path):
    # What clicks correct around themselves stays with the image
    embedding.presence.clear()
    threshold = embedding.automatic_threshold(AT, NOT)
    concept = Concept.from_prompts(
        "disc", embedding, AT, NOT, threshold=threshold, **options
    )
    expected = embedding.mask(AT, NOT, threshold=threshold, **options)
    assert expected.any()
    for made in (concept, load_concept(concept.save(tmp_path / "disc"))):
        assert made.kind == "prompts"
        labels = made.labels(embedding)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, expected)


def test_prompts_of_one_image_on_another(embedding, other, tmp_path):
    # Without a named structure that could be meant, likeness decides
    embedding.presence.clear()
    concept = ld.load_concept(
        ld.Concept.from_prompts("disc", embedding, AT).save(tmp_path / "disc")
    )
    labels = concept.labels(other)
    assert labels.shape == other.shape
    inside = other.field_of_view
    assert 0 < labels[inside].mean() < 1
    assert not labels[~inside].any()
    values = other.to_image(
        other.similarity_to(embedding.vectors_at(AT), (), concept.rule.meaning)
    )
    assert values[labels == 1].min() >= values[inside & (labels == 0)].max()


def test_classes_learned_on_one_image_found_in_another(
    embedding, other, strokes, tmp_path
):
    classifier = learn(embedding, strokes)
    classes = [
        ConceptClass(5, "disc", "#00ff00"),
        ConceptClass(9, "rest", background=True),
    ]
    concept = Concept.from_classifier("eye", classifier, classes)
    assert [entry.name for entry in concept.classes] == ["class 2", "disc", "rest"]
    read = load_concept(concept.save(tmp_path / "eye"))
    assert read.kind == "classifier"
    assert read.classes == concept.classes
    expected = classifier.predict(other)
    assert set(np.unique(expected)) == {2, 5, 9}
    np.testing.assert_array_equal(
        read.labels(other), np.where(expected == 9, 0, expected)
    )


def test_another_model_is_refused_in_a_sentence(embedding, picture):
    concept = Concept.from_prompts("disc", embedding, AT)
    elsewhere = embed(picture, load_model("other", "cpu"))
    with pytest.raises(ModelError, match=r"'disc' was learned .* 'tiny' .* 'other'"):
        concept.labels(elsewhere)


def test_bad_arguments_are_sentences(embedding):
    with pytest.raises(PromptError, match="at least one positive"):
        Concept.from_prompts("disc", embedding, [])
    with pytest.raises(PromptError, match="a name"):
        Concept.from_prompts("  ", embedding, AT)
    with pytest.raises(PromptError, match="outside the image"):
        Concept.from_prompts("disc", embedding, [(999, 0)])


def test_the_file_says_what_it_is(embedding, tmp_path):
    path = Concept.from_prompts("optic disc", embedding, AT).save(tmp_path / "d.e")
    assert path.name == f"d.e{SUFFIX}"
    assert Concept.from_prompts("x", embedding, AT).save(path) == path
    Concept.from_prompts("optic disc", embedding, AT).save(path)
    with safetensors.safe_open(path, "numpy") as file:
        said = json.loads(file.metadata()[KEY])
    assert said["name"] == "optic disc"
    assert said["model_hash"] == embedding.model_hash
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_what_is_no_concept_is_a_sentence(embedding, tmp_path, models):
    path = Concept.from_prompts("disc", embedding, AT).save(tmp_path / "disc")
    whole = path.read_bytes()
    with pytest.raises(FileError, match="no concept file"):
        load_concept(tmp_path / "nothing")
    with pytest.raises(FileError, match="not a concept"):
        load_concept(models / "tiny.safetensors")
    path.write_bytes(whole[:-40])
    with pytest.raises(FileError, match="damaged"):
        load_concept(path)
    head = json.dumps(
        {"positive": {"dtype": "F32", "shape": [1] * 99, "data_offsets": [0, 4]}}
    ).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    with pytest.raises(FileError, match="damaged"):
        load_concept(path)
    for harm, said in (
        ({"format": 99}, "later version"),
        ({"kind": "spell"}, "kind"),
        ({"name": 3}, "name"),
        ({"classes": []}, "classes"),
        ({"classes": [{"value": -1, "name": "a"}]}, "value"),
        ({"classes": [{"value": 1, "name": "a", "colour": "red;"}]}, "colour"),
        ({"settings": {"threshold": 7}}, "threshold"),
        ({"settings": {"meaning": {"vessel": "much"}}}, "meaning"),
        ({"details": "none"}, "details"),
        ({"classes": [{"value": 1}]}, "not a whole concept"),
        ({"settings": {}}, "not a whole concept"),
    ):
        path.write_bytes(whole)
        with safetensors.safe_open(path, "numpy") as file:
            text = json.loads(file.metadata()[KEY])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if harm == {"settings": {}}:
            del tensors["positive"]
        save_file(tensors, path, {KEY: json.dumps(text | harm)})
        with pytest.raises(FileError, match=said):
            load_concept(path)


@pytest.mark.parametrize(
    "vectors",
    [
        np.full((1, 32), np.nan, np.float32),
        np.full((1, 32), np.inf, np.float32),
        np.zeros((0, 32), np.float32),
        np.zeros(32, np.float32),
        np.zeros((1, 33), np.float32),
        np.zeros((1, 32), bool),
    ],
)
def test_vectors_of_another_form_are_a_sentence(embedding, tmp_path, vectors):
    path = Concept.from_prompts("disc", embedding, AT, AT).save(tmp_path / "disc")
    with safetensors.safe_open(path, "numpy") as file:
        text = file.metadata()[KEY]
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors | {"positive": vectors}, path, {KEY: text})
    with pytest.raises(FileError, match="not a whole concept"):
        load_concept(path)


def test_unwritable_is_a_sentence(embedding, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be written"):
        Concept.from_prompts("disc", embedding, AT).save(tmp_path / "file" / "disc")


floats = st.floats(-8, 8, width=32)
vectors = arrays(np.float32, st.tuples(st.integers(1, 3), st.just(4)), elements=floats)
rules = st.builds(
    PromptRule,
    vectors,
    vectors,
    st.none() | st.floats(0, 1),
    st.booleans(),
    st.floats(0, 1e4),
) | st.builds(
    Classifier,
    st.just(np.array([3, 700])),
    arrays(np.float32, (2, 4), elements=floats),
    arrays(np.float32, 2, elements=floats),
    st.just("m"),
    st.just("h"),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(min_size=1), rules, st.booleans())
def test_any_concept_comes_back_the_same(tmp_path, name, rule, background):
    classes = (ConceptClass(3, name), ConceptClass(700, "b", "#010203", background))
    path = Concept(name, rule, classes, "m", "h", {"image": "a"}).save(tmp_path / "c")
    read = load_concept(path)
    assert (read.name, read.classes) == (name, classes)
    assert (read.model_name, read.model_hash) == ("m", "h")
    assert dict(read.details) == {"image": "a"}
    for key, value in vars(rule).items():
        found = getattr(read.rule, key)
        np.testing.assert_array_equal(found, value)
        if isinstance(value, np.ndarray):
            assert found.dtype == value.dtype
