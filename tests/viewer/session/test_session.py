"""Sessions through the real controller: everything comes back."""

import json
import os
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from npe2 import PluginManager
from PIL import Image

from napari_localdisc.annotation.state import Prompt
from napari_localdisc.core.errors import FileError
from napari_localdisc.io.session import SUFFIX, crashed_sessions, read_session
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.session.autosave import Autosaver
from napari_localdisc.viewer.session.session import Sessions

PLACED = {"scale": (0.5, 3), "translate": (-7, 11), "rotate": 33}


@pytest.fixture
def file(tmp_path, picture):
    path = tmp_path / "eye.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def opened(models, request):
    """A viewer of its own, with its controller and sessions."""

    PluginManager.instance().discover()

    def new(path=None, **placement):
        viewer = ViewerModel()
        if path is not None:
            (layer,) = viewer.open(path, plugin="napari")
            for key, value in placement.items():
                setattr(layer, key, value)
        controller = Controller(viewer)
        controller.set_model("tiny")
        request.addfinalizer(controller.close)
        return controller, Sessions(controller)

    return new


def annotate(controller):
    """Prompts, two classes, one of them painted, and strokes."""
    controller.clusters.set_number(5)
    controller.classes.add("disc", "#00ff00")
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    controller.classes.add("cup", "#ff0000")
    labels = controller.labels_layer
    labels.data[40:44, 3:9] = 2
    labels.refresh()
    controller.prompts.add((20, 21))
    controller.prompts.add((40, 8), positive=False)
    controller.prompts.set_options(threshold=0.4, smooth=True)
    controller.strokes.start()
    with controller.strokes.layer.block_history():
        controller.strokes.layer.paint((5, 5), 1)
        controller.strokes.layer.paint((30, 20), 3)


def assert_same(restored, controller):
    assert restored.annotation() == controller.annotation()
    assert restored.prompts.points == controller.prompts.points
    assert restored.mask.threshold == controller.mask.threshold
    assert restored.clusters.number == controller.clusters.number
    for mine, its in (
        (restored.labels_layer, controller.labels_layer),
        (restored.strokes.layer, controller.strokes.layer),
        (restored.prompts.similarity_layer, controller.prompts.similarity_layer),
    ):
        # Sums' last bits may depend on how many prompts are asked at once
        np.testing.assert_allclose(mine.data, its.data, rtol=0, atol=1e-5)
        assert mine.name == its.name
        np.testing.assert_allclose(
            mine.data_to_world((7, 3)), its.data_to_world((7, 3))
        )
    mine, its = restored.prompts.points_layer, controller.prompts.points_layer
    for name in ("data", "symbol", "face_color"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(its, name))
    assert len(set(map(str, mine.symbol))) == 2
    np.testing.assert_allclose(
        mine.data_to_world(mine.data[0]), its.data_to_world(its.data[0])
    )
    np.testing.assert_array_equal(
        restored.strokes.prediction_layer.data, controller.strokes.prediction_layer.data
    )
    values = np.arange(4)
    np.testing.assert_array_equal(
        restored.labels_layer.colormap.map(values),
        controller.labels_layer.colormap.map(values),
    )


def test_everything_comes_back_in_another_viewer(opened, file, tmp_path):
    controller, sessions = opened(file, **PLACED)
    annotate(controller)
    saved = []
    sessions.saved.connect(saved.append)
    sessions.save(tmp_path / "mine")
    assert saved == [tmp_path / "mine.localdisc"]
    restored, again = opened()
    troubles = []
    again.opened.connect(troubles.append)
    again.open(saved[0])
    assert troubles == [[]]
    assert_same(restored, controller)
    assert len(restored.workspace.viewer.layers) == len(
        controller.workspace.viewer.layers
    )
    # And it goes on from there
    restored.prompts.add_mask()
    assert (restored.labels_layer.data == 2).sum() > 24
    restored.undo()
    np.testing.assert_array_equal(
        restored.labels_layer.data, controller.labels_layer.data
    )


def test_what_is_removed_while_a_session_comes_back_stays_removed(
    opened, file, tmp_path
):
    controller, sessions = opened(file)
    annotate(controller)
    sessions.save(tmp_path / "a")
    saved = read_session(tmp_path / f"a{SUFFIX}")
    other, others = opened()
    said, layers = [], other.workspace.viewer.layers
    for number, _ in enumerate(others._steps(saved, tmp_path, said.append)):
        if number == 3:
            layers.remove(other.workspace.images.current)
    assert len(said) == 1
    kinds = [type(layer) for layer in layers]
    assert kinds.count(Labels) >= 2  # labels, and strokes that no image takes
    painted = [layer.data for layer in layers if layer.name.endswith("strokes")]
    assert painted
    assert {1, 3} <= set(np.unique(painted[0]))


def test_the_magnification_comes_back(opened, file, tmp_path):
    controller, sessions = opened(file)
    controller.set_magnification(2.0)
    sessions.save(tmp_path / "mine")
    restored, again = opened()
    again.open(tmp_path / "mine.localdisc")
    assert restored.workspace.models.magnification == 2


def test_an_image_that_is_open_is_used(opened, file, tmp_path):
    controller, sessions = opened(file)
    annotate(controller)
    sessions.save(tmp_path / "mine")
    restored, again = opened(file)
    image = restored.workspace.images.current
    image.name = "renamed"
    again.open(tmp_path / "mine.localdisc")
    assert restored.workspace.images.images == [image]
    assert restored.labels_layer is not None
    assert restored.prompts.points == controller.prompts.points


def test_pixels_without_a_file_are_in_the_session(opened, picture, tmp_path):
    controller, sessions = opened()
    controller.workspace.viewer.add_image(picture, name="made here", **PLACED)
    annotate(controller)
    sessions.save(tmp_path / "mine")
    restored, again = opened()
    again.open(tmp_path / "mine.localdisc")
    np.testing.assert_array_equal(restored.workspace.images.current.data, picture)
    assert restored.workspace.images.current.rgb
    assert_same(restored, controller)


def troubles_of(again, path):
    said = []
    again.opened.connect(said.extend)
    again.open(path)
    return said


def test_changed_image_is_said_and_labels_come_back(opened, file, picture, tmp_path):
    controller, sessions = opened(file, **PLACED)
    annotate(controller)
    sessions.save(tmp_path / "mine")
    Image.fromarray((picture[::-1] * 255).astype(np.uint8)).save(file)
    restored, again = opened()
    (said,) = troubles_of(again, tmp_path / "mine.localdisc")
    assert "“eye” was changed" in said
    np.testing.assert_array_equal(
        restored.labels_layer.data, controller.labels_layer.data
    )
    assert restored.annotation() == controller.annotation()


def test_image_of_another_size(opened, file, picture, tmp_path):
    controller, sessions = opened(file)
    annotate(controller)
    sessions.save(tmp_path / "mine")
    Image.fromarray((picture[:40] * 255).astype(np.uint8)).save(file)
    restored, again = opened()
    (said,) = troubles_of(again, tmp_path / "mine.localdisc")
    assert "another size" in said
    assert_labels_are_there(restored, controller)
    assert restored.prompts.points == ()


def assert_labels_are_there(restored, controller):
    by_name = {
        layer.name: layer
        for layer in restored.workspace.viewer.layers
        if isinstance(layer, Labels)
    }
    for layer in (controller.labels_layer, controller.strokes.layer):
        np.testing.assert_array_equal(by_name[layer.name].data, layer.data)
        np.testing.assert_allclose(
            by_name[layer.name].data_to_world((7, 3)), layer.data_to_world((7, 3))
        )


def test_image_that_is_gone_is_said_and_labels_come_back(opened, file, tmp_path):
    controller, sessions = opened(file, **PLACED)
    annotate(controller)
    sessions.save(tmp_path / "mine")
    file.unlink()
    restored, again = opened()
    (said,) = troubles_of(again, tmp_path / "mine.localdisc")
    assert f"“eye” is gone ({file})" in said
    assert restored.workspace.images.current is None
    assert_labels_are_there(restored, controller)


def rewritten(path, change):
    """Change what a session's document says, as damage or a stranger would."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(members["session.json"])
    change(document)
    members["session.json"] = json.dumps(document).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


DAMAGE = {
    "unit": lambda d: d["labels"][0]["placement"].update(units=["parsec/x", "inch?"]),
    "scale": lambda d: d["labels"][0]["placement"].update(scale=["a", None]),
    "colours": lambda d: d["labels"][0]["colours"].update({"1": "no colour"}),
    "colour key": lambda d: d["labels"][0]["colours"].update({"one": [1, 1, 1, 1]}),
    "blending": lambda d: d["labels"][0]["looks"].update(blending="melted"),
    "image scale": lambda d: d["images"][0]["placement"].update(scale=[0, "b"]),
    "sample": lambda d: d["images"][0].update(sample=["no-such-plugin", "eye"]),
    "path": lambda d: d["images"][0].update(path="/no\0where/" + "x" * 5000),
    "reader": lambda d: d["images"][0].update(reader="no-such-plugin"),
    "structures": lambda d: d.update(structures="eight"),
    "prompts": lambda d: d["images"][0]["annotation"].update(planes=[{"plane": 3}]),
    "log": lambda d: d["images"][0]["annotation"].update(log=["import os"]),
    "classes": lambda d: d["images"][0]["annotation"].update(classes=[{"value": "x"}]),
    "strokes": lambda d: d["images"][0]["strokes"][0].__setitem__(0, [0, 7, 7]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_bad_detail_costs_that_detail_and_is_named(opened, file, tmp_path, damage):
    controller, sessions = opened(file)
    annotate(controller)
    labels, strokes = controller.labels_layer.data, controller.strokes.layer.data
    path = tmp_path / "work.localdisc"
    sessions.save(path)
    rewritten(path, DAMAGE[damage])
    again, restoring = opened()
    troubles = troubles_of(restoring, path)
    if damage != "reader":  # the file is read by ourselves then
        assert troubles
    assert all(troubles)
    restored = [
        layer.data
        for layer in again.workspace.viewer.layers
        if isinstance(layer, Labels)
    ]
    for wanted in (labels, strokes):
        assert any(
            data.shape == wanted.shape and (data == wanted).all() for data in restored
        )


def test_a_crash_copy_goes_only_when_all_of_it_came_back(opened, file, tmp_path):
    folder = tmp_path / "auto"
    controller, sessions = opened(file)
    annotate(controller)
    crashed = folder / f"autosave-1-2-abc{SUFFIX}"
    folder.mkdir()
    sessions.save(crashed)
    whole = crashed.read_bytes()

    def restore():
        again, restoring = opened()
        saver = Autosaver(again, restoring, folder)
        (found,) = saver.crashed()
        saver.restore(found)
        return saver, restoring

    # It cannot be read: it stays, whatever is opened next
    crashed.write_bytes(whole[: len(whole) // 2])
    other = tmp_path / f"other{SUFFIX}"
    other.write_bytes(whole)
    again, restoring = opened()
    saver = Autosaver(again, restoring, folder)
    (found,) = saver.crashed()
    with pytest.raises(FileError, match="damaged"):
        saver.restore(found)
    restoring.open(other)
    saver.save()
    assert crashed.exists()
    saver.close()
    # Something did not come back: it stays
    crashed.write_bytes(whole)
    rewritten(crashed, DAMAGE["log"])
    saver, _ = restore()
    assert crashed.exists()
    saver.close()
    crashed.write_bytes(whole)
    saver, _ = restore()
    assert not crashed.exists()
    assert stat.S_IMODE(saver.path.stat().st_mode) == 0o600
    saver.close()


def test_hiding_a_class_changes_nothing_that_is_saved(opened, file, tmp_path):
    controller, sessions = opened(file)
    annotate(controller)
    before = sessions.draft().labels
    for value in (1, 2, 3):
        controller.classes.set_visible(value, False)
    after = sessions.draft().labels
    assert [each.colours for each in after] == [each.colours for each in before]
    # Nor does a preview of what adding something would do
    controller.classes.add("lens")
    controller.clusters.add([1, 2, 3, 4, 5])
    controller.writing.preview_structure("vessel")
    assert controller.writing.preview.layer in controller.workspace.viewer.layers
    names = [each.name for each in sessions.draft().labels]
    assert not [name for name in names if "taken" in name]
    sessions.save(tmp_path / "mine")
    again, restoring = opened()
    restoring.open(tmp_path / "mine.localdisc")
    assert again.labels_layer.colormap.map(1)[3] == 0  # as it was seen
    again.classes.set_visible(1, True)
    np.testing.assert_allclose(again.labels_layer.colormap.map(1), (0, 1, 0, 1))
    file.unlink()
    alone, restoring = opened()
    restoring.open(tmp_path / "mine.localdisc")
    shown = [
        layer for layer in alone.workspace.viewer.layers if layer.name == "eye labels"
    ]
    np.testing.assert_allclose(shown[0].colormap.map(1), (0, 1, 0, 1))


def test_image_that_was_moved_with_the_session_is_found(opened, file, tmp_path):
    controller, sessions = opened(file)
    annotate(controller)
    elsewhere = tmp_path / "elsewhere"
    sessions.save(elsewhere / "mine")
    file.rename(elsewhere / file.name)
    restored, again = opened()
    assert troubles_of(again, elsewhere / "mine.localdisc") == []
    assert_same(restored, controller)


def test_model_that_is_gone_is_said(opened, file, tmp_path, models, monkeypatch):
    controller, sessions = opened(file)
    annotate(controller)
    sessions.save(tmp_path / "mine")
    (tmp_path / "models").mkdir()
    other = models / "other.safetensors"
    (tmp_path / "models" / other.name).write_bytes(other.read_bytes())
    restored, again = opened()
    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path / "models"))
    said = troubles_of(again, tmp_path / "mine.localdisc")
    assert "The model 'tiny' is not installed" in said[0]
    np.testing.assert_array_equal(
        restored.labels_layer.data, controller.labels_layer.data
    )


def test_what_is_no_session_is_a_sentence(opened, tmp_path):
    _, sessions = opened()
    (tmp_path / "a.localdisc").write_text("no")
    with pytest.raises(FileError, match="damaged or not a session"):
        sessions.open(tmp_path / "a.localdisc")


def test_stacks_and_several_images(opened, picture, tmp_path):
    controller, sessions = opened()
    viewer = controller.workspace.viewer
    stack = viewer.add_image(np.stack([picture[..., 0], picture[..., 1]]), name="stack")
    controller.classes.add("disc")
    viewer.dims.set_current_step(0, 1)
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    controller.prompts.add((20, 20))
    flat = viewer.add_image(picture, name="flat")
    controller.workspace.images.choose(flat)
    controller.prompts.add((5, 5))
    sessions.save(tmp_path / "mine")
    restored, again = opened()
    assert troubles_of(again, tmp_path / "mine.localdisc") == []
    assert restored.workspace.images.current.name == "flat"
    assert restored.prompts.points == (Prompt(5, 5),)
    (other,) = [
        layer for layer in restored.workspace.images.images if layer.name == "stack"
    ]
    restored.workspace.images.choose(other)
    controller.workspace.images.choose(stack)
    restored.workspace.viewer.dims.set_current_step(0, 1)
    assert restored.annotation() == controller.annotation()
    np.testing.assert_array_equal(
        restored.labels_layer.data, controller.labels_layer.data
    )


# By itself


def test_saved_if_there_is_something_new(opened, file, tmp_path):
    controller, sessions = opened(file)
    saver = Autosaver(controller, sessions, tmp_path / "auto")
    saver.save()
    assert not saver.path.exists()  # nothing was done yet
    controller.prompts.add((12, 30))
    assert not saver.path.exists()
    saver.save()
    assert read_session(saver.path).images[0].annotation["planes"]
    before = saver.path.stat().st_mtime_ns
    saver.save()
    assert saver.path.stat().st_mtime_ns == before
    controller.classes.target().data[3:9, 4:8] = 1  # painted: no event tells of it
    saver.save()
    assert read_session(saver.path).labels[0].data.sum() == 24
    assert crashed_sessions(tmp_path / "auto") == []  # of a process that is there
    saver.close()
    assert list((tmp_path / "auto").iterdir()) == []
    saver.save()
    assert list((tmp_path / "auto").iterdir()) == []


def test_saved_at_once_when_labels_are_written(opened, file, tmp_path):
    controller, sessions = opened(file)
    saver = Autosaver(controller, sessions, tmp_path)
    controller.prompts.add((12, 30))
    controller.prompts.add_mask()
    labels = controller.labels_layer.data
    np.testing.assert_array_equal(read_session(saver.path).labels[0].data, labels)
    controller.undo()
    assert not read_session(saver.path).labels[0].data.any()
    saver.close()


def test_what_happens_while_it_is_written(models, file, tmp_path, stepped):
    PluginManager.instance().discover()
    viewer = ViewerModel()
    viewer.open(file, plugin="napari")
    controller = Controller(viewer, stepped)
    controller.set_model("tiny")
    sessions = Sessions(controller)
    saver = Autosaver(controller, sessions, tmp_path / "auto")
    labels = controller.classes.target()
    saver.save()
    labels.data[0, 0] = 1
    saver.save()
    assert len(stepped.runs) == 1
    stepped.finish(0)
    assert not read_session(saver.path).labels[0].data.any()
    stepped.finish(1)  # what came meanwhile
    assert read_session(saver.path).labels[0].data[0, 0] == 1
    labels.data[0, 1] = 1
    saver.save()
    saver.close()
    stepped.finish(2)
    assert not saver.path.exists()
    controller.close()


def test_a_full_disk_is_said(opened, file, tmp_path):
    controller, sessions = opened(file)
    (tmp_path / "file").write_text("")
    saver = Autosaver(controller, sessions, tmp_path / "file" / "auto")
    said = []
    saver.failed.connect(said.append)
    controller.classes.target()
    saver.save()
    assert "cannot be written" in said[0]
    saver.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from unittest.mock import Mock
import numpy as np
from napari.components import ViewerModel
from npe2 import PluginManager
from napari_localdisc.viewer import preferences
from napari_localdisc.viewer.session.autosave import Autosaver
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.io import session
from napari_localdisc.viewer.session.session import Sessions

preferences._page = lambda name="cache": Mock(enabled=False, clear=False, show=False)

PluginManager.instance().discover()
file, folder, kept = map(Path, sys.argv[1:])
viewer = ViewerModel()
viewer.open(file, plugin="napari")
controller = Controller(viewer)
controller.set_model("tiny")
saver = Autosaver(controller, Sessions(controller), folder)
controller.classes.add("disc")
controller.prompts.add((12, 30))
controller.prompts.add_mask()  # saved at once
controller.prompts.add((20, 21))
saver.save()  # a minute passed
np.save(kept, controller.labels_layer.data)
controller.prompts.add((33, 9))  # the minute that is lost

def killing(file, array, allow_pickle):
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

session.np.lib.format.write_array = killing
saver.save()  # dies while it writes
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX")
def test_a_killed_process_loses_the_last_minute_at_most(opened, file, tmp_path):
    folder, kept = tmp_path / "auto", tmp_path / "labels.npy"
    command = [sys.executable, "-c", KILLED, str(file), str(folder), str(kept)]
    done = subprocess.run(command, timeout=250, env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    controller, sessions = opened()
    saver = Autosaver(controller, sessions, folder)
    (crashed,) = saver.crashed()
    saver.restore(crashed)
    np.testing.assert_array_equal(controller.labels_layer.data, np.load(kept))
    assert np.load(kept).any()
    assert controller.prompts.points == (Prompt(20, 21),)
    assert [entry.name for entry in controller.classes.entries] == ["disc"]
    # What was restored is safe again, and no longer offered
    assert saver.crashed() == []
    np.testing.assert_array_equal(
        read_session(saver.path).labels[0].data, np.load(kept)
    )
    saver.close()
    assert not [path for path in Path(folder).iterdir() if path.suffix == ".localdisc"]
