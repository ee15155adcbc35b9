"""Damaged files one after the other, in a process of their own that may die.

What input ``index`` of a reader is depends on the seed and the index alone: each can be
made again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import resource
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .readers import READERS, seeds_of

LONGEST = 2.0
"""Seconds of processor time from which an input hangs."""
_LONGEST_WAIT = 60.0
"""Seconds by the clock from which it does if it sleeps; a busy machine may be slow."""
MOST_MEMORY = 500 << 20
"""Bytes above the child's start that reading may take beside what was read."""
_ROOM = 8 << 30
"""Bytes of addresses that a child gets: more is refused by the system."""
_QUICK = Path("/dev/shm")
"""Where Linux keeps files in memory: a disk takes 2 to 13 ms to replace a small one."""


@dataclass(frozen=True)
class Finding:
    """An input that was not read or refused as it should.

    Attributes
    ----------
    kind : {"error", "crash", "hang", "memory"}
        What happened.
    said : str
        Where and what.
    """

    reader: str
    seed: int
    index: int
    kind: str
    said: str


@dataclass
class Report:
    """What came of a reader's inputs."""

    reader: str
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    peak: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """How many were tried."""
        return self.read + self.refused + len(self.findings)


def make_input(name: str, seed: int, index: int) -> tuple[bytes, str]:
    """Return a damaged file, and the name of what it was made of."""
    draw = random.Random(f"{name} {seed} {index}")
    source = draw.choice(seeds_of(name))
    return READERS[name].damage(source.read_bytes(), draw), source.name


def try_readers(
    names: Sequence[str],
    seed: int,
    count: int,
    first: int = 0,
    tell: Callable[[Finding], None] | None = None,
) -> list[Report]:
    """Hand damaged files to readers, ``count`` to each, in one process.

    A child that dies or hangs is replaced. ``tell`` gets each finding at once.
    """
    reports = [Report(name) for name in names]
    context = multiprocessing.get_context("spawn")
    at, end = 0, count * len(names)
    while at < end:
        began = time.monotonic()
        state = context.Array("d", [-1.0] + [0.0] * (_WIDTH * len(names)), lock=False)
        said = context.SimpleQueue()
        inputs = _Inputs(tuple(names), seed, count, first)
        child = context.Process(
            target=_child, args=(inputs, at, state, said), daemon=True
        )
        child.start()
        at = _watch(child, state, said, inputs, reports, end, tell)
        for number, report in enumerate(reports):
            row = state[1 + _WIDTH * number : 1 + _WIDTH * (number + 1)]
            report.read += int(row[_READ])
            report.refused += int(row[_REFUSED])
            report.slowest = max(report.slowest, row[_SLOWEST])
            report.peak = max(report.peak, int(row[_PEAK]))
            report.seconds += (time.monotonic() - began) / len(reports)
    return reports


@dataclass(frozen=True)
class _Inputs:
    """The inputs of several readers, in the order in which they are tried."""

    names: tuple[str, ...]
    seed: int
    count: int
    first: int

    def at(self, place: int) -> tuple[int, int]:
        """Return which reader, by its number, and which of its inputs."""
        number, index = divmod(place, self.count)
        return number, self.first + index


def _watch(
    child: Any,
    state: Any,
    said: Any,
    inputs: _Inputs,
    reports: list[Report],
    end: int,
    tell: Callable[[Finding], None] | None,
) -> int:
    """Follow a child to its end; return the place to go on from."""

    def found(place: int, kind: str, text: str) -> None:
        number, index = inputs.at(place)
        name = inputs.names[number]
        finding = Finding(name, inputs.seed, index, kind, text)
        reports[number].findings.append(finding)
        if tell is not None:
            tell(finding)

    process = psutil.Process(child.pid)
    known, since, used = -1, time.monotonic(), 0.0
    while True:
        alive = child.is_alive()
        while not said.empty():
            found(*said.get())
        if not alive:
            break
        try:
            cpu, status = sum(process.cpu_times()[:2]), process.status()
        except psutil.NoSuchProcess:
            continue
        if state[0] != known:
            known, since, used = int(state[0]), time.monotonic(), cpu
        waited = time.monotonic() - since
        stuck = waited > _LONGEST_WAIT and status == psutil.STATUS_SLEEPING
        if 0 <= known < end and (cpu - used > LONGEST + 1 or stuck):
            child.kill()
            child.join()
            found(known, "hang", f"did not end within {waited:.0f} s")
            return known + 1
        time.sleep(0.05)
    child.join()
    place = int(state[0])
    if place < 0:
        raise RuntimeError(f"the seeds of {', '.join(inputs.names)} cannot be read")
    if place < end:
        found(place, "crash", f"the process ended with code {child.exitcode}")
    return place + 1


_WIDTH = 4
_READ, _REFUSED, _SLOWEST, _PEAK = range(_WIDTH)
"""What a child and its parent share of each reader, after the place it is at."""


def _child(inputs: _Inputs, at: int, state: Any, said: Any) -> None:
    warnings.simplefilter("ignore")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # libtiff and others write to the terminal
    quick = _QUICK if os.access(_QUICK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzzing-", dir=quick) as folder:
        _try(inputs, at, state, said, Path(folder))
    state[0] = inputs.count * len(inputs.names)


def _try(inputs: _Inputs, at: int, state: Any, said: Any, folder: Path) -> None:
    import torch

    from napari_localdisc.core.errors import LocalDiscError

    torch.set_num_threads(1)
    for name in inputs.names:  # what is imported is no fault of an input
        for source in seeds_of(name):
            with contextlib.suppress(LocalDiscError):  # animations, for one
                reader = READERS[name]
                reader.read(reader.put(source.read_bytes(), source.name, folder))
    _limit_addresses()
    start = _memory()
    for place in range(at, inputs.count * len(inputs.names)):
        state[0] = place
        number, index = inputs.at(place)
        name, row = inputs.names[number], 1 + _WIDTH * number
        content, seed_name = make_input(name, inputs.seed, index)
        path = READERS[name].put(content, seed_name, folder)
        _forget_peak()
        began, size = time.process_time(), 0
        try:
            size = READERS[name].read(path)
            state[row + _READ] += 1
        except LocalDiscError:
            state[row + _REFUSED] += 1
        except Exception as error:
            said.put((place, "error", _where(error)))
        took = time.process_time() - began
        above = _memory(peak=True) - start - size
        state[row + _SLOWEST] = max(state[row + _SLOWEST], took)
        state[row + _PEAK] = max(state[row + _PEAK], above)
        if took > LONGEST:
            said.put((place, "hang", f"{took:.1f} s"))
        if above > MOST_MEMORY:
            said.put((place, "memory", f"{above >> 20} MB above the start"))


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "napari_localdisc" in f.filename] or frames
    last = ours[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return f"{place}: {type(error).__name__}: {str(error).splitlines()[:1]}"[:300]


def _limit_addresses() -> None:
    limit = psutil.Process().memory_info().vms + _ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _forget_peak() -> None:
    """Begin to look for the peak of memory anew (Linux alone has that)."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def _memory(*, peak: bool = False) -> int:
    """Return the bytes of memory that this process has, or had at most."""
    key = "VmHWM:" if peak else "VmRSS:"
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return int(psutil.Process().memory_info().rss)
