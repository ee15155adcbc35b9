"""How long work is run: anywhere, as a generator that yields its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from psygnal import Signal

if TYPE_CHECKING:
    from napari_localdisc.core.work import Progress, Steps, T


class Job:
    """One run of long work, told apart from others by its number.

    Parameters
    ----------
    number : int
        Its number.
    must_finish : bool
        Whether it is done even if the program is quit before it began.
    """

    def __init__(self, number: int, must_finish: bool = False) -> None:
        self.number, self.must_finish = number, must_finish
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


def disconnect_all(owner: object) -> None:
    """Let nobody hear an object's signals any more."""
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
