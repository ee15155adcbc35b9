"""How long work is run: anywhere, as a generator that yields its progress."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from psygnal import Signal

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.work import Progress, Steps, T


class Job:
    """One run of long work.

    Parameters
    ----------
    must_finish : bool
        Whether it is done even if the program is quit before it began.
    """

    def __init__(self, must_finish: bool = False) -> None:
        self.must_finish = must_finish
        self.cancelled = False

    def cancel(self) -> None:
        """Ask the work to stop after its current step."""
        self.cancelled = True


class Runner(Protocol):
    """Runs work and calls back in the thread that started it."""

    def start(
        self,
        job: Job,
        work: Callable[[], Steps[T]],
        on_progress: Callable[[Progress], None],
        on_result: Callable[[T], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        """Start ``work``; after ``job`` is cancelled nothing is called back."""


class SynchronousRunner:
    """Does the work at once: for scripts and tests."""

    def start(
        self,
        job: Job,
        work: Callable[[], Steps[T]],
        on_progress: Callable[[Progress], None],
        on_result: Callable[[T], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        """Run ``work`` to its end before returning; errors go to ``on_error``."""
        steps = work()
        while not job.cancelled:
            try:
                progress = next(steps)
            except StopIteration as end:
                on_result(end.value)
                return
            except Exception as error:
                on_error(error)
                return
            on_progress(progress)
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
        job = self._job = Job()
        self._dropped = dropped
        self.busy_changed.emit(True)

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

        self._runner.start(
            job, work, on_progress, ending(then), ending(failed or self._report)
        )

    def cancel(self) -> bool:
        """Drop the job, if there is one: nothing comes of it any more."""
        job, dropped = self._job, self._dropped
        if job is None:
            return False
        job.cancel()
        self._finish()
        if dropped is not None:
            dropped()
        return True

    def _finish(self) -> None:
        self._job = self._dropped = None
        self.busy_changed.emit(False)


def run_beside(
    runner: Runner,
    work: Callable[[], Steps[T]],
    then: Callable[[T], None],
    failed: Callable[[Exception], None],
) -> None:
    """Start work that is not in the way of other work, and is not cancelled."""
    runner.start(Job(), work, _ignore, then, failed)


def _ignore(anything: Any) -> None:
    """Take what nobody waits for."""


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


class Pacer(Protocol):
    """Does things soon, in the thread that asked for them."""

    def soon(self, purpose: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Call within some milliseconds.

        While a call for the same purpose waits, it is replaced and not put off.
        """

    def stop(self) -> None:
        """Forget all calls that wait."""


class AtOnce:
    """Does everything at once: for scripts and tests."""

    def soon(self, purpose: str, milliseconds: int, call: Callable[[], None]) -> None:
        """Call now."""
        call()

    def stop(self) -> None:
        """Nothing waits."""


def raise_error(error: Exception) -> None:
    """Report an error by raising it: what scripts want."""
    raise error
