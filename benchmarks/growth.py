"""Claim: time is a straight line in the pixels, from 0.25 to 100 megapixels.

The slope on a log-log plot is 1 ± 0.1, where every image is looked at in the same
detail: `paint_large` with one working pixel for 4 × 4 pixels of the image, whatever
its size, from file to labels in a file.  `embed` is shown beside it: it brings any
image to the model's working diameter, so that its network takes the same time for every
image and only reading the pixels grows.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

import napari_localdisc as ld
from napari_localdisc.core import work
from napari_localdisc.core.embedding.large import ClusterPaint, paint_large

from . import machine
from .machine import table, verdict
from .memory_peaks import write_large

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model

NEEDS_DATA = False
SIDES = (500, 1000, 2000, 4000, 10_000)
PIXELS_PER_WORKING_PIXEL = 4
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "growth.png"


def run() -> str:
    """Measure one image at five sizes, and draw it."""
    model = ld.load_model("fundus")
    in_detail: list[list[float]] = [[] for _ in SIDES]
    embedded: list[list[float]] = [[] for _ in SIDES]
    with tempfile.TemporaryDirectory() as folder:
        images = []
        for side in SIDES:
            file = Path(folder) / f"{side}.npy"
            write_large(file, side)
            images.append(np.load(file, mmap_mode="r"))
        ld.embed(images[0], model)
        _cluster(images[0], model, Path(folder) / "labels")
        for _ in range(machine.RUNS):
            for number, image in enumerate(images):
                seconds = _cluster(image, model, Path(folder) / "labels")
                in_detail[number].append(seconds)
                start = time.perf_counter()
                ld.embed(image, model)
                embedded[number].append(time.perf_counter() - start)
    detail, whole = (
        [statistics.median(times) for times in taken] for taken in (in_detail, embedded)
    )
    pixels = np.square(np.array(SIDES, float)) / 1e6
    _draw(pixels, detail, whole)
    rows: list[tuple[object, ...]] = [
        (f"{p:g}", f"{d:.2f}", f"{d / p:.3f}", f"{w:.2f}")
        for p, d, w in zip(pixels, detail, whole, strict=True)
    ]
    slope = float(np.polyfit(np.log(pixels), np.log(detail), 1)[0])
    columns = "megapixels | clusters in detail, s | s a megapixel | `embed`, s"
    return (
        table(columns, rows)
        + f"\n\nSlope of clusters in detail: {slope:.2f} (1 ± 0.1: "
        f"{verdict(abs(slope - 1), 0.1)}).\n\n"
        "![time against pixels](images/growth.png)"
    )


def _cluster(image: np.ndarray, model: Model, file: Path) -> float:
    side = image.shape[0]
    detail = side / PIXELS_PER_WORKING_PIXEL / model.card.working_diameter
    start = time.perf_counter()
    labels = np.memmap(file, np.uint8, "w+", shape=image.shape[:2])
    work.run(paint_large(image, model, ClusterPaint.of(model, 8), labels, detail))
    return time.perf_counter() - start


def _draw(pixels: np.ndarray, detail: list[float], whole: list[float]) -> None:
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(pixels, detail, "o-", label="clusters in detail")
    axes.loglog(pixels, whole, "s-", label="embed")
    axes.loglog(pixels, detail[-1] * pixels / pixels[-1], "k:", label="slope 1")
    axes.set(xlabel="megapixels", ylabel="seconds")
    axes.legend()
    axes.grid(alpha=0.3)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
