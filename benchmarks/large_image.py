"""Claim: an image of 100 megapixels is clustered with less than 3 GB at its peak.

A process of its own makes a round, noisy photograph of 10,000 × 10,000 pixels in a zarr
array, a chunk at a time, and labels it into another one; its resident memory is what
the system says was its largest, Python and torch included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

NEEDS_DATA = False
SIDE = 10_000

_WORK = """
import sys, time
import numpy as np, zarr
from napari_localdisc.core.embedding.large import ClusterPaint, paint_large
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.core.work import run

side, modality, detail, folder, width = sys.argv[1:]
side, detail, width = int(side), float(detail), int(width)
source = zarr.create_array(folder + "/source.zarr", shape=(side, side, 3),
    chunks=(1024, 1024, 3), dtype="uint8", compressors=None)
rng = np.random.default_rng(0)
for top in range(0, side, 1024):
    for left in range(0, side, 1024):
        shape = source[top:top + 1024, left:left + 1024].shape
        block = rng.integers(60, 255, shape, dtype=np.uint8)
        rows = np.arange(top, top + shape[0])[:, None] - side / 2
        columns = np.arange(left, left + shape[1])[None] - side / 2
        block *= (np.hypot(rows, columns) < 0.48 * side)[..., None]
        source[top:top + 1024, left:left + 1024] = block
target = zarr.create_array(folder + "/target.zarr", shape=(side, side),
    chunks=(1024, 1024), dtype="uint8")
if width == 16:
    model = load_model("fundus", "cpu")
    model.card.__dict__["modality"] = modality
else:
    model = Model.random(modality=modality, working_diameter=576, width=width)
start = time.perf_counter()
run(paint_large(source, model, ClusterPaint.of(model, 8), target, detail))
seconds = time.perf_counter() - start
middle = target[side // 2 - 50:side // 2 + 50, side // 2 - 50:side // 2 + 50]
assert middle.min() >= 1
from benchmarks.machine import peak_bytes
print(peak_bytes() / 2**20, seconds)
"""


def _measure(
    side: int, modality: str, detail: float, width: int
) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        given = [str(side), modality, str(detail), folder, str(width)]
        result = subprocess.run(
            [sys.executable, "-c", _WORK, *given],
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode != 0:
        raise RuntimeError(result.stderr)
    peak, seconds = result.stdout.split()
    return float(peak), float(seconds)


def peak_megabytes(
    side: int, modality: str = "fundus", detail: float = 1.0, width: int = 16
) -> float:
    """Return the largest resident memory in megabytes (2²⁰ bytes)."""
    return _measure(side, modality, detail, width)[0]


def run() -> str:
    """Measure a fundus photograph, and a frame at four times the model's detail."""
    lines = ["| image | detail | peak, GiB | seconds |", "|---|---|---|---|"]
    for modality, detail in (("fundus", 1.0), ("frame", 4.0)):
        peak, seconds = _measure(SIDE, modality, detail, 16)
        lines.append(
            f"| {SIDE}×{SIDE}, {modality} | {detail:g} | {peak / 1024:.2f} | "
            f"{seconds:.0f} |"
        )
    return "\n".join(lines)
