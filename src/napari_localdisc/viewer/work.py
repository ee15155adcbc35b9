"""How long work is run: anywhere, as a generator that yields its progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psygnal import Signal

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.work import Progress, Steps, T


@dataclass(eq=False)
class Job:
    """One run of long work.

    Attributes
    ----------
    work : callable
        Makes the generator that does it.
    on_result, on_error : callable
        Take its value, or its error.
    on_progress : callable
        Takes what it yields.
    must_finish : bool
        Whether it is done even if the program is quit before it began.
    cancelled : bool
        Whether it is to stop after its current step.
    """

    work: Callable[[], Steps[Any]]
    on_result: Callable[[Any], None]
    on_error: Callable[[Exception], None]
    on_progress: Callable[[Progress], None] = lambda progress: None
    must_finish: bool = False
    cancelled: bool = False


class Runner:
    """Runs work and calls back in the thread that started it.

    This one does it at once, for scripts and tests.
    """

    def start(self, job: Job) -> None:
        """Start a job; after it is cancelled nothing is called back."""
        steps = job.work()
        while not job.cancelled:
            try:
                progress = next(steps)
            except StopIteration as end:
                job.on_result(end.value)
                return
            except Exception as error:
                job.on_error(error)
                return
            job.on_progress(progress)
        steps.close()


class Slot:
    """Room for one job: what else is started takes its place.

    Results, errors and progress of a job arrive while it is the one in the slot, and
    never after it was cancelled.

    Parameters
    ----------
    runner : Runner
        Runs the work.
    report : callable
        Gets errors that nobody else takes.
    """

    busy_changed = Signal(bool)
    """A job began or ended."""
    progressed = Signal(int, int)
    """Steps done, and in all (0: not known yet)."""

    def __init__(self, runner: Runner, report: Callable[[Exception], None]) -> None:
        self._runner = runner
        self._report = report
        self._job: Job | None = None
        self._dropped: Callable[[], None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether there is a job."""
        return self._job is not None

    def run(
        self,
        work: Callable[[], Steps[T]],
        then: Callable[[T], None],
        *,
        failed: Callable[[Exception], None] | None = None,
        dropped: Callable[[], None] | None = None,
        progressed: Callable[[int, int], None] | None = None,
    ) -> None:
        """Start work, in place of what is running.

        Parameters
        ----------
        work : callable
            Makes the generator that does it.
        then : callable
            Takes its value.
        failed : callable, optional
            Takes its error; by default it is reported.
        dropped : callable, optional
            Called if it is cancelled.
        progressed : callable, optional
            Told of each step, after `progressed` was emitted.
        """
        self.cancel()

        def on_progress(progress: Progress) -> None:
            if job is self._job:
                self.progressed.emit(*progress)
                if progressed is not None:
                    progressed(*progress)

        def ending(call: Callable[[Any], None]) -> Callable[[Any], None]:
            def end(value: Any) -> None:
                if job is self._job:  # else it was cancelled after its last step
                    self._finish()
                    call(value)

            return end

        fail = ending(failed or self._report)
        job = self._job = Job(work, ending(then), fail, on_progress)
        self._dropped = dropped
        self.busy_changed.emit(True)
        self._runner.start(job)

    def cancel(self) -> bool:
        """Drop the job, if there is one: nothing comes of it any more."""
        job, dropped = self._job, self._dropped
        if job is None:
            return False
        job.cancelled = True
        self._finish()
        if dropped is not None:
            dropped()
        return True

    def _finish(self) -> None:
        self._job = self._dropped = None
        self.busy_changed.emit(False)


def run_beside(
    runner: Runner,
    work: Callable[[], T],
    failed: Callable[[Exception], None],
    then: Callable[[T], None] = lambda nothing: None,
    must_finish: bool = False,
) -> None:
    """Start work that is not in the way of other work, and is not cancelled."""

    def steps() -> Steps[T]:
        yield 0, 0
        return work()

    runner.start(Job(steps, then, failed, must_finish=must_finish))


@contextmanager
def reporting(report: Callable[[Exception], None]) -> Iterator[None]:
    """Report what the user can put right; let everything else through."""
    try:
        yield
    except LocalDiscError as error:
        report(error)


def disconnect_all(*owners: object) -> None:
    """Let nobody hear the signals of objects any more."""
    for owner in owners:
        for name in dir(type(owner)):
            if isinstance(getattr(type(owner), name), Signal):
                getattr(owner, name).disconnect()


class Pacer:
    """Does things soon, in the thread that asked for them.

    This one does them at once, for scripts and tests.
    """

    def soon(self, purpose: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Call within some milliseconds.

        While a call for the same purpose waits, it is replaced and not put off.
        """
        call()

    def take(self, steps: Iterator[object]) -> None:
        """Take all steps of something long, and let others in between two of them."""
        for _ in steps:
            pass

    def stop(self) -> None:
        """Forget all calls and steps that wait."""


def raise_error(error: Exception) -> None:
    """Report an error by raising it: what scripts want."""
    raise error
