"""A model's card: read without its weights, refused in a sentence."""

import json
import subprocess
import sys

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from napari_localdisc.core.errors import FileError, ModelError
from napari_localdisc.core.model.card import (
    CARD_KEY,
    ModelCard,
    ModelFile,
    list_models,
    read_card,
)
from napari_localdisc.core.model.model import Model, load_model, save_model


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


def test_a_card_s_name_is_no_path():
    assert read_card(list_models()["fundus"]).typical
    assert ModelCard("é" * 200).typical == {}  # no file can be called so
    assert ModelCard("../models/fundus").typical == {}


CARDS = {
    "no card": ({}, "has no card"),
    "no JSON": ({CARD_KEY: "{"}, "cannot be read"),
    "no object": ({CARD_KEY: "[1]"}, "cannot be read"),
    "no name": ({CARD_KEY: "{}"}, "cannot be read"),
    "another modality": (
        {CARD_KEY: json.dumps({"name": "a", "modality": "sound"})},
        "modality",
    ),
    "clusters in words": (
        {CARD_KEY: json.dumps({"name": "a", "clusters": "many"})},
        "clusters",
    ),
    "a width that no memory holds": (
        {CARD_KEY: json.dumps({"name": "a", "width": 10**9})},
        "width",
    ),
    "a working grid of nothing": (
        {CARD_KEY: json.dumps({"name": "a", "working_diameter": -1})},
        "working_diameter",
    ),
    "a structure in no channel": (
        {CARD_KEY: json.dumps({"name": "a", "structures": {"vessel": 99}})},
        "vessel is in channel 99",
    ),
    "a structure that is a list": (
        {CARD_KEY: json.dumps({"name": "a", "structures": [1]})},
        "structures",
    ),
    "a deep card": ({CARD_KEY: "[" * 10**5}, "cannot be read"),
}


@pytest.mark.parametrize(("metadata", "words"), CARDS.values(), ids=CARDS)
def test_what_is_no_card_is_refused(metadata, words, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weights": np.zeros(3)}, path, metadata)
    for read in (read_card, load_model):
        with pytest.raises(ModelError, match=words):
            read(path)


TINY = {"clusters": 4, "embedding_dim": 8, "width": 2}


def changed(tensors, name, value):
    tensors[name] = value


DAMAGE = {
    "no centres": (lambda t: t.pop("centres"), "centres is not there"),
    "one tensor more": (lambda t: changed(t, "more", np.zeros(3)), "not there"),
    "centres of another shape": (
        lambda t: changed(t, "centres", np.zeros((4, 9), np.float32)),
        "centres is",
    ),
    "no numbers": (
        lambda t: changed(t, "centres", np.full((4, 8), np.nan, np.float32)),
        "no numbers",
    ),
    "an infinite weight": (
        lambda t: changed(t, "centres", np.full((4, 8), np.inf, np.float32)),
        "no numbers",
    ),
    "another type": (
        lambda t: changed(t, "centres", np.zeros((4, 8), np.float64)),
        "F64",
    ),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE)
def test_weights_that_are_not_the_cards_are_refused(damage, words, tmp_path):
    path = save_model(Model.random(**TINY), tmp_path / "model")
    assert load_model(path).card.clusters == 4
    tensors = load_file(path)
    damage(tensors)
    card = ModelCard("a", **TINY).to_json()
    save_file(tensors, path, {CARD_KEY: card})
    with pytest.raises(ModelError, match=words):
        load_model(path)


def test_a_card_that_promises_more_than_the_file_holds_takes_no_memory(tmp_path):
    path = save_model(Model.random(**TINY), tmp_path / "model")
    huge = ModelCard("a", width=256, embedding_dim=1024, clusters=255).to_json()
    save_file(load_file(path), path, {CARD_KEY: huge})
    before = psutil.Process().memory_info().rss
    with pytest.raises(ModelError, match="does not hold the network"):
        load_model(path)
    assert psutil.Process().memory_info().rss - before < 50 << 20


def test_no_other_file_is_replaced_by_a_model(tmp_path):
    model = Model.random(**TINY)
    for name in ("study.safetensors", "study.md"):
        (tmp_path / name).write_text("weeks of work")
        with pytest.raises(FileError, match="not made by napari-localdisc"):
            save_model(model, tmp_path / "study")
        assert (tmp_path / name).read_text() == "weeks of work"
        (tmp_path / name).unlink()
    save_model(model, tmp_path / "study")
    save_model(model, tmp_path / "study")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.safetensors"):
        read_card(tmp_path / "gone.safetensors")
    with pytest.raises(ModelError, match="no model 'gone'"):
        ModelFile.of("gone")


def test_what_an_image_shows_once_is_named():
    card = ModelCard("eye", structures={"optic disc": 1}, single=["optic disc"])
    assert ModelCard.from_json(card.to_json()) == card
    with pytest.raises(ModelError, match="one fovea"):
        ModelCard("eye", structures={"optic disc": 1}, single=["fovea"])
