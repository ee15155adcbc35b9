"""Concepts through the real controller: saved from clicks and strokes, found again."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_localdisc.core.embedding.correction import REACH
from napari_localdisc.core.errors import ModelError, PromptError
from napari_localdisc.core.learning.concept import load_concept
from napari_localdisc.viewer.concepts import Concepts
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.session.session import Sessions

PLACED = {"scale": (0.5, 3), "translate": (-7, 11), "rotate": 33}


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def controller(viewer, picture, models):
    viewer.add_image(picture, name="eye", **PLACED)
    controller = Controller(viewer)
    controller.set_model("tiny")
    yield controller
    controller.close()


@pytest.fixture
def concepts(controller):
    return Concepts(controller, Sessions(controller))


@pytest.fixture
def others(viewer, controller, picture):
    """Two more images; the first one stays chosen."""
    return [
        viewer.add_image(picture[::-1], name="flipped", **PLACED),
        viewer.add_image(np.stack([picture[..., 0]] * 3), name="stack"),
    ]


def test_clicks_are_found_in_the_same_image(concepts, controller, tmp_path):
    assert concepts.kinds == ()
    controller.classes.add("disc", "#12ab9f")
    controller.prompts.add((12, 30))
    controller.prompts.add((40, 8), positive=False)
    controller.prompts.set_options(smooth=True, minimum_size=2)
    assert concepts.kinds == ("prompts",)
    saved, applied = [], []
    concepts.saved.connect(saved.append)
    concepts.applied.connect(applied.append)
    concepts.save_prompts("disc", tmp_path / "disc")
    concepts.apply_file(saved[0])
    (labels,) = applied
    # Several clicks also correct the map around them, which a concept does not carry
    other = np.argwhere((labels.data > 0) != (controller.mask.layer.data > 0))
    assert len(other) < 0.02 * labels.data.size
    prompts = np.array([prompt.point for prompt in controller.prompts.points])
    away = np.linalg.norm(other[:, None] - prompts, axis=2).min(axis=1)
    assert (away < 3 * REACH * max(labels.data.shape)).all()
    controller.undo()  # the options
    controller.undo()  # the second click
    controller.prompts.set_options(smooth=True, minimum_size=2)
    concepts.save_prompts("disc", tmp_path / "disc")
    concepts.apply_file(saved[1])
    np.testing.assert_array_equal(applied[1].data > 0, controller.mask.layer.data > 0)
    assert labels.name == "eye disc"
    at = (7, 3)
    image = controller.workspace.images.current
    np.testing.assert_allclose(labels.data_to_world(at), image.data_to_world(at))
    np.testing.assert_allclose(
        labels.colormap.map(1), np.array([0x12, 0xAB, 0x9F, 255]) / 255, atol=1e-6
    )
    # The layer can hold the image's classes, under their names
    controller.groups.use_labels(labels)
    assert [entry.name for entry in controller.classes.entries] == ["disc"]


def test_prompts_whose_mask_was_added_can_still_be_saved(
    concepts, controller, tmp_path
):
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    assert controller.prompts.points == ()
    assert concepts.kinds == ("prompts",)
    concepts.save_prompts("disc", tmp_path / "disc")
    concept = load_concept(tmp_path / "disc.concept.safetensors")
    embedding = controller.workspace.known(
        controller.workspace.place_or_none()
    ).embedding
    np.testing.assert_array_equal(
        concept.labels(embedding) > 0, controller.labels_layer.data > 0
    )
    controller.undo()
    controller.prompts.clear()
    with pytest.raises(PromptError, match="Find similar"):
        concepts.save_prompts("disc", tmp_path / "more")


def test_strokes_are_found_in_all_open_images(
    concepts, controller, others, tmp_path, viewer
):
    controller.workspace.images.choose(viewer.layers["eye"])
    with pytest.raises(PromptError, match="at least two classes"):
        concepts.save_classes("eye", tmp_path / "eye")
    controller.strokes.start()
    with controller.strokes.layer.block_history():
        controller.strokes.layer.paint((5, 5), 1)
        controller.strokes.layer.paint((30, 20), 2)
    assert "classifier" in concepts.kinds
    concepts.save_classes("eye", tmp_path / "eye")
    applied = []
    concepts.applied.connect(applied.append)
    viewer.dims.set_current_step(0, 1)
    concepts.apply_file(tmp_path / "eye.concept.safetensors", to_all=True)
    by_name = {layer.name: layer for layer in applied}
    assert set(by_name) == {"eye eye", "flipped eye", "stack eye, slice 1"}
    prediction = controller.strokes.prediction_layer.data
    background = [e.value for e in controller.classes.entries if e.background]
    np.testing.assert_array_equal(
        by_name["eye eye"].data,
        np.where(np.isin(prediction, background), 0, prediction),
    )
    assert by_name["flipped eye"].data.any()
    assert "3 images" in controller.workspace.status.text


def test_another_model_is_refused_in_a_sentence(concepts, controller, tmp_path, viewer):
    controller.prompts.add((12, 30))
    concepts.save_prompts("disc", tmp_path / "disc")
    controller.set_model("other")
    count = len(viewer.layers)
    with pytest.raises(ModelError, match="learned with the model 'tiny'"):
        concepts.apply_file(tmp_path / "disc.concept.safetensors")
    assert len(viewer.layers) == count


def test_cancelled_and_removed_in_the_middle(
    viewer, picture, models, stepped, tmp_path, controller, concepts
):
    controller.prompts.add((12, 30))
    concepts.save_prompts("disc", tmp_path / "disc")
    concept = load_concept(tmp_path / "disc.concept.safetensors")
    elsewhere = ViewerModel()
    first, second, third = (
        elsewhere.add_image(np.roll(picture, at, 0), name=f"{at}") for at in range(3)
    )
    waiting = Controller(elsewhere, stepped)
    waiting.set_model("tiny")
    slow = Concepts(waiting, Sessions(waiting))
    slow.apply(concept, [first, second, third])
    elsewhere.layers.remove(second)
    stepped.finish()
    assert "0 disc" in elsewhere.layers
    assert waiting.workspace.work.is_busy  # with the third
    waiting.workspace.cancel()
    stepped.finish()
    assert not waiting.workspace.work.is_busy
    assert len(elsewhere.layers) == 3
    slow.apply(concept, [third])
    waiting.set_model("other")
    stepped.finish()
    assert len(elsewhere.layers) == 3
    with pytest.raises(PromptError, match="no image"):
        slow.apply(concept, [])
    waiting.close()


def test_one_click_is_a_landmark(concepts, controller, tmp_path):
    said = []
    controller.workspace.status.changed.connect(said.append)
    assert concepts.point is None
    with pytest.raises(PromptError, match="one click"):
        concepts.save_point("fovea", tmp_path / "fovea")
    controller.prompts.add((12, 30))
    assert concepts.point == (12, 30)
    saved, applied = [], []
    concepts.saved.connect(saved.append)
    concepts.applied.connect(applied.append)
    concepts.save_point("fovea", tmp_path / "fovea")
    assert load_concept(saved[0]).kind == "point"
    concepts.apply_file(saved[0])
    (labels,) = applied
    middle = np.argwhere(labels.data > 0).mean(axis=0)
    assert np.abs(middle - (12, 30)).max() < 2
    controller.prompts.add((30, 8), positive=False)
    assert concepts.point is None
