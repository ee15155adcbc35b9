"""Models as packages of bioimage.io, and the network that stands alone in them."""

import dataclasses
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import napari_localdisc as ld
from napari_localdisc.cli.app import build_app
from napari_localdisc.core.errors import FileError, ModelError
from napari_localdisc.core.image.working import look
from napari_localdisc.core.model.model import Model, save_model
from napari_localdisc.io.bioimageio import architecture, arguments, picture_to_test


@pytest.fixture(scope="module")
def model():
    return Model.random(
        name="tiny", working_diameter=128, width=4, structures={"vessel": 2}
    )


@pytest.mark.parametrize("surround", [0.0, 0.04])
@pytest.mark.parametrize("modality", ["fundus", "frame"])
def test_the_network_that_stands_alone_sees_what_ours_sees(
    model, modality, surround, monkeypatch
):
    card = dataclasses.replace(model.card, modality=modality, surround=surround)
    model = Model(card, model.network, model.centres)
    picture = picture_to_test(card)[0].transpose(1, 2, 0)
    embedding = ld.embed(picture, model, precision="float32", magnification=1)
    colour = look(picture, modality, card.working_diameter).colour
    source, given = architecture(), arguments(card)
    for name in [name for name in sys.modules if name.startswith("napari_localdisc")]:
        monkeypatch.setitem(sys.modules, name, None)  # an import of it would fail
    alone = {}
    exec(compile(source, "localdisc_network.py", "exec"), alone)
    network = alone["PictureNetwork"](**given).eval()
    network.load_state_dict(model.network.state_dict())
    x = torch.from_numpy(colour).permute(2, 0, 1)[None]
    vectors, clusters, structures = (part[0].numpy() for part in network(x))
    inside = embedding.inside
    np.testing.assert_allclose(
        vectors.transpose(1, 2, 0)[inside], embedding.vectors[inside], atol=2e-3
    )
    np.testing.assert_allclose(clusters.sum(0), 1, rtol=1e-5)
    presence = embedding.presence["vessel"].numpy()
    np.testing.assert_allclose(structures[0][inside], presence[inside], atol=2e-3)


def test_without_the_extra_a_sentence_says_what_to_install(
    model, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "bioimageio.core", None)
    with pytest.raises(FileError, match=r"napari-localdisc\[bioimageio\]"):
        ld.export_bioimageio(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())


SCRIPT = """
import sys
import napari_localdisc as ld
path = ld.export_bioimageio(ld.load_model(sys.argv[1], "cpu"), sys.argv[2])
from bioimageio.core import test_description
summary = test_description(path, devices=["cpu"])
print(summary.format() if summary.status != "passed" else "passed")
"""


@pytest.fixture(scope="module")
def tested(model, tmp_path_factory):
    """Export a model; return the package and what the format's own test says.

    In a process of its own: bioimageio.core leaves files open, which is an error here.
    """
    pytest.importorskip("bioimageio.core")
    folder = tmp_path_factory.mktemp("package")
    file, path = save_model(model, folder / "tiny"), folder / "tiny.zip"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(file), str(folder / "tiny")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return path, done.stdout


@pytest.fixture(scope="module")
def package(tested):
    return tested[0]


def test_the_format_s_own_test_passes(tested):
    assert tested[1].split()[-1] == "passed", tested[1]


def test_what_comes_back_is_the_same_model(package, model, picture):
    back = ld.import_bioimageio(package)
    assert back.card == model.card
    assert back.hash == model.hash
    np.testing.assert_array_equal(back.centres, model.centres)
    ours, theirs = (ld.embed(picture, each) for each in (model, back))
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    np.testing.assert_array_equal(ours.clusters(5), theirs.clusters(5))
    with zipfile.ZipFile(package) as files:
        assert "vessel: 2" in files.read("README.md").decode()


def rewritten(package, path, **changes):
    """Copy a package with other contents of some files, or without them."""
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            key = name.partition(".")[0]
            if key not in changes:
                new.writestr(name, old.read(name))
            elif changes[key] is not None:
                new.writestr(name, changes[key])
    return path


def test_what_is_not_ours_or_damaged_says_so(package, model, tmp_path):
    with pytest.raises(ModelError, match="There is no package"):
        ld.import_bioimageio(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("no package")
    with pytest.raises(ModelError, match="damaged or not a package"):
        ld.import_bioimageio(tmp_path / "text.zip")
    pytest.importorskip("bioimageio.core")
    with pytest.raises(FileError, match="was not made by napari-localdisc"):
        ld.export_bioimageio(model, tmp_path / "text.zip")
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("rdf.yaml", "type: model\nname: another\n")
    with pytest.raises(ModelError, match="its network is another one"):
        ld.import_bioimageio(other)
    for number, (changes, said) in enumerate(
        [
            ({"card": None}, "card.json"),
            ({"card": b"{}"}, "model card cannot be read"),
            ({"weights": b"nothing"}, "damaged or not a package"),
            ({"centres": b"nothing"}, "damaged or not a package"),
            ({"centres": bytes(1 << 25)}, "too long"),
            ({"rdf": b"["}, "damaged or not a package"),
            ({"rdf": b"[" * 100_000}, "damaged or not a package"),
            ({"rdf": b"- config\n"}, "its network is another one"),
        ]
    ):
        path = rewritten(package, tmp_path / f"{number}.zip", **changes)
        with pytest.raises(ModelError, match=said):
            ld.import_bioimageio(path)
    wider = dataclasses.replace(model.card, width=8).to_json()
    path = rewritten(package, tmp_path / "wide.zip", card=wider)
    with pytest.raises(ModelError, match="does not hold the network"):
        ld.import_bioimageio(path)


def test_commands(package, model, models, tmp_path, monkeypatch):
    own = tmp_path / "own"
    monkeypatch.setenv("LOCALDISC_MODELS", str(own))

    def localdisc(*arguments):
        given = [str(argument) for argument in arguments]
        return CliRunner().invoke(build_app(), given)

    assert localdisc("models", "--import", package).exit_code == 0
    assert ld.load_model("tiny").card.name == "tiny"
    again = localdisc("models", "--import", package)
    assert again.exit_code == 2
    assert "already" in again.stderr
    assert localdisc("models", "second", "--import", package).exit_code == 0
    away = dataclasses.replace(model.card, name="../../away").to_json()
    stranger = rewritten(package, tmp_path / "away.zip", card=away)
    refused = localdisc("models", "--import", stranger)
    assert refused.exit_code == 1
    assert "Give the model a name" in refused.stderr
    assert not list(tmp_path.glob("**/away.safetensors"))
    assert localdisc("models", "--export", tmp_path / "out.zip").exit_code == 2
    monkeypatch.setitem(sys.modules, "bioimageio.core", None)
    refused = localdisc("models", "second", "--export", tmp_path / "out.zip")
    assert refused.exit_code == 1
    assert "pip install" in refused.stderr
