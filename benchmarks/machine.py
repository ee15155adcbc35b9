"""What a measurement was made on, and medians of repeated runs."""

from __future__ import annotations

import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import numpy as np

RUNS = 7

Row = tuple[object, ...]


def describe() -> str:
    """Return the processor, its threads and the versions in one line."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    flags = information.read_text() if information.is_file() else ""
    bfloat16 = next((f for f in ("amx_bf16", "avx512_bf16") if f in flags), "none")
    return (
        f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, bfloat16 "
        f"instructions: {bfloat16}, load {os.getloadavg()[0]:.1f}, Python "
        f"{platform.python_version()}, torch {torch.__version__}"
    )


def interleaved(
    works: Mapping[str, Callable[[], object]], least: int = 1
) -> dict[str, float]:
    """Return the median seconds of each work, run in turn after one round of warm-up.

    Whatever else the machine does then touches all of them alike.  There are `RUNS`
    runs, or ``least`` of short works; one where only a trial was asked for.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(max(RUNS, least) if RUNS > 1 else 1):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def matrix_product(dtype: torch.dtype, size: int = 2048) -> Callable[[], object]:
    """Return a matrix product to measure the peak by: 2 · size³ operations."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return lambda: torch.mm(a, b)


def retina() -> np.ndarray[Any, Any]:
    """Return the sample photograph, (1411, 1411, 3) uint8."""
    from napari_localdisc.io.samples import open_retina

    image: np.ndarray[Any, Any] = open_retina()[0][0]
    return image


def table(columns: str, rows: Sequence[Row]) -> str:
    """Return a Markdown table; ``columns`` are separated by bars."""
    names = columns.split("|")
    lines = [names, ["---"] * len(names), *([str(v) for v in row] for row in rows)]
    joined = (" | ".join(name.strip() for name in line) for line in lines)
    return "\n".join(f"| {line} |" for line in joined)


def verdict(value: float, limit: float, *, at_least: bool = False) -> str:
    """Say whether a claim holds."""
    return "yes" if (value >= limit if at_least else value <= limit) else "**no**"


def script(
    code: str, environ: Mapping[str, str] | None = None, *, window: bool = False
) -> float:
    """Run Python code in a process of its own; return the number it prints last.

    One with a window gets a virtual screen where there is no other.
    """
    command = [sys.executable, "-c", code]
    if window:
        from napari_localdisc.cli.screen import has_screen, on_virtual_screen

    if window and not has_screen():
        command = on_virtual_screen(command, 1600, 900)
    given = dict(environ if environ is not None else os.environ)
    given.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have theirs
    finished = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=given,
    )
    if finished.returncode:
        raise RuntimeError(finished.stderr[-2000:])
    return float(finished.stdout.split()[-1])


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # what Linux says elsewhere includes the parent's
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
