"""The training panel in a real viewer; real trainings in real processes."""

import subprocess
import sys

import pytest
from qtpy.QtCore import Qt
from tests.tiny_training import PATIENCE, TINY, fundus_like

from napari_localdisc._qt import TrainWidget
from napari_localdisc._qt.training.forms import FOLDER, OPEN
from napari_localdisc.viewer.training import control as training_control


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of our own for models and caches."""
    monkeypatch.setenv("LOCALDISC_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


@pytest.fixture
def eyes(make_napari_viewer, folder):
    """A viewer with two small photographs."""
    viewer = make_napari_viewer()
    for number in range(2):
        viewer.add_image(fundus_like(number), name=f"eye {number}")
    return viewer


@pytest.fixture
def open_training(monkeypatch):
    """Open the panel as the menu does, with settings that take seconds."""

    def opened(viewer, **settings) -> TrainWidget:
        _, widget = viewer.window.add_plugin_dock_widget(
            "napari-localdisc", "Train a model"
        )
        widget.picture_seconds = 0
        read = widget.train_form.asked
        tiny = {"settings": TINY | settings}
        monkeypatch.setattr(widget.train_form, "asked", lambda: read() | tiny)
        return widget

    return opened


def test_trains_adapts_and_the_user_keeps_one(qtbot, eyes, open_training, monkeypatch):
    monkeypatch.setattr(training_control, "ENOUGH_STEPS", 1)
    _, main = eyes.window.add_plugin_dock_widget(
        "napari-localdisc", "Local discrimination"
    )
    main.training_section.train_button.click()
    widget = open_training(eyes)
    seen = []
    widget.control.stepped.connect(
        lambda state: seen.append(widget.control.preview_layer)
    )

    def train():
        widget.start_button.click()
        assert widget.control.is_running
        assert not widget.start_button.isEnabled()
        assert widget.stop_button.isEnabled()
        qtbot.waitUntil(lambda: not widget.control.is_running, timeout=1000 * PATIENCE)

    widget.train_form.name.value = "first"
    train()
    assert "“first” is done after 4 steps" in widget.status.text()
    assert "first" in main.models.choices
    assert len(widget.plot.smooth) > 0
    assert set(widget.plot.validation) >= {"agreement", "score"}
    assert any(layer is not None for layer in seen)
    assert [layer.name for layer in eyes.layers] == ["eye 0", "eye 1"]
    assert widget.resume_button.isEnabled()

    main.controller.set_model("first")
    main.training_section.adapt_button.click()
    assert widget.tabs.currentWidget() is widget.adapt_form
    assert widget.start_button.text() == "Adapt"
    assert widget.adapt_form.name.value == "first adapted"
    widget.picker.list.item(0).setCheckState(Qt.CheckState.Unchecked)
    widget.adapt_form.minutes.value = 0.1
    train()
    dialog = widget.dialog
    views = [dialog.view.itemText(row) for row in range(dialog.view.count())]
    assert views == ["optic disc", "clusters"]
    dialog.view.setCurrentText("clusters")
    dialog.keep_new_button.click()
    assert main.controller.workspace.models.name == "first adapted"
    assert main.models.value == "first adapted"


def test_closing_the_panel_stops_the_process(qtbot, eyes, open_training, folder):
    widget = open_training(eyes, steps=100_000)
    widget.train_form.name.value = "closed"
    widget.start_button.click()
    job = widget.control._job
    qtbot.waitUntil(lambda: widget.plot.loss[0] != [], timeout=1000 * PATIENCE)
    eyes.window.remove_dock_widget(widget)
    assert job.wait(PATIENCE)
    assert not job.folder.exists()
    assert (folder / "models" / "closed.safetensors").exists()
    assert (folder / "models" / "closed.checkpoint").exists()


def test_choices_are_read(eyes, tmp_path, folder):
    widget = TrainWidget(eyes)
    widget.picker.list.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert [layer.name for layer in widget.picker.layers] == ["eye 0"]
    eyes.layers["eye 0"].name = "left"
    assert [layer.name for layer in widget.picker.layers] == ["left"]
    widget.train_form.name.value = "thorax"
    assert widget.train_form.modality.value == "fundus"
    widget.train_form.priors["lungs"].value = True
    widget.train_form.masks.value = tmp_path
    widget.train_form.minutes.value = 12
    widget.device.value = "cpu"
    request = widget.request()
    assert request.settings["priors"] == ["lungs", str(tmp_path.resolve())]
    assert request.modality == "frame"
    assert request.minutes == 12
    assert request.device == "cpu"
    assert request.folder is None
    assert request.out == str(folder.resolve() / "models" / "thorax.safetensors")
    widget.picker.source.value = FOLDER
    widget.picker.folder.value = tmp_path
    assert widget.request().folder == str(tmp_path.resolve())
    widget.train_form.priors["lungs"].value = False
    assert widget.request().modality == "fundus"
    widget.leave()


def test_what_is_missing_is_a_notification(eyes, open_training, monkeypatch):
    said = []
    monkeypatch.setattr("napari_localdisc._qt.threads.show_error", said.append)
    widget = open_training(eyes)
    widget.picker.source.value = FOLDER
    widget.start_button.click()
    widget.picker.source.value = OPEN
    widget.picker.list.item(0).setCheckState(Qt.CheckState.Unchecked)
    widget.start_button.click()
    widget.train_form.name.value = "a/b"
    widget.start_button.click()
    assert said[0] == "Choose the folder of images to learn from."
    assert said[1].startswith("At least 2 images are needed")
    assert said[2].startswith("Give the model a name of letters")
    assert not widget.control.is_running


def test_the_fields_say_what_they_are(eyes, folder):
    widget = TrainWidget(eyes)
    train = widget.train_form
    boxes = {box.text: box.tooltip for box in train.priors.values()}
    assert list(boxes)[:3] == ["vessel tree", "disc", "bright lesion"]
    assert all(boxes.values())
    for field in (train.masks, train.modality, train.minutes, train.name):
        assert field.native.accessibleName() == field.label
        assert field.tooltip
    assert "minutes" in train.minutes.native.text()
    widget.leave()


def test_the_panel_does_without_torch():
    code = "import sys, napari_localdisc._qt; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
