"""Long work in a worker thread of napari's, called back in the GUI thread."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from napari.qt.threading import create_worker
from napari.utils.notifications import notification_manager, show_error, show_warning
from qtpy.QtCore import QObject, QTimer

from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.core.work import Progress, Steps, without_collections

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_localdisc.viewer.work import Job

T = TypeVar("T")


@dataclass(frozen=True)
class _Outcome:
    result: Any = None
    error: Exception | None = None


@dataclass
class _Run:
    """What a run needs; forgotten when it is over, as napari keeps its workers."""

    job: Job
    work: Callable[[], Steps[Any]] | None
    on_progress: Callable[[Progress], None]
    on_result: Callable[[Any], None]
    on_error: Callable[[Exception], None]

    def deliver_progress(self, progress: Progress) -> None:
        if not self.job.cancelled:
            self.on_progress(progress)

    def deliver(self, outcome: _Outcome) -> None:
        on_result, on_error = self.on_result, self.on_error
        self.forget()
        if self.job.cancelled:
            return
        if outcome.error is not None:
            on_error(outcome.error)
        else:
            on_result(outcome.result)

    def forget(self) -> None:
        self.work = None
        self.on_progress = self.on_result = self.on_error = _ignore


def _ignore(anything: object) -> None:
    """Take the place of a callback that is not wanted any more."""


def _local_discrimination(run: _Run) -> Generator[Progress, None, _Outcome]:
    """Do a run's work; errors are returned, not raised.

    napari's workers take every RuntimeError, such as torch's, for their own deletion
    and would never finish.
    """
    if run.work is None:
        return _Outcome()
    steps = run.work()
    try:
        while not run.job.cancelled:
            try:
                progress = next(steps)
            except StopIteration as end:
                return _Outcome(end.value)
            yield progress
    # Whatever it is, it is not lost: the outcome carries it to `on_error`
    except Exception as error:
        return _Outcome(error=error)
    finally:
        steps.close()
    return _Outcome()


def _local_discrimination_to_its_end(run: _Run) -> _Outcome:
    """Do a run's work: quitting drops generators that did not begin, not functions."""
    steps = _local_discrimination(run)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class QtRunner:
    """Runs work off the GUI thread; it can be cancelled between two steps."""

    def start(
        self,
        job: Job,
        work: Callable[[], Steps[T]],
        on_progress: Callable[[Progress], None],
        on_result: Callable[[T], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        """Start ``work`` in a thread; after ``job`` is cancelled nothing comes back."""
        run = _Run(job, work, on_progress, on_result, on_error)
        # Qt would hold a bound method weakly, and nothing else holds the run
        if job.must_finish:
            worker = create_worker(_local_discrimination_to_its_end, run)
        else:
            worker = create_worker(_local_discrimination, run)
            worker.yielded.connect(lambda progress: run.deliver_progress(progress))
        worker.returned.connect(lambda outcome: run.deliver(outcome))
        worker.finished.connect(lambda: run.forget())
        worker.start()


class QtPacer:
    """Calls back from the event loop; the last call for a purpose counts."""

    def __init__(self) -> None:
        self._timers: dict[str, QTimer] = {}
        self._calls: dict[str, Callable[[], None]] = {}

    def soon(self, purpose: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Call in some milliseconds; a call that waits is replaced, not put off."""
        self._calls[purpose] = call
        timer = self._timers.get(purpose)
        if timer is None:
            timer = self._timers[purpose] = QTimer()
            timer.setSingleShot(True)
            timer.timeout.connect(lambda: self._fire(purpose))
        if not timer.isActive():
            timer.start(milliseconds)

    def _fire(self, purpose: str) -> None:
        call = self._calls.pop(purpose, None)
        if call is not None:
            call()

    def stop(self) -> None:
        """Forget all calls that wait."""
        for timer in self._timers.values():
            timer.stop()
        self._timers.clear()
        self._calls.clear()


def report(error: Exception) -> None:
    """Show what the user can put right as a sentence, and anything else as a bug."""
    if isinstance(error, PromptError):
        show_warning(str(error))
    elif isinstance(error, LocalDiscError):
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


class QtTimer:
    """Calls back again and again, in the GUI thread.

    Parameters
    ----------
    parent : QObject
        With which it ends.
    """

    def __init__(self, parent: QObject) -> None:
        self._timer = QTimer(parent)
        self._call: Callable[[], None] = lambda: None
        self._timer.timeout.connect(self._on_timeout)

    @property
    def seconds(self) -> float:
        """The time between two calls; 0 while it is stopped."""
        return self._timer.interval() / 1000 if self._timer.isActive() else 0.0

    def start(self, seconds: float, call: Callable[[], None]) -> None:
        """Call every so many seconds, the first time after that many."""
        self._call = call
        self._timer.start(round(seconds * 1000))

    def stop(self) -> None:
        """Call no longer."""
        self._call = lambda: None
        self._timer.stop()

    def _on_timeout(self) -> None:
        self._call()


STAGES = {
    200: ("napari_localdisc.core.embedding.embed", "napari_localdisc.io.cache"),
    # Later: beside a Cluster that is pressed soon they would be in its way
    6000: (
        "scipy.cluster.hierarchy",  # merges clusters
        "pandas",  # what napari makes Labels layers with
    ),
}
"""Milliseconds after the widget was made, and so drawn → modules."""


def warm_up_soon(widget: QWidget) -> None:
    """Import torch and the rest in threads, unless the widget is gone by then."""
    for delay, modules in STAGES.items():
        timer = QTimer(widget)
        timer.setSingleShot(True)
        timer.timeout.connect(lambda modules=modules: _start(modules))
        timer.start(delay)


def _start(modules: Iterable[str]) -> None:
    # No daemon: libraries that are being loaded when Python ends may crash it
    thread = threading.Thread(target=_load, args=(modules,), name="localdisc warm-up")
    thread.start()


def _load(modules: Iterable[str]) -> None:
    # What is missing is said in a sentence when it is asked for
    with contextlib.suppress(ImportError), without_collections():
        for name in modules:
            importlib.import_module(name)
