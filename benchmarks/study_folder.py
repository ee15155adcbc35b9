"""Claim: 200 images of 2 megapixels are proposed and measured in bounded memory.

``localdisc study`` on links to the sample retina, in processes of their own.  When a
third is proposed the process is killed (SIGKILL) and started again: what was done stays
and nothing is done twice.  Memory is the largest that each process took; bounded: of
the last half of the images no more than of the first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from PIL import Image

from napari_localdisc.io.study import Study

from . import machine
from .machine import Row, retina, table, verdict

NEEDS_DATA = False
COUNT = int(os.environ.get("LOCALDISC_STUDY_IMAGES", "200"))
"""Fewer, where the processor does not allow so many: the table says how many."""

GROWTH = 1.15


def run() -> str:
    """Propose, be killed, go on, measure."""
    count = COUNT if machine.RUNS > 1 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = folder / "picture.png"
        Image.fromarray(retina()).save(picture)
        scans = folder / "scans"
        scans.mkdir()
        for number in range(count):
            (scans / f"p{number:03}_OD.png").symlink_to(picture)
        call("new", scans, "-s", "vessel", "-s", "optic disc").wait()
        study = Study(scans)

        def proposed() -> int:
            return sum(bool(image.proposed_by) for image in study.images(""))

        wanted = max(1, count // 3)
        rows = [watch("killed", "propose", scans, count, proposed, wanted)]
        before = proposed()
        rows.append(watch("gone on", "propose", scans, count - before, proposed))
        assert proposed() == count
        output = folder / "study.csv"
        rows.append(
            watch("measured", "table", scans, count, lambda: 0, None, "-o", output)
        )
        lines = len(output.read_text("utf-8").splitlines()) - 1
        size = study.path.stat().st_size / count / 1024
    head = (
        f"{count} images of {retina().size / 3e6:.1f} megapixels; killed after "
        f"{before}; a table of {lines} rows; {size:.0f} kB an image in the study's "
        "file."
    )
    columns = "work | images | seconds an image | largest memory, MB | growth | holds"
    return f"{head}\n\n{table(columns, rows)}"


def call(*arguments: object) -> subprocess.Popen[bytes]:
    """Start `localdisc study`."""
    command = [sys.executable, "-m", "napari_localdisc", "study", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def watch(
    title: str,
    what: str,
    scans: Path,
    count: int,
    done: Callable[[], int],
    kill_at: int | None = None,
    *more: object,
) -> Row:
    """Run a command to its end, or until so many are done; say what it took."""
    start = time.perf_counter()
    process = call(what, scans, *more)
    own = psutil.Process(process.pid)
    taken: list[int] = []
    while process.poll() is None:
        try:
            taken.append(own.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        if kill_at is not None and done() >= kill_at:
            process.send_signal(signal.SIGKILL)
            count = done()
            break
        time.sleep(0.1)
    code = process.wait()
    if code != (0 if kill_at is None else -signal.SIGKILL):
        raise RuntimeError(f"localdisc study {what} ended with {code}")
    seconds = time.perf_counter() - start
    # The first tenth is Python, torch and the model being loaded
    settled = taken[len(taken) // 10 :]
    half = len(settled) // 2
    growth = max(settled[half:]) / max(settled[:half])
    return (
        title,
        count,
        f"{seconds / max(1, count):.1f}",
        f"{max(taken) / 1e6:.0f}",
        f"{growth:.2f}",
        verdict(growth, GROWTH),
    )
