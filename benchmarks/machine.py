"""What a measurement was made on, and medians of repeated runs."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch


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


def median_seconds(work: Callable[[], object], runs: int = 7) -> float:
    """Return the median time of ``runs`` calls, after one that does not count."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
