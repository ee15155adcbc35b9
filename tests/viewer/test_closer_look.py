"""Small lesions are looked at closer by a worker, whatever asks for them."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_localdisc.core.embedding import embedding
from napari_localdisc.core.embedding.closer import CloserLook
from napari_localdisc.core.embedding.prompts import Prompts
from napari_localdisc.core.model.model import Model, save_model
from napari_localdisc.viewer.controller import Controller

NAME = "hard exudate"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    structures = {"vessel": 0, NAME: 1, "haemorrhage": 2}
    model = Model.random(
        name="lesions", working_diameter=144, width=4, structures=structures
    )
    save_model(model, path / "lesions")
    return path


@pytest.fixture
def controller(folder, picture, monkeypatch):
    monkeypatch.setenv("LOCALDISC_MODELS", str(folder))
    answered = CloserLook.maps

    def only_after_a_worker(closer):
        assert closer.is_taken, "the window would wait"
        return answered(closer)

    monkeypatch.setattr(CloserLook, "maps", only_after_a_worker)
    viewer = ViewerModel()
    control = Controller(viewer)
    control.set_model("lesions")
    viewer.add_image(picture)
    yield control
    control.close()


def taken(controller):
    known = controller.workspace.known(controller.workspace.place())
    return known is not None and known.embedding.closer.is_taken


@pytest.mark.parametrize("first", [True, False])
def test_a_small_lesion_is_shown_after_a_closer_look(controller, first):
    if not first:  # the image has been looked at before
        controller.clusters.show()
        assert not taken(controller)
    controller.clusters.show_structure("haemorrhage")
    assert not taken(controller)
    said: list[str] = []
    controller.workspace.status.changed.connect(
        lambda: said.append(controller.workspace.status.text)
    )
    controller.clusters.show_structure(NAME)
    assert taken(controller)
    assert any("closer" in text for text in said)
    names = [layer.name for layer in controller.workspace.viewer.layers]
    assert any(f"{NAME} probability" in name for name in names)


def test_it_is_written_as_it_is_tuned(controller):
    controller.tuning.tune(NAME)
    assert taken(controller)
    controller.tuning.preview(threshold=0.4)
    controller.tuning.set_options(threshold=0.4)
    controller.writing.add_structure(NAME)
    place = controller.workspace.place()
    known = controller.workspace.known(place)
    wanted = known.embedding.structure_mask(NAME, threshold=0.4)
    (labels,) = controller.classes.layers.values()
    assert np.array_equal(np.asarray(labels.data) > 0, wanted)


def test_a_preview_under_the_mouse_takes_no_look(controller):
    controller.clusters.show()
    controller.writing.preview_structure(NAME)
    controller.writing.preview.refresh()
    assert controller.writing.preview.effect is None
    assert not taken(controller)
    controller.writing.add_structure(NAME)
    controller.writing.preview_structure(NAME)
    controller.writing.preview.refresh()
    assert controller.writing.preview.effect is not None


def test_clicks_are_answered_at_once_and_again_after_a_look(controller, monkeypatch):
    monkeypatch.setattr(embedding, "choose", lambda *_: 1)
    controller.clusters.show()
    shown = []
    controller.prompts.changed.connect(lambda: shown.append(taken(controller)))
    controller.prompts.add((36, 36))
    assert shown[0] is False
    assert taken(controller)
    place = controller.workspace.place()
    known = controller.workspace.known(place).embedding
    wanted = known.read(Prompts([(36, 36)])).mask
    assert np.array_equal(np.asarray(place.shown.layer("mask").data) > 0, wanted)
    controller.prompts.add_mask()
    (labels,) = controller.classes.layers.values()
    assert np.array_equal(np.asarray(labels.data) > 0, wanted)


def test_a_picture_that_changed_meanwhile_is_looked_at_anew(controller):
    controller.clusters.show_structure(NAME)
    layer = controller.workspace.viewer.layers[0]
    layer.data = np.asarray(layer.data)[::-1].copy()
    controller.clusters.show()
    assert not taken(controller)
