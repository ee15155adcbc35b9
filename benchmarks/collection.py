"""Claim: a search among 100,000 regions takes less than 100 ms.

Regions are drawn: unit vectors of 32 numbers about centres, 400 an image, as the file
holds them.  Each query is another vector and is compared with all of them; it ends with
24 regions, at most 3 of an image.  Ten million regions are 25,000 images.  Before each
query of “cold” the file is put out of the system's memory.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_localdisc.io.collection import (
    About,
    Collection,
    Entry,
    IndexedImage,
    open_collection,
    write_collection,
    write_entry,
)

from . import machine
from .machine import table, verdict

NEEDS_DATA = False
HOW = "medians of 9 queries"

REGIONS, DIMENSION, QUERIES = 400, 32, 9
LIMIT = 0.1
SIZES = (100_000, 1_000_000, 10_000_000)


def run() -> str:
    """Make collections of several sizes, and ask each."""
    rows = []
    for size in SIZES if machine.RUNS > 1 else SIZES[:1]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "drawn.collection.safetensors"
            started = time.perf_counter()
            make(path, size)
            made = time.perf_counter() - started
            started = time.perf_counter()
            collection = open_collection(path)
            opened = time.perf_counter() - started
            warm = ask(collection)
            cold = ask(collection, forget=True)
            held = verdict(warm, LIMIT) if size == SIZES[0] else "–"
            rows.append(
                (
                    f"{size:,}",
                    f"{path.stat().st_size / 1e6:.0f}",
                    f"{made:.1f}",
                    f"{1000 * opened:.0f}",
                    f"{1000 * warm:.1f}",
                    f"{1000 * cold:.1f}",
                    "< 100 ms" if size == SIZES[0] else "–",
                    held,
                )
            )
    return table(
        "regions | file, MB | written, s | opened, ms | query, ms | cold, ms | claim | "
        "holds",
        rows,
    )


def make(path: Path, size: int) -> None:
    """Write a collection of drawn regions."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(64, DIMENSION)).astype(np.float32)
    about = About(model="drawn", model_hash="0")
    block = path.with_name("block.collection.safetensors")
    vectors = centres[rng.integers(64, size=REGIONS)]
    vectors += 0.5 * rng.normal(size=vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    points = rng.uniform(0, 1000, (REGIONS, 2)).astype(np.float32)
    image = IndexedImage("drawn.jpg", 1, 1, 1000, 1000, REGIONS, 0)
    entry = Entry(image, vectors.astype(np.float16), points, b"")
    write_entry(block, about, entry)
    # The same image again and again: what a query costs does not depend on it
    write_collection(path, about, DIMENSION, [(block, 0)] * (size // REGIONS))


def ask(collection: Collection, forget: bool = False) -> float:
    """Return the median seconds of a query."""
    rng = np.random.default_rng(1)
    taken = []
    for query in rng.normal(size=(1 + QUERIES, DIMENSION)).astype(np.float32):
        if forget:
            with collection.path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        started = time.perf_counter()
        collection.search(query / np.linalg.norm(query))
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])
