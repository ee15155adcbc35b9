"""What the first clicks need is loaded while the window is looked at."""

import importlib.util
import threading

import pytest
from qtpy.QtWidgets import QWidget

from napari_localdisc._qt import threads as warm_up


@pytest.fixture
def loaded(monkeypatch):
    """Names that were imported, each with its thread."""
    made = []

    def load(name):
        made.append((name, threading.current_thread()))
        if name == "missing":
            raise ImportError(name)

    stages = {20: ("missing", "next"), 60: ("later",)}
    monkeypatch.setattr(warm_up, "STAGES", stages)
    monkeypatch.setattr(importlib, "import_module", load)
    return made


def test_loads_in_threads_of_its_own_once_the_widget_is_there(qtbot, loaded):
    widget = QWidget()
    qtbot.addWidget(widget)
    warm_up.warm_up_soon(widget)
    assert loaded == []
    qtbot.waitUntil(lambda: len(loaded) == 2)
    # What is missing is no reason to fail here
    assert [name for name, _ in loaded] == ["missing", "later"]
    assert threading.main_thread() not in [thread for _, thread in loaded]


def test_a_widget_that_is_gone_loads_nothing(qtbot, loaded):
    widget = QWidget()
    warm_up.warm_up_soon(widget)
    widget.deleteLater()
    del widget
    qtbot.wait(150)
    assert loaded == []


def test_what_is_loaded_is_there():
    for modules in warm_up.STAGES.values():
        for name in modules:
            assert importlib.util.find_spec(name)
