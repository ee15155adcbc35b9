"""Copy as Python: the script runs, and its labels are those on the screen."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager
from PIL import Image

from napari_localdisc.core.embedding.magnification import USUAL_FIELD
from napari_localdisc.core.errors import ModelError
from napari_localdisc.viewer.clusters import seen_at
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.script import Scripts
from napari_localdisc.viewer.session.session import Sessions


@pytest.fixture
def viewer():
    PluginManager.instance().discover()
    return ViewerModel()


@pytest.fixture
def copied(viewer, models):
    """Return the controller and what is copied of it."""
    controller = Controller(viewer)
    controller.set_model("tiny")
    scripts, found = Scripts(controller, Sessions(controller)), []
    scripts.written.connect(found.append)

    def copy():
        scripts.write()
        return found[-1]

    yield controller, copy
    controller.close()


def run(script, folder):
    file = folder / "script.py"
    file.write_text(script.text, encoding="utf-8")
    command = [sys.executable, str(file), "out.tif"]
    done = subprocess.run(
        command, cwd=folder, timeout=250, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return tifffile.imread(folder / "out.tif")


def test_everything_that_was_done_is_done_again(viewer, copied, picture, tmp_path):
    path = tmp_path / "it's an eye.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    viewer.open(path, plugin="napari")
    controller, copy = copied
    controller.classes.add("disc")
    # One after the other, as a hand does it: each is remembered by the embedding
    for point in ((12, 30), (20, 21), (33.4, 9.7)):
        controller.prompts.add(point)
    controller.prompts.add((40, 8), positive=False)
    controller.prompts.set_options(smooth=True, minimum_size=3)
    controller.prompts.add_mask()
    controller.clusters.add([2, 4, 5, 8])
    controller.writing.add_structure("vessel")
    controller.undo()
    controller.strokes.start()
    with controller.strokes.layer.block_history():
        controller.strokes.layer.paint((5, 5), 1)
        controller.strokes.layer.paint((30, 20), 4)
    controller.strokes.accept()
    controller.set_model("other")
    controller.classes.add("more")
    controller.prompts.add((20, 21))
    controller.writing.set_overwrite(True)
    controller.prompts.add_mask()
    labels = controller.labels_layer
    labels.paint((24, 24), 7)  # by hand
    labels.paint((5, 35), 0)
    script = copy()
    assert script.remark == ""
    assert "embedding.mask(" in script.text
    np.testing.assert_array_equal(run(script, tmp_path), labels.data)
    assert len(np.unique(labels.data)) > 3


def test_the_magnification_that_was_chosen_is_in_the_script(
    viewer, copied, picture, tmp_path
):
    path = tmp_path / "eye.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    viewer.open(path, plugin="napari")
    controller, copy = copied
    controller.prompts.add((12, 30))
    controller.set_magnification(0.75)
    controller.prompts.add_mask()
    known = controller.workspace.known(controller.workspace.place())
    assert known.embedding.magnification == 0.75
    script = copy()
    assert "magnification=0.75" in script.text
    np.testing.assert_array_equal(run(script, tmp_path), controller.labels_layer.data)


def test_the_magnification_that_a_layer_s_scale_tells_is_used_and_in_the_script(
    viewer, copied, picture, tmp_path
):
    path = tmp_path / "eye.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    (layer,) = viewer.open(path, plugin="napari")
    side = 4 / 3 * USUAL_FIELD / max(picture.shape)
    layer.scale, layer.units = (side, side), ("mm", "mm")
    controller, copy = copied
    controller.prompts.add((12, 30))
    known = controller.workspace.known(controller.workspace.place())
    assert 1.2 < known.embedding.magnification <= 1.34
    assert "as its scale says" in seen_at(known)
    controller.prompts.add_mask()
    script = copy()
    assert f"magnification={known.magnification}" in script.text
    np.testing.assert_array_equal(run(script, tmp_path), controller.labels_layer.data)


def test_a_slice_of_a_stack_without_a_file(viewer, copied, picture, tmp_path):
    stack = np.stack([picture[..., 0], picture[..., 1]])
    viewer.add_image(stack, name="stack")
    controller, copy = copied
    viewer.dims.set_current_step(0, 1)
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    script = copy()
    assert "“stack.npy” beside the script" in script.remark
    assert script.remark == controller.workspace.status.text
    np.save(tmp_path / "stack.npy", stack)
    labels = controller.labels_layer.data[1]
    assert labels.any()
    np.testing.assert_array_equal(run(script, tmp_path), labels)


def test_sample_that_is_only_clustered(viewer, copied, tmp_path):
    viewer.open_sample("napari-localdisc", "retina")
    controller, copy = copied
    controller.clusters.set_number(5)
    controller.clusters.show()
    script = copy()
    assert script.remark == ""
    np.testing.assert_array_equal(run(script, tmp_path), controller.clusters.layer.data)


def test_nothing_done_is_an_empty_script(viewer, copied, picture):
    viewer.add_image(picture)
    _, copy = copied
    assert "labels = np.zeros(" in copy().text


def test_a_model_that_changed_is_said(viewer, copied, picture, tmp_path, monkeypatch):
    viewer.add_image(picture, name="eye")
    controller, copy = copied
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    controller.set_model("other")
    from napari_localdisc.core.model.model import Model, save_model

    changed = Model.random(seed=9, name="tiny", working_diameter=144, width=4)
    save_model(changed, tmp_path / "tiny")
    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="'tiny' is another one"):
        copy()
