"""A model's card: read without its weights, refused in a sentence."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_localdisc.core.errors import ModelError
from napari_localdisc.core.model.card import (
    CARD_KEY,
    ModelCard,
    ModelFile,
    list_models,
    read_card,
)
from napari_localdisc.core.model.model import load_model


def test_reading_a_card_needs_no_torch():
    code = (
        "import sys; from napari_localdisc.core.model.card import *;"
        "print([read_card(path).name for path in list_models().values()]);"
        "sys.exit('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "fundus" in ran.stdout


def test_the_card_is_the_loaded_models():
    path = list_models()["fundus"]
    assert read_card(path) == load_model(path, "cpu").card


def test_as_many_clusters_are_shown_as_there_are_colours():
    assert ModelCard("a", clusters=24).most_clusters == 16
    assert ModelCard("a", clusters=5).most_clusters == 5


CARDS = {
    "no card": ({}, "has no card"),
    "no JSON": ({CARD_KEY: "{"}, "cannot be read"),
    "no object": ({CARD_KEY: "[1]"}, "cannot be read"),
    "no name": ({CARD_KEY: "{}"}, "cannot be read"),
    "another modality": (
        {CARD_KEY: json.dumps({"name": "a", "modality": "sound"})},
        "modality 'sound'",
    ),
    "clusters in words": (
        {CARD_KEY: json.dumps({"name": "a", "clusters": "many"})},
        "clusters",
    ),
}


@pytest.mark.parametrize(("metadata", "words"), CARDS.values(), ids=CARDS)
def test_what_is_no_card_is_refused(metadata, words, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weights": np.zeros(3)}, path, metadata)
    for read in (read_card, load_model):
        with pytest.raises(ModelError, match=words):
            read(path)


def test_a_model_without_centres_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weights": np.zeros(3)}, path, {CARD_KEY: ModelCard("a").to_json()})
    with pytest.raises(ModelError, match="no centres"):
        load_model(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.safetensors"):
        read_card(tmp_path / "gone.safetensors")
    with pytest.raises(ModelError, match="no model 'gone'"):
        ModelFile.of("gone")
