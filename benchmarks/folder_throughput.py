"""Claim: a folder of 512×512 images is clustered at 80 % of the bare network's speed.

The folder is what `localdisc cluster` does: photographs (JPEG) are read, brought to the
working grid, labelled by the clustering branch and written as compressed TIFF.  The
bare network is the same work of the network and nothing else: encoder, decoder and
clustering branch, folded, in the same precision and on the same part of inputs of the
same sizes, which follow from these images' working grids, in the same number of
threads, results thrown away.  The embedding branch, which clusters do not need, is run
by neither.  Both are measured in turn, so that the machine's other work weighs on both
alike; the processor's time is what both used of it, whatever else ran.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from napari_localdisc.batch.recipes import ClusterRecipe
from napari_localdisc.batch.run import run_tasks
from napari_localdisc.batch.tasks import Job, plan_tasks
from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.files import read_image
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.image.working import as_rgb
from napari_localdisc.core.model.inference import FastNetwork
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.core.model.tiles import SURROUND, padded_size
from napari_localdisc.core.work import reused_memory, torch_threads

from .machine import peak_bytes, retina, table, verdict

NEEDS_DATA = False
IMAGES = int(os.environ.get("LOCALDISC_BENCHMARK_IMAGES", "160"))
ROUNDS = 4
SIDE = 512
STUDY = 1000
"""Images that the start of the command is shared out among."""

Seconds = tuple[float, float]
"""On the clock, and of the processor."""


def make_photographs(folder: Path, count: int) -> list[Path]:
    """Write retinas that differ by turn, light and noise."""
    whole = Image.fromarray(retina()).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        turned = whole.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR)
        light = rng.uniform(0.7, 1.1)
        noise = rng.normal(0, 3, (SIDE, SIDE, 3))
        pixels = np.asarray(turned) * light
        pixels = np.where(pixels > 20, pixels + noise, pixels).clip(0, 255)
        files.append(folder / f"{number:04}.jpg")
        Image.fromarray(pixels.astype(np.uint8)).save(files[-1], quality=92)
    return files


def grid_size(path: Path, model: Model) -> tuple[int, int]:
    """Return height and width of an image's working grid."""
    rgb = as_rgb(read_image(path))
    field_of_view = find_field_of_view(rgb, model.card.modality)
    grid = WorkingGrid.around(field_of_view, model.card.working_diameter)
    return grid.shape


def timed(work: Callable[[], object]) -> Seconds:
    """Return the seconds that work takes, on the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def bare(sizes: Sequence[tuple[int, int]], model: Model, workers: int) -> Seconds:
    """Run the network alone on inputs for working grids of these sizes."""
    network = FastNetwork(model.network)
    channels = model.card.in_channels
    inputs = {
        size: torch.randn(1, channels, *(padded_size(s + 2 * SURROUND) for s in size))
        for size in sizes
    }

    def work(size: tuple[int, int]) -> None:
        rows, columns = (slice(SURROUND, SURROUND + side) for side in size)
        network.logits(inputs[size], (rows, columns))

    with torch_threads(workers) as pool:
        list(pool.map(work, sizes[:workers]))
        return timed(lambda: list(pool.map(work, sizes)))


def folder(files: Sequence[Path], out: Path, model: Model, workers: int) -> Seconds:
    """Do what the command does once it has started: the model is loaded already."""
    recipe = ClusterRecipe()
    job = Job(recipe, model.card.name, model.hash, "cpu")
    tasks = plan_tasks(files, out, recipe.endings)
    states: Counter[str] = Counter()
    outcomes = filter(None, run_tasks(tasks, job, model=model, workers=workers))
    taken = timed(lambda: states.update(done.state for done in outcomes))
    assert states == {"written": len(files)}, states
    return taken


def command_start(file: Path, out: Path) -> float:
    """Return the seconds until the command would begin its first image."""
    command = [sys.executable, "-m", "napari_localdisc", "cluster", "--dry-run"]
    start = time.perf_counter()
    subprocess.run(
        [*command, str(file), "-o", str(out)], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def run() -> str:
    """Measure the folder in parts, and the bare network before and after each."""
    workers = os.cpu_count() or 1
    model = load_model("fundus", "cpu")
    spent = {"bare": np.zeros(2), "folder": np.zeros(2)}
    # Both keep freed memory throughout, as one long command does
    with tempfile.TemporaryDirectory() as name, reused_memory():
        images, out = Path(name) / "images", Path(name) / "out"
        images.mkdir()
        files = make_photographs(images, IMAGES)
        start = command_start(files[0], Path(name) / "dry")
        folder(files[:workers], Path(name) / "warm", model, workers)
        part = -(-IMAGES // ROUNDS)
        for first in range(0, IMAGES, part):
            chosen = files[first : first + part]
            sizes = [grid_size(file, model) for file in chosen]
            middle = len(sizes) // 2
            spent["bare"] += bare(sizes[:middle], model, workers)
            spent["folder"] += folder(chosen, out, model, workers)
            spent["bare"] += bare(sizes[middle:], model, workers)
        assert len(list(out.glob("*.tif"))) == IMAGES
    clock, processor = spent["bare"] / spent["folder"]
    speed = IMAGES / spent["folder"][0]
    study = clock / (1 + start * speed / STUDY)
    shares = {
        "on the clock": clock,
        "processor's time": processor,
        f"on the clock, start of the command ({start:.1f} s) shared by {STUDY}": study,
    }
    rows = [
        (name, f"{share:.2f}", "≥ 0.8", verdict(share, 0.8, at_least=True))
        for name, share in shares.items()
    ]
    each = {name: f"{taken[1] / IMAGES:.3f} s" for name, taken in spent.items()}
    rows += [
        ("processor's time an image, bare network", each["bare"], "", ""),
        ("processor's time an image, folder", each["folder"], "", ""),
        (f"images a second, of {IMAGES}, {workers} at once", f"{speed:.2f}", "", ""),
        ("peak of the process", f"{peak_bytes() / 1e9:.2f} GB", "", ""),
    ]
    return table("folder against bare network | value | claim | holds", rows)
