"""Long work that is done step by step, run to its end."""

import ctypes
import gc
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from .errors import Cancelled

T = TypeVar("T")
Progress = tuple[int, int]
"""Steps done, and steps in all: 0 while that is not known."""

Steps = Generator[Progress, None, T]


def run(
    steps: Steps[T],
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> T:
    """Take all steps; return what the generator returns.

    Parameters
    ----------
    steps : generator
        Yields (steps done, steps in all).
    progress : callable, optional
        Called with both after each step.
    cancel : callable, optional
        Asked before each step; true stops the work.

    Raises
    ------
    Cancelled
        If ``cancel`` said so.
    """
    while True:
        if cancel is not None and cancel():
            steps.close()
            raise Cancelled("The work on the image was cancelled.")
        try:
            done, total = next(steps)
        except StopIteration as finished:
            result: T = finished.value
            return result
        if progress is not None:
            progress(done, total)


# Parameters of glibc's mallopt and their usual values
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_USUAL = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_MAX: 65536}
_LARGEST = 2**31 - 1

_lock = threading.Lock()
_users = 0


@contextmanager
def reused_memory() -> Iterator[None]:
    """Keep freed memory for the next tensors, and give it back at the end.

    A network asks for the same large tensors step after step.  Linux hands each of
    them out anew, page by page; where that is slow it is a fifth of the time of a
    training step.  Does nothing where the C library is not glibc.
    """
    global _users  # the allocator is one for the whole process
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        yield
        return
    with _lock:
        _users += 1
        if _users == 1:
            mallopt(_MMAP_MAX, 0)
            mallopt(_TRIM_THRESHOLD, _LARGEST)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                for parameter, value in _USUAL.items():
                    mallopt(parameter, value)
                trim(0)


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep Python from looking for garbage among modules that are being imported.

    It would look through all of a running napari again and again: half a second for
    torch.  Where something else has switched it off, it stays off.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def torch_threads(count: int, cores_each: int = 1) -> Iterator[ThreadPoolExecutor]:
    """Give threads that compute side by side instead of all together on one image."""
    import torch

    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        count, "localdisc", torch.set_num_threads, (max(1, cores_each),)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
