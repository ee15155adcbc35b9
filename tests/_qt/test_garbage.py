"""Garbage is looked for in the thread of the window alone where PySide6 wants it."""

import gc
import threading
import time
from typing import ClassVar

import pytest
import qtpy
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication, QWidget

from napari_localdisc._qt.garbage import Collector, collect_where_windows_are
from napari_localdisc._qt.parts import Docked


@pytest.fixture
def collector(qtbot):
    owner = QObject()
    collector = Collector(owner)
    collector.start()
    yield collector
    collector.stop()


@pytest.fixture
def collections():
    """Threads in which garbage was looked for."""
    threads = set()

    def seen(phase, info):
        threads.add(threading.get_ident())

    gc.callbacks.append(seen)
    yield threads
    gc.callbacks.remove(seen)


class Knot:
    """An object that only a look for garbage ends."""

    ended: ClassVar[list[int]] = []

    def __init__(self) -> None:
        self.myself = self

    def __del__(self) -> None:
        self.ended.append(threading.get_ident())


def test_what_a_thread_leaves_goes_in_the_windows_thread(qtbot, collector, collections):
    Knot.ended.clear()
    thread = threading.Thread(target=lambda: [Knot() for _ in range(20_000)])
    thread.start()
    thread.join()
    assert not Knot.ended
    qtbot.waitUntil(lambda: len(Knot.ended) == 20_000)
    here = threading.get_ident()
    assert set(Knot.ended) == collections == {here}


def test_who_switches_collections_on_meanwhile_is_overruled(qtbot, collector):
    gc.enable()
    qtbot.waitUntil(lambda: not gc.isenabled())
    collector.stop()
    assert gc.isenabled()


class Panel(Docked):
    def leave(self) -> None:
        """Nothing is to be done."""


def test_widgets_of_ours_bring_one_with_pyside(qtbot):
    for _ in range(2):
        qtbot.addWidget(Panel())
    app = QApplication.instance()
    made = [each for each in app.children() if isinstance(each, Collector)]
    assert len(made) == (1 if qtpy.PYSIDE6 else 0)
    qtbot.waitUntil(lambda: gc.isenabled() == (not qtpy.PYSIDE6))


@pytest.mark.skipif(not qtpy.PYSIDE6, reason="PyQt leaves them to the window's thread")
def test_widgets_that_are_garbage_go_in_their_own_thread(qtbot, collections):
    """Without it, this ends the process."""
    collect_where_windows_are()
    gone = []

    class Page(QWidget):
        pass

    def compute() -> None:
        while not end.is_set():
            [Knot() for _ in range(100)]
            time.sleep(0.001)

    end = threading.Event()
    thread = threading.Thread(target=compute)
    thread.start()
    try:
        for number in range(50):
            page = Page()
            page.destroyed.connect(lambda *_: gone.append(threading.get_ident()))
            page.myself = page
            del page
            qtbot.wait(number % 5)
        qtbot.waitUntil(lambda: len(gone) > 20, timeout=20_000)
    finally:
        end.set()
        thread.join()
    assert set(gone) == {threading.get_ident()}
    assert collections == {threading.get_ident()}
