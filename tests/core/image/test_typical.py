"""A misfit is said in one sentence: in Python, in the viewer, on the command line."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

import napari_localdisc as ld
from napari_localdisc.cli.app import build_app
from napari_localdisc.core.embedding.embed import map_clusters
from napari_localdisc.core.errors import MisfitWarning
from napari_localdisc.core.image.typical import Looks, misfit
from napari_localdisc.core.model.card import ModelCard
from napari_localdisc.core.model.model import Model
from napari_localdisc.io.samples import open_retina

WORDS = {
    "chest film": "no colour",
    "dark": "darker",
    "blurred": "blurred",
    "no field of view": "round field of view",
}


@pytest.fixture(scope="module")
def retina():
    return np.asarray(open_retina()[0][0])[::2, ::2]


def film():
    rows, columns = np.mgrid[:300, :300]
    lungs = sum(
        np.exp(-(((columns - x) / 45) ** 2) - ((rows - 150) / 90) ** 2)
        for x in (90, 210)
    )
    noise = np.random.default_rng(0).normal(0, 4, lungs.shape)
    return (200 - 120 * lungs + noise).clip(0, 255).astype(np.uint8)


def made(retina, kind):
    return {
        "chest film": film,
        "dark": lambda: (retina * 0.1).astype(np.uint8),
        "blurred": lambda: ndimage.gaussian_filter(retina, (8, 8, 0)),
        "no field of view": lambda: retina[230:480, 230:480],
    }[kind]()


@pytest.fixture(scope="module")
def fundus():
    """The bundled model's card, for which a small grid is quick."""
    model = ld.load_model("fundus", "cpu")
    return Model(
        dataclasses.replace(model.card, working_diameter=576),
        model.network,
        model.centres,
    )


@pytest.mark.parametrize("kind", WORDS)
def test_each_misfit_has_its_sentence(fundus, retina, kind):
    image = made(retina, kind)
    with pytest.warns(MisfitWarning, match=WORDS[kind]) as said:
        seen = map_clusters(image, fundus)
    (warning,) = said
    assert str(warning.message) == seen.misfit
    assert ": " in seen.misfit  # what to do
    assert seen.misfit.count(". ") == 0


def test_what_fits_is_not_spoken_of(fundus, retina):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert map_clusters(retina, fundus).misfit == ""
        assert map_clusters(film(), ld.load_model("chest", "cpu")).misfit == ""


def test_a_photograph_does_not_fit_a_model_of_films(retina):
    with pytest.warns(MisfitWarning, match="has colours"):
        map_clusters(retina, ld.load_model("chest", "cpu"))


def test_a_model_of_the_user_keeps_what_is_typical_in_its_card():
    assert ModelCard("mine").typical == {}
    typical = {
        "colour": [0.3, 1],
        "light": [0.4, 1],
        "sharpness": [0, 9],
        "corners": [0, 0],
    }
    card = ModelCard.from_json(
        ModelCard("mine", details={"typical": typical}).to_json()
    )
    assert card.typical["light"] == (0.4, 1)
    looks = Looks(colour=0.5, light=0.1, sharpness=1, corners=0)
    assert "darker" in misfit(looks, card.typical, "fundus")
    assert misfit(dataclasses.replace(looks, light=0.3), card.typical, "fundus") == ""


def test_the_command_line_says_it_in_a_line(tmp_path):
    Image.fromarray(film()).save(tmp_path / "film.png")
    arguments = ["cluster", str(tmp_path / "film.png"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(build_app(), arguments)
    assert result.exit_code == 0
    lines = [line for line in result.output.splitlines() if "no colour" in line]
    assert len(lines) == 1
    assert "UserWarning" not in result.output


def test_the_committed_measures_are_whole():
    for name in ("fundus", "chest"):
        typical = ld.load_model(name, "cpu").card.typical
        assert set(typical) == set(Looks.__dataclass_fields__)
        assert all(
            low <= high for low, high in json.loads(json.dumps(typical)).values()
        )
