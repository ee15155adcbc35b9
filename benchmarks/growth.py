"""Claim: the time of `embed` is a straight line in the image's pixels.

From 0.25 to 100 megapixels the slope on a log-log plot is 1 ± 0.1.  The network sees
at most 576 pixels across, so that its time is the same for every image; what grows is
reading the pixels.  Both are shown: all of `embed`, and `embed` less the time that was
spent in the network.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import napari_localdisc as ld

from . import machine
from .machine import table, verdict
from .memory_peaks import write_large

NEEDS_DATA = False
SIDES = (500, 1000, 2000, 4000, 7000, 10_000)
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "growth.png"


def run() -> str:
    """Measure embeddings of one image at six sizes, and draw them."""
    from napari_localdisc.core.runtime import FastNetwork

    model = ld.load_model("fundus")
    network_seconds = 0.0
    fill = FastNetwork.fill

    def timed(self: FastNetwork, *arguments: object) -> None:
        nonlocal network_seconds
        start = time.perf_counter()
        fill(self, *arguments)
        network_seconds += time.perf_counter() - start

    FastNetwork.fill = timed
    totals, others = [], []
    try:
        with tempfile.TemporaryDirectory() as folder:
            images = []
            for side in SIDES:
                file = Path(folder) / f"{side}.npy"
                write_large(file, side)
                images.append(np.load(file, mmap_mode="r"))
            taken: list[list[tuple[float, float]]] = [[] for _ in SIDES]
            for _ in range(machine.RUNS):
                for image, times in zip(images, taken, strict=True):
                    network_seconds = 0.0
                    start = time.perf_counter()
                    ld.embed(image, model)
                    total = time.perf_counter() - start
                    times.append((total, total - network_seconds))
            for times in taken:
                totals.append(statistics.median(t for t, _ in times))
                others.append(statistics.median(o for _, o in times))
    finally:
        FastNetwork.fill = fill
    pixels = np.square(np.array(SIDES, float)) / 1e6
    slopes = [_slope(pixels, seconds) for seconds in (totals, others)]
    _draw(pixels, totals, others)
    rows: list[tuple[object, ...]] = [
        (f"{p:g}", f"{t:.2f}", f"{o:.2f}", f"{t / p:.3f}")
        for p, t, o in zip(pixels, totals, others, strict=True)
    ]
    straight = [verdict(abs(slope - 1), 0.1) for slope in slopes]
    return (
        table("megapixels | `embed`, s | without the network, s | s a megapixel", rows)
        + f"\n\nSlope of `embed`: {slopes[0]:.2f} (1 ± 0.1: {straight[0]}); without "
        f"the network, {slopes[1]:.2f} (1 ± 0.1: {straight[1]}).\n\n"
        "![time against pixels](images/growth.png)"
    )


def _slope(pixels: np.ndarray, seconds: list[float]) -> float:
    return float(np.polyfit(np.log(pixels), np.log(seconds), 1)[0])


def _draw(pixels: np.ndarray, totals: list[float], others: list[float]) -> None:
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(pixels, totals, "o-", label="embed")
    axes.loglog(pixels, others, "s-", label="without the network")
    axes.loglog(pixels, others[-1] * pixels / pixels[-1], "k:", label="slope 1")
    axes.set(xlabel="megapixels", ylabel="seconds")
    axes.legend()
    axes.grid(alpha=0.3)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
