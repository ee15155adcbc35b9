"""Claim: embedding needs little memory.

Less than 1.2 GB above the interpreter with torch loaded for the 2-megapixel retina,
less than 3 GB for 100 megapixels; a click allocates nothing of the embedding's size.

Each embedding runs in a process of its own, whose largest resident memory counts, less
that at the moment torch was loaded.  The large image is made tile by tile on disk and
read from there as a memory map.
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
from benchmarks.machine import peak_bytes
before = peak_bytes()
import napari_localdisc as ld
image = {image}
ld.embed(image, ld.load_model("fundus"))
print((peak_bytes() - before) / 1e9)
"""


def run() -> str:
    """Measure both images and what a click allocates."""
    sample = "__import__('benchmarks.machine').machine.retina()"
    small = script(_CODE.format(image=sample))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.npy"
        write_large(file, 10_000)
        large = script(_CODE.format(image=f"np.load({str(file)!r}, mmap_mode='r')"))
    share = _largest_of_a_click()
    return table(
        "what | value | claim | holds",
        [
            (
                "retina, 2 megapixels",
                f"{small:.2f} GB",
                "< 1.2 GB",
                verdict(small, 1.2),
            ),
            (
                "100 megapixels, memory map",
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
