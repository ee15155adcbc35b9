"""Long work in a worker thread of napari's, called back in the GUI thread."""

import atexit
import contextlib
import importlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils.notifications import notification_manager, show_error, show_warning
from qtpy.QtCore import QCoreApplication, QObject, QTimer
from qtpy.QtWidgets import QWidget
from superqt.utils import WorkerBase, qthrottled

from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.core.work import Progress, run, without_collections
from napari_localdisc.viewer.work import Job, Pacer, Runner

# A script may end without napari's event loop, which waits for them
atexit.register(WorkerBase.await_workers)


def _local_discrimination(
    held: list[Job],
) -> Generator[Progress, None, tuple[str, Any]]:
    """Do the work; return what is to be called with what.

    Errors are not raised: napari's workers take every RuntimeError, such as torch's,
    for their own deletion and would never finish.
    """
    job = held[0]
    steps = job.work()
    try:
        while not job.cancelled:
            try:
                progress = next(steps)
            except StopIteration as end:
                return "on_result", end.value
            yield progress
    # Whatever it is, it is not lost: `on_error` gets it
    except Exception as error:
        return "on_error", error
    finally:
        steps.close()
    return "cancelled", None


def _local_discrimination_to_its_end(held: list[Job]) -> tuple[str, Any]:
    """Do all of it: quitting drops generators that did not begin, not functions."""
    return run(_local_discrimination(held))


class _Worker(GeneratorWorker):
    """Ends its generator in its own thread, also where napari asks it to quit.

    By itself it only forgets it then: threads that the work has made would go on.
    """

    def work(self) -> Any:
        """Take all steps."""
        try:
            return super().work()
        finally:
            self._gen.close()


class QtRunner(Runner):
    """Runs work off the GUI thread; it can be cancelled between two steps."""

    def start(self, job: Job) -> None:
        """Start a job in a thread; after it is cancelled nothing comes back."""
        # napari keeps its workers: what they need is forgotten when they have ended
        held = [job]

        def call(name: str, value: Any) -> None:
            if not held[0].cancelled:
                getattr(held[0], name)(value)

        if job.must_finish:
            worker = create_worker(_local_discrimination_to_its_end, held)
        else:
            worker = create_worker(_local_discrimination, held, _worker_class=_Worker)
            worker.yielded.connect(lambda progress: call("on_progress", progress))
        worker.returned.connect(lambda outcome: call(*outcome))
        worker.finished.connect(lambda: held.clear())
        _delete_where_it_lives(worker.signals, after=worker)
        worker.start()


def _delete_where_it_lives(qobject: QObject, after: object) -> None:
    """Have Qt delete an object in its own thread, once another is gone.

    A worker's signals go with it, in its own thread if that is the last to let it go,
    and PySide6 deletes them there, in the middle of an event for them at worst.
    """
    qobject.setParent(QCoreApplication.instance())
    weakref.finalize(after, qobject.deleteLater).atexit = False


class QtPacer(Pacer):
    """Calls back from the event loop; the last call for a purpose counts."""

    def __init__(self) -> None:
        self._calls: dict[str, Callable[[], None]] = {}
        self._throttled: dict[str, Any] = {}
        self._long: deque[Iterator[object]] = deque()

    def soon(self, purpose: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Call in some milliseconds; a call that waits is replaced, not put off."""
        if purpose not in self._throttled:
            fire = partial(self._fire, purpose)
            self._throttled[purpose] = qthrottled(fire, leading=False)
        if purpose not in self._calls:
            self._throttled[purpose].setTimeout(milliseconds)
        self._calls[purpose] = call
        self._throttled[purpose]()

    def _fire(self, purpose: str) -> None:
        self._calls.pop(purpose, lambda: None)()

    def take(self, steps: Iterator[object]) -> None:
        """Take one step each time that the event loop has nothing else to do."""
        self._long.append(steps)
        if len(self._long) == 1:
            QTimer.singleShot(0, self._step)

    def _step(self) -> None:
        if not self._long:
            return
        steps, going_on = self._long[0], False
        try:
            going_on = next(steps, self) is not self
        finally:  # where all is forgotten meanwhile there is nothing left
            if not going_on and steps in self._long:
                self._long.remove(steps)
            if self._long:
                QTimer.singleShot(0, self._step)

    def stop(self) -> None:
        """Forget all calls and steps that wait."""
        self._calls.clear()
        self._long.clear()


def report(error: Exception) -> None:
    """Show what the user can put right as a sentence, and anything else as a bug."""
    if isinstance(error, PromptError):
        show_warning(str(error))
    elif isinstance(error, LocalDiscError):
        show_error(str(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


STAGES = {
    200: ("napari_localdisc.core.embedding.embed", "napari_localdisc.io.cache"),
    # Later: beside a Cluster that is pressed soon they would be in its way
    6000: (
        "scipy.cluster.hierarchy",  # merges clusters
        "pandas",  # what napari makes Labels layers with
        "matplotlib.backends.backend_qtagg",  # plots of what was measured
        "matplotlib.figure",
    ),
}
"""Milliseconds after the widget was made, and so drawn → modules."""


def warm_up_soon(widget: QWidget) -> None:
    """Import torch and the rest in threads, unless the widget is gone by then."""
    for delay, modules in STAGES.items():
        # No daemon: libraries that are being loaded when Python ends may crash it
        thread = threading.Thread(
            target=_load, args=(modules,), name="localdisc warm-up"
        )
        timer = QTimer(widget)
        timer.setSingleShot(True)
        timer.timeout.connect(lambda thread=thread: thread.start())
        timer.start(delay)


def _load(modules: Iterable[str]) -> None:
    # What is missing is said in a sentence when it is asked for
    with contextlib.suppress(ImportError), without_collections():
        for name in modules:
            importlib.import_module(name)
