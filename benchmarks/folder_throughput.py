"""Claim: a folder of 512×512 images is clustered at 80 % of the bare network's speed.

The folder's images are read, brought to the working grid, embedded, clustered and
written by `localdisc cluster`; the bare network gets the same number of inputs, ready
made, in the same number of threads, and its results are thrown away.  Both are
measured in turn, so that the machine's other work weighs on both alike.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from napari_localdisc.core.embedding import SURROUND
from napari_localdisc.core.models import load_model
from napari_localdisc.core.runtime import FastNetwork
from napari_localdisc.core.tiling import padded_size
from napari_localdisc.machines import one_torch_thread_each

NEEDS_DATA = False
IMAGES = int(os.environ.get("LOCALDISC_BENCHMARK_IMAGES", "1000"))
ROUNDS = 4
SIDE = 512


def _make_images(folder: Path, count: int) -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    view = (np.hypot(rows, columns) < 0.48 * SIDE)[..., None]
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(60, 200, (32, 32, 3)).astype(np.uint8)
        smooth = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        image = np.asarray(smooth) + rng.integers(0, 40, (SIDE, SIDE, 3))
        picture = Image.fromarray((image * view).astype(np.uint8))
        picture.save(folder / f"{number:04}.jpg", quality=95)


def _bare(count: int, workers: int) -> float:
    """Images a second of the network alone, on inputs of the size that it gets."""
    model = load_model("fundus", "cpu")
    network = FastNetwork(model.network)
    side = padded_size(model.card.working_diameter + 2 * SURROUND)
    x = torch.randn(1, model.card.in_channels, side, side)
    network(x)

    def work(_: int) -> None:
        network(x)

    with one_torch_thread_each(workers) as pool:
        assert isinstance(pool, ThreadPoolExecutor)
        start = time.perf_counter()
        list(pool.map(work, range(count)))
        return count / (time.perf_counter() - start)


def _folder(images: list[Path], out: Path) -> float:
    command = [sys.executable, "-m", "napari_localdisc", "cluster"]
    start = time.perf_counter()
    subprocess.run(
        [*command, *map(str, images), "-o", str(out)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def run() -> str:
    """Measure the folder in parts, and the bare network before and after each."""
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "images", Path(name) / "out"
        folder.mkdir()
        _make_images(folder, IMAGES)
        images = sorted(folder.iterdir())
        part = -(-IMAGES // ROUNDS)
        bare, seconds = [], 0.0
        for start in range(0, IMAGES, part):
            bare.append(_bare(20, workers))
            seconds += _folder(images[start : start + part], out)
            bare.append(_bare(20, workers))
        written = len(list(out.glob("*.tif")))
    assert written == IMAGES
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    network, whole = float(np.mean(bare)), IMAGES / seconds
    spread = f"{min(bare):.2f}–{max(bare):.2f}"
    return (
        f"{IMAGES} images in {ROUNDS} commands, {workers} workers; "
        f"peak of a command {peak:.2f} GiB\n\n"
        "| | images/s | share |\n|---|---|---|\n"
        f"| bare network, mean of {len(bare)} ({spread}) | {network:.2f} | 1 |\n"
        f"| folder, start of each command included | {whole:.2f} | "
        f"{whole / network:.2f} |"
    )
