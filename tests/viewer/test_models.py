"""Models as files, and one that is learnt from labels; through the real controller."""

import io
import shutil
import sys
import zipfile

import numpy as np
import pytest
import torch
from napari.components import ViewerModel

from napari_localdisc.core.errors import FileError, ModelError, TrainingError
from napari_localdisc.core.model.card import ModelFile, list_models, read_card
from napari_localdisc.core.model.model import load_model
from napari_localdisc.viewer import models as models_module
from napari_localdisc.viewer.controller import Controller


@pytest.fixture
def folder(saved_models, tmp_path, monkeypatch):
    """The user's models: copies that may be changed."""
    own = shutil.copytree(saved_models, tmp_path / "models")
    monkeypatch.setenv("LOCALDISC_MODELS", str(own))
    return own


@pytest.fixture
def controller(folder):
    made = Controller(ViewerModel())
    made.set_model("tiny")
    yield made
    made.close()


@pytest.fixture
def files(controller):
    return controller.model_files


def test_a_card_says_what_there_is_to_know(controller, files):
    assert "vessel" in files.card()
    controller.set_model("fundus")
    card = files.card()
    for word in ("IDRiD", "BSD-3-Clause", "Dice at 0.5", "optic disc"):
        assert word in card


def test_a_model_is_imported_renamed_and_deleted(controller, files, folder, tmp_path):
    told = controller.workspace
    elsewhere = shutil.copy(
        folder / "other.safetensors", tmp_path / "theirs.safetensors"
    )
    files.import_file(elsewhere)
    assert told.models.name == "theirs"
    assert "imported" in told.status.text
    files.import_file(elsewhere)
    assert told.models.name == "theirs 2"  # nothing is replaced
    files.rename("theirs", "ours")
    assert told.models.name == "ours"
    assert read_card(ModelFile.of("ours").path).name == "ours"
    assert "theirs" not in list_models()
    with pytest.raises(ModelError, match="already"):
        files.rename("ours", "tiny")
    files.delete("ours")
    assert "ours" not in list_models()
    assert told.models.name in list_models()


def test_what_is_no_model_or_not_the_users_stays_as_it_is(
    controller, files, folder, tmp_path
):
    (tmp_path / "no.safetensors").write_text("no model")
    before = list_models()
    with pytest.raises(ModelError, match="damaged"):
        files.import_file(tmp_path / "no.safetensors")
    assert controller.workspace.status.is_error
    with pytest.raises(ModelError, match="comes with the plugin"):
        files.delete("fundus")
    with pytest.raises(ModelError, match="comes with the plugin"):
        files.rename("fundus", "mine")
    assert list_models() == before
    assert not files.is_own("fundus")
    assert files.is_own("tiny")


def test_a_class_is_learnt_from_the_labels_of_the_open_images(
    controller, files, picture, monkeypatch
):
    monkeypatch.setattr(models_module, "STEPS", 2)
    viewer = controller.workspace.viewer
    with pytest.raises(TrainingError, match="No open image has labels"):
        files.finetune("vessel")
    for name, pixels in (("left", picture), ("right", picture[::-1].copy())):
        viewer.add_image(pixels, name=name)
        controller.writing.add_structure("vessel")
    viewer.add_image(picture, name="no labels")
    assert files.structures == ["vessel"]
    found = files.examples("vessel")
    assert len(found) == 2
    labels = np.asarray(viewer.layers["left labels"].data)
    assert any(np.array_equal(example.mask, labels > 0) for example in found)
    files.finetune("vessel")
    assert controller.workspace.models.name == "vessel tuned"
    assert controller.workspace.models.structures == ("vessel",)
    assert "learnt “vessel” from 2 images" in controller.workspace.status.text


def test_a_fine_tuning_that_is_stopped_leaves_nothing(folder, picture, stepped):
    controller = Controller(ViewerModel(), stepped)
    controller.set_model("tiny")
    controller.workspace.viewer.add_image(picture, name="eye")
    controller.writing.add_structure("vessel")
    stepped.finish()
    before = list_models()
    controller.model_files.finetune("vessel")
    assert controller.model_files.work.is_busy
    controller.model_files.work.cancel()
    assert "stopped" in controller.workspace.status.text
    assert list_models() == before
    controller.close()


def test_a_package_of_bioimage_io_is_imported(controller, files, tmp_path, monkeypatch):
    model = load_model("other", "cpu")
    weights, centres = io.BytesIO(), io.BytesIO()
    torch.save(model.network.state_dict(), weights)
    np.save(centres, model.centres)
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as package:
        package.writestr("rdf.yaml", "config: {napari_localdisc: {version: any}}")
        package.writestr("weights.pt", weights.getvalue())
        package.writestr("centres.npy", centres.getvalue())
        package.writestr("card.json", model.card.to_json())
    files.import_file(tmp_path / "package.zip")
    assert controller.workspace.models.name == "other 2"
    assert load_model("other 2", "cpu").hash == model.hash
    files.delete("other 2")
    monkeypatch.setitem(sys.modules, "bioimageio.core", None)
    with pytest.raises(FileError, match="pip install"):
        files.export_package(tmp_path / "out.zip")
