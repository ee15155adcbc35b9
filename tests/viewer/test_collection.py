"""A collection searched from napari, without Qt."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from PIL import Image

from napari_localdisc.core.errors import FileError, ModelError, PromptError
from napari_localdisc.io.collection import NAME, Found
from napari_localdisc.viewer.collection import CollectionControl
from napari_localdisc.viewer.controller import Controller


@pytest.fixture
def folder(tmp_path, picture):
    images = tmp_path / "images"
    images.mkdir()
    pixels = (picture * 255).astype(np.uint8)
    for name, part in (("a", pixels), ("b", pixels[::-1]), ("c", pixels[:, ::-1])):
        Image.fromarray(part).save(images / f"{name}.png")
    return images


@pytest.fixture
def controller(models):
    controller = Controller(ViewerModel())
    controller.set_model("tiny")
    yield controller
    controller.close()


@pytest.fixture
def control(controller):
    return CollectionControl(controller.workspace.viewer, lambda: controller)


def test_from_a_folder_to_the_place_in_an_image(control, controller, folder):
    heard = []
    control.found_changed.connect(lambda: heard.append(len(control.found)))
    control.choose(str(folder))
    assert "Make the folder searchable" in control.status.text
    control.index(str(folder))
    assert "3 written" in control.status.text
    assert (folder / NAME).exists()
    with pytest.raises(PromptError, match="Click on what is to be found"):
        control.find()
    control.open(Found(folder / "b.png", (10, 20), 1.0, 1))
    here = controller.workspace.images.current
    control.find()
    assert len(control.found) == heard[-1] == 9  # three of each image
    first = control.found[0]
    control.open(first)
    (prompt,) = controller.prompts.points
    assert (prompt.row, prompt.column) == first.point
    assert controller.prompts.similarity_layer is not None

    control.others = True
    controller.workspace.images.choose(here)
    controller.prompts.set([])
    controller.prompts.add((10, 20))
    control.find()
    assert {one.path.stem for one in control.found} == {"a", "c"}
    there = control.found[0]
    for _ in range(2):  # an image that is open already is not opened again
        control.open(there)
        layer = controller.workspace.images.current
        assert layer.name == there.path.stem
        assert control.viewer.layers.selection.active is layer
        (prompt,) = controller.prompts.points
        assert (prompt.row, prompt.column) == there.point
    names = [each.name for each in control.viewer.layers if type(each) is ImageLayer]
    assert names.count(there.path.stem) == 1
    viewer = control.viewer
    camera = getattr(viewer, "scene", viewer).camera  # the viewer's own before 0.9
    centre = camera.center[-2:]
    assert centre == pytest.approx(there.point)


def test_a_collection_that_is_there_is_opened(control, folder):
    control.index(str(folder))
    control.choose("")
    assert control.collection is None
    with pytest.raises(FileError, match="searchable first"):
        control.find()
    control.choose(str(folder))
    assert "3 images" in control.status.text
    control.index(str(folder))
    assert "3 skipped" in control.status.text


def test_what_cannot_be(control, controller, folder, picture):
    with pytest.raises(FileError, match="Choose the folder"):
        control.index(" ")
    control.index(str(folder))
    controller.set_model("other")
    controller.workspace.viewer.add_image(picture, rgb=True)
    controller.prompts.add((10, 20))
    with pytest.raises(ModelError, match="choose the first model"):
        control.find()
    (folder / "a.png").write_text("no picture")
    controller.set_model("tiny")
    control.index(str(folder))
    assert "2 skipped" in control.status.text or "1 failed" in control.status.text
    assert "a.png" in control.status.text


def test_work_can_be_stopped(controller, folder, stepped):
    control = CollectionControl(
        controller.workspace.viewer, lambda: controller, stepped
    )
    control.index(str(folder))
    stepped.step()
    stepped.step()
    control.cancel()
    assert not control.work.is_busy
    assert "goes on from there" in control.status.text
    stepped.step()
    assert not (folder / NAME).exists()
