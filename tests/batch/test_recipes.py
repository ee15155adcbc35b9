"""`localdisc segment --concept`, on real files."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_localdisc.cli.app import build_app
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.learning.classifier import learn
from napari_localdisc.core.learning.concept import Concept, ConceptClass
from napari_localdisc.core.model.model import load_model


@pytest.fixture
def scans(tmp_path, picture):
    folder = tmp_path / "scans"
    folder.mkdir()
    pixels = (picture * 255).astype(np.uint8)
    for name, image in (("a", pixels), ("b", pixels[::-1])):
        Image.fromarray(image).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def embeddings(scans, models):
    model = load_model("tiny", "cpu")
    return {
        name: embed(np.asarray(Image.open(scans / f"{name}.png")), model)
        for name in "ab"
    }


@pytest.fixture
def segment(scans, tmp_path):
    def call(*arguments):
        given = ["segment", scans, "-o", tmp_path / "out", "--json", *arguments]
        return CliRunner().invoke(build_app(), [str(part) for part in given])

    return call


def test_concept_is_found_in_every_image(segment, embeddings, tmp_path):
    concept = Concept.from_prompts("Optic disc", embeddings["a"], [(20, 20)])
    path = concept.save(tmp_path / "disc")
    result = segment("--concept", path)
    assert result.exit_code == 0, result.output
    assert {entry["state"] for entry in json.loads(result.stdout)} == {"written"}
    for name, embedding in embeddings.items():
        labels = tifffile.imread(tmp_path / "out" / f"{name}_optic_disc.tif")
        np.testing.assert_array_equal(labels, concept.labels(embedding))
        assert 0 < labels.mean() < 1
    again = segment("--concept", path)
    assert {entry["state"] for entry in json.loads(again.stdout)} == {"skipped"}
    # Another threshold is another result, and is not taken for the first one
    assert segment("--concept", path, "--threshold", 0.9).exit_code == 1
    done = segment("--concept", path, "--threshold", 0.9, "--overwrite")
    assert done.exit_code == 0
    less = tifffile.imread(tmp_path / "out" / "a_optic_disc.tif")
    np.testing.assert_array_equal(
        less, concept.with_threshold(0.9).labels(embeddings["a"])
    )
    assert less.mean() < concept.labels(embeddings["a"]).mean()


def test_classes_of_a_classifier_are_named_in_the_file(segment, embeddings, tmp_path):
    from napari_localdisc.io.labels import read_labels

    strokes = np.zeros(embeddings["a"].shape, np.uint8)
    strokes[4:8], strokes[20:24], strokes[40:44] = 2, 3, 4
    classifier = learn(embeddings["a"], strokes)
    classes = [
        ConceptClass(2, "disc", "#00ff00"),
        ConceptClass(3, "cup", "#ff0000"),
        ConceptClass(4, "rest", background=True),
    ]
    concept = Concept.from_classifier("eye", classifier, classes)
    result = segment("--concept", concept.save(tmp_path / "eye"))
    assert result.exit_code == 0, result.output
    (labels,) = read_labels(tmp_path / "out" / "b_eye.tif")
    np.testing.assert_array_equal(labels.labels, concept.labels(embeddings["b"]))
    assert labels.names == {2: "disc", 3: "cup"}
    assert labels.colours[2] == (0, 1, 0, 1)
    refused = segment(
        "--concept", tmp_path / "eye.concept.safetensors", "--threshold", 1
    )
    assert refused.exit_code == 2
    assert "classifier" in refused.stderr


def test_another_model_is_refused_before_anything_is_written(
    segment, embeddings, tmp_path
):
    path = Concept.from_prompts("disc", embeddings["a"], [(20, 20)]).save(
        tmp_path / "d"
    )
    result = segment("--concept", path, "--model", "other")
    assert result.exit_code == 2
    assert "was learned with the model 'tiny'" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [(), ("-s", "vessel", "-c", "a")])
def test_one_thing_is_to_be_found(segment, given, models):
    result = segment(*given)
    assert result.exit_code == 2
    assert "either --structure NAME or --concept FILE" in result.stderr
