"""Sessions, concepts and scripts from the panel and from File > Open."""

import os
import subprocess
import sys

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_localdisc._qt import MainWidget
from napari_localdisc._qt.panels.files import CrashNotice
from napari_localdisc.annotation.state import Prompt
from napari_localdisc.io.session import crashed_sessions, read_session
from napari_localdisc.viewer.plugin import get_concept_reader, get_session_reader


@pytest.fixture
def file(tmp_path, picture):
    path = tmp_path / "eye.png"
    Image.fromarray((picture * 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def sessions_folder(tmp_path, monkeypatch):
    folder = tmp_path / "autosaves"
    monkeypatch.setenv("LOCALDISC_SESSIONS", str(folder))
    return folder


@pytest.fixture
def widget(viewer, file, open_widget, wait, sessions_folder):
    viewer.open(file, plugin="napari")
    widget = open_widget(viewer)
    widget.controller.classes.add("disc", "#00ff00")
    widget.controller.prompts.add((12, 30))
    wait(widget)
    widget.controller.prompts.add_mask()
    wait(widget)
    widget.controller.prompts.add((20, 21))
    wait(widget)
    return widget


@pytest.fixture
def choose(monkeypatch):
    """Answer file dialogs."""

    def answered(path):
        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda *given: (str(path), ""))

    return answered


def wait_for(qtbot, happened):
    qtbot.waitUntil(happened, timeout=20_000)


def open_from_menu(viewer, path):
    """Do what File > Open does after its dialog."""
    viewer.window._qt_viewer._qt_open([str(path)], stack=False)


def test_saved_and_opened_from_the_panel(
    widget, viewer, qtbot, choose, tmp_path, make_napari_viewer, open_widget, wait
):
    choose(tmp_path / "mine.localdisc")
    labels = widget.controller.labels_layer.data.copy()
    widget.session_section.save_button.click()
    wait_for(qtbot, (tmp_path / "mine.localdisc").exists)
    second = open_widget(make_napari_viewer(show=True))
    second.session_section.open_button.click()
    wait_for(qtbot, lambda: second.controller.labels_layer is not None)
    wait(second)
    np.testing.assert_array_equal(second.controller.labels_layer.data, labels)
    assert second.controller.prompts.points == (Prompt(20, 21),)
    # An answer of “Cancel” does nothing
    choose("")
    for button in (
        second.session_section.save_button,
        second.session_section.open_button,
    ):
        button.click()


def test_file_open_of_a_session_and_of_a_concept(
    widget, viewer, qtbot, docked, choose, tmp_path, make_napari_viewer, wait
):
    session, concept = tmp_path / "a.localdisc", tmp_path / "disc.concept.safetensors"
    widget.sessions.save(session)
    choose(concept)
    widget.concept_section.save_prompts.trigger()
    wait_for(qtbot, lambda: session.exists() and concept.exists())
    before = widget.controller.labels_layer.data.copy()
    viewer.close()
    other = make_napari_viewer(show=True)
    open_from_menu(other, session)
    (restored,) = docked(other, MainWidget)
    wait_for(qtbot, lambda: restored.controller.labels_layer is not None)
    wait(restored)
    np.testing.assert_array_equal(restored.controller.labels_layer.data, before)
    open_from_menu(other, concept)
    wait_for(qtbot, lambda: "eye disc" in other.layers)
    assert other.layers["eye disc"].data.any()


def test_readers_take_what_is_theirs():
    assert get_session_reader("a.localdisc") is not None
    assert get_session_reader(["a.localdisc", "b.png"]) is None
    assert get_concept_reader("a.concept.safetensors") is not None
    assert get_concept_reader("fundus.safetensors") is None


def test_session_opened_without_a_viewer_gives_its_labels(
    widget, qtbot, tmp_path, monkeypatch
):
    import napari

    widget.sessions.save(tmp_path / "a")
    path = tmp_path / "a.localdisc"
    wait_for(qtbot, path.exists)
    monkeypatch.setattr(napari, "current_viewer", lambda: None)
    ((data, attributes, kind),) = get_session_reader(str(path))(str(path))
    assert kind == "labels"
    np.testing.assert_array_equal(data, widget.controller.labels_layer.data)
    assert attributes["name"] == widget.controller.labels_layer.name


def test_copied_script_is_python(widget, qtbot, file):
    clipboard = QApplication.clipboard()
    clipboard.setText("what another test left")
    widget.session_section.copy_button.click()
    wait_for(qtbot, lambda: repr(str(file)) in clipboard.text())
    compile(clipboard.text(), "script.py", "exec")


def test_concept_menus_offer_what_there_is(widget, qtbot, choose, tmp_path):
    section = widget.concept_section
    section.save_button.menu().aboutToShow.emit()
    assert section.save_prompts.isEnabled()
    assert not section.save_classes.isEnabled()
    choose(tmp_path / "disc.concept.safetensors")
    section.save_prompts.trigger()
    wait_for(qtbot, (tmp_path / "disc.concept.safetensors").exists)
    section.apply_to_all.trigger()
    viewer = widget.controller.workspace.viewer
    wait_for(qtbot, lambda: "eye disc" in viewer.layers)


def beats(widget) -> list[int]:
    """Milliseconds of the timers that go on and on."""
    timers = [t for t in widget.findChildren(QTimer) if not t.isSingleShot()]
    return [timer.interval() for timer in timers if timer.isActive()]


def test_autosaved_every_minute_and_removed_when_closed(
    widget, viewer, qtbot, sessions_folder
):
    saver = widget.autosaver
    assert beats(widget) == [60_000]
    wait_for(qtbot, saver.path.exists)  # labels were written
    count = len(read_session(saver.path).labels)
    assert count == 1
    assert widget.crash_notice.isHidden()
    viewer.window.remove_dock_widget(widget.parent())
    wait_for(qtbot, lambda: not saver.path.exists())
    assert beats(widget) == []


LEFT_BEHIND = """
import os, sys
from napari_localdisc.io.session import Autosave, read_session

left = Autosave()
left.write(read_session(sys.argv[1]))
os._exit(9)
"""


def test_what_a_crash_left_is_offered(
    widget, viewer, qtbot, sessions_folder, make_napari_viewer, open_widget, wait
):
    wait_for(qtbot, widget.autosaver.path.exists)
    command = [sys.executable, "-c", LEFT_BEHIND, str(widget.autosaver.path)]
    for _ in range(2):
        subprocess.run(command, env={**os.environ}, check=False, timeout=100)
    newest, oldest = crashed_sessions()
    second = open_widget(make_napari_viewer(show=True))
    notice = second.crash_notice
    assert not notice.isHidden()
    assert "Your work of" in notice.text.text()
    notice.discard_button.click()
    assert not newest.path.exists()
    assert not notice.isHidden()  # there is an older one
    notice.restore_button.click()
    wait_for(qtbot, lambda: second.controller.labels_layer is not None)
    wait(second)
    np.testing.assert_array_equal(
        second.controller.labels_layer.data, widget.controller.labels_layer.data
    )
    wait_for(qtbot, lambda: not oldest.path.exists())
    assert notice.isHidden()
    assert CrashNotice(second.autosaver).isHidden()


def test_what_is_not_as_it_was_is_shown(
    widget, qtbot, file, tmp_path, make_napari_viewer, open_widget
):
    path = tmp_path / "a.localdisc"
    widget.sessions.save(path)
    wait_for(qtbot, path.exists)
    file.unlink()
    second = open_widget(make_napari_viewer(show=True))
    said = []
    second.sessions.opened.connect(said.extend)
    second.sessions.open(path)
    wait_for(qtbot, lambda: bool(said))
    assert "is gone" in said[0]
    assert said[0] in [record.message for record in notification_manager.records]
    assert "eye labels" in second.controller.workspace.viewer.layers
