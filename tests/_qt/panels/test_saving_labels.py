"""“Save labels…” in the real widget: written by a worker, from a copy."""

import dataclasses
import subprocess
import sys
import threading

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_localdisc.core.errors import FileError
from napari_localdisc.io.labels import FORMATS, read_labels

SECONDS = 20


class SlowWriter:
    """Writes when it is let, and remembers in which thread."""

    def __init__(self, write) -> None:
        self._write = write
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.threads: list[threading.Thread] = []

    def __call__(self, path, labels):
        self.threads.append(threading.current_thread())
        self.begun.set()
        self.go_on.wait(SECONDS)
        return self._write(path, labels)


@pytest.fixture
def slow(monkeypatch):
    """PNG files take until ``go_on`` is set."""
    png = FORMATS["png"]
    writer = SlowWriter(png.write)
    monkeypatch.setitem(FORMATS, "png", dataclasses.replace(png, write=writer))
    yield writer
    writer.go_on.set()


@pytest.fixture
def widget(viewer, open_widget, picture, wait):
    """The widget, with a class that has pixels."""
    viewer.add_image(picture, name="eye")
    widget = open_widget(viewer)
    widget.similar_panel.button.click()
    wait(widget)
    widget.controller.prompts.add((12, 30))
    widget.controller.prompts.add_mask()
    assert widget.controller.labels_layer.data.any()
    return widget


@pytest.fixture
def press_save(widget, tmp_path, monkeypatch):
    """Press the button and choose a file name in the dialog."""

    def pressed(name="eye.png"):
        path = tmp_path / name
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
        widget.labels_panel.save_button.click()
        return path

    return pressed


@pytest.fixture
def errors(monkeypatch):
    """Sentences that were shown as errors."""
    said: list[str] = []
    monkeypatch.setattr("napari_localdisc._qt.threads.show_error", said.append)
    return said


@pytest.fixture
def told(monkeypatch):
    """Sentences that were shown as news."""
    said: list[str] = []
    monkeypatch.setattr("napari_localdisc._qt.panels.files.show_info", said.append)
    return said


def test_a_worker_writes_what_was_there(viewer, widget, slow, press_save, told, qtbot):
    button, labels = widget.labels_panel.save_button, widget.controller.labels_layer
    before = np.array(labels.data)
    path = press_save()
    qtbot.waitUntil(slow.begun.is_set, timeout=1000 * SECONDS)
    assert slow.threads[0] is not threading.current_thread()
    assert not path.exists()
    assert not button.isEnabled()
    labels.data[:] = 0  # painted over,
    viewer.layers.remove(labels)  # and away, while it is written
    slow.go_on.set()
    qtbot.waitUntil(lambda: bool(told), timeout=1000 * SECONDS)
    assert told == [f"Written: {path}"]
    (saved,) = read_labels(path)
    np.testing.assert_array_equal(saved.labels, before)
    viewer.layers.append(labels)
    qtbot.waitUntil(button.isEnabled, timeout=1000 * SECONDS)


def test_the_widget_may_be_closed_meanwhile(
    viewer, widget, slow, press_save, errors, qtbot
):
    path = press_save()
    qtbot.waitUntil(slow.begun.is_set, timeout=1000 * SECONDS)
    control = widget.export_section.control
    viewer.window.remove_dock_widget(widget)
    viewer.layers.clear()
    slow.go_on.set()
    qtbot.waitUntil(lambda: not control.is_busy, timeout=1000 * SECONDS)
    assert errors == []
    assert read_labels(path)[0].labels.any()


@pytest.mark.parametrize("closed", [False, True])
def test_what_the_writer_cannot_do_is_a_sentence(
    viewer, widget, slow, press_save, errors, qtbot, closed
):
    def full(path, labels):
        raise FileError(f"{path.name} cannot be written: the disk is full.")

    slow._write = full
    path = press_save()
    if closed:
        viewer.window.remove_dock_widget(widget)
    slow.go_on.set()
    qtbot.waitUntil(lambda: bool(errors), timeout=1000 * SECONDS)
    assert errors == ["eye.png cannot be written: the disk is full."]
    assert not path.exists()
    assert closed or widget.labels_panel.save_button.isEnabled()


def test_a_name_that_cannot_be_written_to_is_a_sentence(
    widget, press_save, errors, qtbot
):
    press_save("not a folder")  # also: no ending that says in which format
    assert len(errors) == 1
    assert "no ending that says in which format" in errors[0]
    press_save("first.png")
    qtbot.waitUntil(widget.labels_panel.save_button.isEnabled, timeout=1000 * SECONDS)
    press_save("first.png/second.png")
    qtbot.waitUntil(lambda: len(errors) == 2, timeout=1000 * SECONDS)
    assert "second.png" in errors[1]


QUITS = """
import dataclasses, sys, threading, time
from pathlib import Path
import napari, numpy as np
from qtpy.QtCore import QThreadPool, QTimer
from napari_localdisc.io.labels import FORMATS

png = FORMATS["png"]
begun = threading.Event()

def slow(path, labels):
    begun.set()
    time.sleep(1)
    return png.write(path, labels)

FORMATS["png"] = dataclasses.replace(png, write=slow)
viewer = napari.Viewer()
_, widget = viewer.window.add_plugin_dock_widget(
    "napari-localdisc", "Local discrimination"
)
labels = viewer.add_labels(np.eye(20, dtype=np.uint8))
if sys.argv[2] == "queued":  # behind other work, when napari quits
    pool = QThreadPool.globalInstance()
    pool.waitForDone()
    pool.setMaxThreadCount(1)

    def busy():
        begun.set()
        time.sleep(3)

    napari.qt.threading.create_worker(busy).start()
widget.export_section.control.save(labels, sys.argv[1])

def quit_meanwhile():
    if begun.is_set():
        timer.stop()
        viewer.close()

timer = QTimer()
timer.timeout.connect(quit_meanwhile)
timer.start(10)
napari.run()
"""


@pytest.mark.parametrize("state", ["begun", "queued"])
def test_napari_quits_when_the_file_is_written(tmp_path, state):
    path = tmp_path / "eye.png"
    command = [sys.executable, "-c", QUITS, str(path), state]
    subprocess.run(command, check=True, timeout=100)
    assert read_labels(path)[0].labels.trace() == 20
