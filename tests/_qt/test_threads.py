"""What is loaded early, what is done soon, and what is done in a thread."""

import gc
import importlib.util
import threading
import weakref
from functools import partial
from itertools import pairwise

import pytest
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QWidget

from napari_localdisc._qt import threads as warm_up
from napari_localdisc._qt.threads import QtPacer, QtRunner
from napari_localdisc.viewer.work import Job


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


# The pacer


def test_the_last_call_for_a_purpose_counts(qtbot):
    pacer, called = QtPacer(), []
    for number in range(3):
        pacer.soon("draw", 30, partial(called.append, number))
    pacer.soon("save", 60_000, partial(called.append, "save"))
    assert called == []
    qtbot.waitUntil(lambda: called == [2])
    pacer.soon("draw", 0, partial(called.append, "at once"))
    qtbot.waitUntil(lambda: called == [2, "at once"])
    pacer.soon("draw", 20, partial(called.append, "never"))
    pacer.stop()
    qtbot.wait(100)
    assert called == [2, "at once"]


def test_a_call_that_waits_is_not_put_off(qtbot):
    pacer, called = QtPacer(), []
    for number in range(100):
        pacer.soon("draw", 50, partial(called.append, number))
        qtbot.wait(10)
    assert len(called) > 3


# The runner


class Result:
    """Something that is large."""


def test_what_is_long_is_done_a_step_at_a_time(qtbot):
    pacer, done = QtPacer(), []

    def steps(name, fails=False):
        for number in range(3):
            done.append((name, number))
            QTimer.singleShot(0, lambda: done.append("others"))
            yield
            if fails:
                raise ValueError("in the middle")

    with qtbot.captureExceptions() as raised:
        pacer.take(steps("a"))
        pacer.take(steps("b", fails=True))
        pacer.take(steps("c"))
        assert done == []
        qtbot.waitUntil(lambda: ("c", 2) in done)
    assert [str(error) for _, error, _ in raised] == ["in the middle"]
    own = [each for each in done if each != "others"]
    assert own == [
        *(("a", k) for k in range(3)),
        ("b", 0),
        *(("c", k) for k in range(3)),
    ]
    assert not any(one != "others" != other for one, other in pairwise(done[:6]))


def test_what_is_long_ends_with_the_window(qtbot):
    pacer, done = QtPacer(), []

    def steps():
        done.append("begun")
        yield
        pacer.stop()
        yield
        done.append("too late")

    pacer.take(steps())
    qtbot.waitUntil(lambda: "begun" in done)
    qtbot.wait(60)
    assert "too late" not in done


def test_what_a_run_made_is_not_kept(qtbot):
    made, shown = [], []

    def work():
        yield 1, 1
        result = Result()
        made.append(weakref.ref(result))
        return result

    def on_result(result):
        shown.append(type(result))

    QtRunner().start(Job(work, on_result, pytest.fail))
    gone = weakref.ref(on_result)
    del on_result
    qtbot.waitUntil(lambda: shown == [Result], timeout=5000)

    def forgotten():
        gc.collect()
        return made[0]() is None and gone() is None

    qtbot.waitUntil(forgotten, timeout=5000)


def test_errors_come_back_and_a_cancelled_run_says_nothing(qtbot):
    heard, go_on = [], threading.Event()

    def broken():
        yield 1, 2
        go_on.wait(5)
        raise RuntimeError("not enough memory")

    jobs = [Job(broken, heard.append, heard.append) for _ in range(2)]
    for job in jobs:
        QtRunner().start(job)
    jobs[1].cancelled = True
    go_on.set()
    qtbot.waitUntil(lambda: bool(heard), timeout=5000)
    qtbot.wait(100)
    assert [str(error) for error in heard] == ["not enough memory"]


def test_a_workers_signals_are_deleted_where_they_live(qtbot, monkeypatch):
    """By PySide6 else in the worker's thread, if that lets it go last."""
    made, gone = [], []

    def create(*arguments, **options):
        worker = create_worker(*arguments, **options)
        worker.signals.destroyed.connect(
            lambda *_: gone.append(threading.get_ident()),
            Qt.ConnectionType.DirectConnection,
        )
        worker.start = lambda: made.append(worker)
        return worker

    create_worker = warm_up.create_worker
    monkeypatch.setattr(warm_up, "create_worker", create)
    QtRunner().start(Job(lambda: iter(()), lambda value: None, pytest.fail))

    def let_go() -> None:
        made.pop().start = None
        gc.collect()

    gc.collect()
    thread = threading.Thread(target=let_go)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: gone == [threading.get_ident()])
