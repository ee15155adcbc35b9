"""Claim: embedding needs little memory.

Less than 1.2 GB above the interpreter with torch loaded for the 2-megapixel retina,
less than 3 GB for 100 megapixels; a click allocates nothing of the embedding's size.

Each runs in a process of its own, whose largest resident memory counts, less that at
the moment torch was loaded.  The large image is read from the disk, and its labels are
written there, by blocks; the memory maps that do this count.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

import napari_localdisc as ld

from .machine import retina, script, table, verdict

NEEDS_DATA = False
GIGABYTE = 1e9
_CODE = """
import numpy as np, torch
from benchmarks.machine import peak_bytes, retina
before = peak_bytes()
import napari_localdisc as ld
model = ld.load_model("fundus")
{work}
print((peak_bytes() - before) / 1e9)
"""
_WHOLE = "ld.embed(retina(), model)"
_BY_BLOCKS = """
from napari_localdisc.core.embedding.large import ClusterPaint, paint_large
from napari_localdisc.core.work import run
image = np.load("{folder}/large.npy", mmap_mode="r")
shape = image.shape[:2]
labels = np.memmap("{folder}/labels", np.uint8, "w+", shape=shape)
run(paint_large(image, model, ClusterPaint.of(model, 8), labels))
assert labels.max() == 8
"""


def run() -> str:
    """Measure both images and what a click allocates."""
    small = script(_CODE.format(work=_WHOLE))
    with tempfile.TemporaryDirectory() as folder:
        write_large(Path(folder) / "large.npy", 10_000)
        large = script(_CODE.format(work=_BY_BLOCKS.format(folder=folder)))
    share = _largest_of_a_click()
    return table(
        "what | value | claim | holds",
        [
            (
                "`embed`, retina",
                f"{small:.2f} GB",
                "< 1.2 GB",
                verdict(small, 1.2),
            ),
            (
                "`paint_large`, 100 megapixels",
                f"{large:.2f} GB",
                "< 3 GB",
                verdict(large, 3),
            ),
            (
                "largest allocation of a click",
                f"{share:.1%} of the embedding",
                "< 10 %",
                verdict(share, 0.1),
            ),
        ],
    )


def write_large(file: Path, side: int) -> None:
    """Write the retina, enlarged to ``side`` pixels, without holding it in memory."""
    source = retina()
    large = np.lib.format.open_memmap(
        file, mode="w+", dtype=np.uint8, shape=(side, side, 3)
    )
    columns = np.arange(side) * source.shape[1] // side
    for row in range(0, side, 100):
        rows = np.arange(row, min(row + 100, side)) * source.shape[0] // side
        large[row : row + 100] = source[rows][:, columns]
    large.flush()


def _largest_of_a_click() -> float:
    embedding = ld.embed(retina(), ld.load_model("fundus"))
    embedding.similarity_on_grid([(700, 500)])
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        embedding.similarity_on_grid([(600, 800)])
    largest = max(event.cpu_memory_usage for event in profile.events())
    return largest / embedding.matrix.nbytes
