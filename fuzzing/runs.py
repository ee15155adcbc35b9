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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .readers import READERS, seeds_of

LONGEST = 2.0
"""Seconds of processor time from which an input hangs."""
_LONGEST_WAIT = 20.0
"""Seconds by the clock from which it does, whoever else has the processor."""
MOST_MEMORY = 500 << 20
"""Bytes above the child's start that reading may take beside what was read."""
_ROOM = 8 << 30
"""Bytes of addresses that a child gets: more is refused by the system."""


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


def try_reader(name: str, seed: int, count: int, first: int = 0) -> Report:
    """Hand damaged files to a reader; a child that dies or hangs is replaced."""
    report = Report(name)
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    end = first + count
    while first < end:
        state = context.Array("d", (-1, 0, 0, 0, 0), lock=False)
        said = context.SimpleQueue()
        child = context.Process(
            target=_child, args=(name, seed, first, end, state, said), daemon=True
        )
        child.start()
        first = _watch(child, state, said, report, seed, end)
        _, read, refused, slowest, peak = state
        report.read += int(read)
        report.refused += int(refused)
        report.slowest = max(report.slowest, slowest)
        report.peak = max(report.peak, int(peak))
    report.seconds = time.monotonic() - started
    return report


def _watch(
    child: Any, state: Any, said: Any, report: Report, seed: int, end: int
) -> int:
    """Follow a child to its end; return the input to go on from."""

    def found(index: int, kind: str, text: str) -> None:
        report.findings.append(Finding(report.reader, seed, index, kind, text))

    process = psutil.Process(child.pid)
    known, since, used = -1, time.monotonic(), 0.0
    while True:
        alive = child.is_alive()
        while not said.empty():
            found(*said.get())
        if not alive:
            break
        try:
            cpu = sum(process.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
        if state[_INDEX] != known:
            known, since, used = int(state[_INDEX]), time.monotonic(), cpu
        waited = time.monotonic() - since
        if known >= 0 and (cpu - used > LONGEST + 1 or waited > _LONGEST_WAIT):
            child.kill()
            child.join()
            found(known, "hang", f"did not end within {waited:.0f} s")
            return known + 1
        time.sleep(0.05)
    child.join()
    at = int(state[_INDEX])
    if at < 0:
        raise RuntimeError(f"{report.reader}: the seeds cannot be read")
    if at < end:
        found(at, "crash", f"the process ended with code {child.exitcode}")
    return at + 1


_INDEX, _READ, _REFUSED, _SLOWEST, _PEAK = range(5)
"""What a child and its parent share."""


def _child(name: str, seed: int, first: int, end: int, state: Any, said: Any) -> None:
    warnings.simplefilter("ignore")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 2)  # libtiff and others write to the terminal
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as folder:
        _try(name, seed, range(first, end), state, said, Path(folder))
    state[_INDEX] = end


def _try(
    name: str, seed: int, inputs: range, state: Any, said: Any, folder: Path
) -> None:
    import torch

    from napari_localdisc.core.errors import LocalDiscError

    torch.set_num_threads(1)
    reader = READERS[name]
    for source in seeds_of(name):  # what is imported is no fault of an input
        with contextlib.suppress(LocalDiscError):  # animations, for one
            reader.read(reader.put(source.read_bytes(), source.name, folder))
    _limit_addresses()
    start = _memory()
    for index in inputs:
        state[_INDEX] = index
        content, seed_name = make_input(name, seed, index)
        path = reader.put(content, seed_name, folder)
        _forget_peak()
        began, size = time.process_time(), 0
        try:
            size = reader.read(path)
            state[_READ] += 1
        except LocalDiscError:
            state[_REFUSED] += 1
        except Exception as error:
            said.put((index, "error", _where(error)))
        took = time.process_time() - began
        above = _memory(peak=True) - start - size
        state[_SLOWEST] = max(state[_SLOWEST], took)
        state[_PEAK] = max(state[_PEAK], above)
        if took > LONGEST:
            said.put((index, "hang", f"{took:.1f} s"))
        if above > MOST_MEMORY:
            said.put((index, "memory", f"{above >> 20} MB above the start"))


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
