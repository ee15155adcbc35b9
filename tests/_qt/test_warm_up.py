"""What the first click needs is loaded while the window is looked at."""

import threading

import pytest
from qtpy.QtWidgets import QWidget

from napari_localdisc._qt import warm_up


@pytest.fixture
def loaded(monkeypatch):
    """Names of the threads that loaded."""
    threads = []
    monkeypatch.setattr(warm_up, "DELAY_MILLISECONDS", 20)
    monkeypatch.setattr(
        warm_up, "_load", lambda: threads.append(threading.current_thread())
    )
    return threads


def test_loads_in_a_thread_of_its_own_once_the_widget_is_there(qtbot, loaded):
    widget = QWidget()
    qtbot.addWidget(widget)
    warm_up.warm_up_soon(widget)
    assert loaded == []
    qtbot.waitUntil(lambda: len(loaded) == 1)
    assert loaded[0] is not threading.main_thread()


def test_a_widget_that_is_gone_loads_nothing(qtbot, loaded):
    widget = QWidget()
    warm_up.warm_up_soon(widget)
    widget.deleteLater()
    del widget
    qtbot.wait(100)
    assert loaded == []
