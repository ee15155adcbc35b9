"""Long work in a worker thread of napari's, called back in the GUI thread."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from napari.qt.threading import create_worker

if TYPE_CHECKING:
    from napari_localdisc.running import Job, Progress, Steps

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
        worker = create_worker(_local_discrimination, run)
        # Qt would hold a bound method weakly, and nothing else holds the run
        worker.yielded.connect(lambda progress: run.deliver_progress(progress))
        worker.returned.connect(lambda outcome: run.deliver(outcome))
        worker.finished.connect(lambda: run.forget())
        worker.start()
