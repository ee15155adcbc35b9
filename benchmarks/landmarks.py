"""Claim: a fovea marked in one photograph is found in others, 9 of 10 within one disc.

Each photograph is marked once and the mark looked for in all others; distances are in
diameters of the optic disc.  Photographs are those of the tuning half of IDRiD's lesion
set, which no model has seen: its foveas are those of ``fovea_marks.csv``, disc centres
those of its masks.  One mark is all that is known: no prior for the fovea, no named
structure.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import napari_localdisc as ld
from napari_localdisc.core.priors.blobs import diameter_of, seen_disc

from .fovea import MARKS
from .machine import Row, table, verdict

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding

NEEDS_DATA = True
HOW = "each photograph marked in turn"
LIMIT = 1.0

Marked = tuple["Embedding", tuple[float, float], float]
"""A photograph, the point in it, and its disc's diameter in pixels."""


def run(data: str) -> str:
    """Measure how far from the marks landmarks are found."""
    model = ld.load_model("fundus")
    known: dict[Path, Embedding] = {}

    def embedded(path: Path) -> Embedding:
        if path not in known:
            known[path] = ld.embed(ld.read_image(path), model)
        return known[path]

    tuning = sorted(Path(data).glob("*.jpg"))[::2]
    names = {path.name for path in tuning}
    with MARKS.open(encoding="utf-8") as file:
        marks = [mark for mark in csv.DictReader(file) if mark["file"] in names]
    foveas: list[Marked] = []
    for mark in marks:
        embedding = embedded(Path(data) / mark["file"])
        maps = (embedding.shown(name).numpy() for name in ("optic disc", "vessel"))
        disc = seen_disc(next(maps), embedding.inside, next(maps))
        if disc is not None:
            unit = diameter_of(disc) / embedding.grid.scale[0]
            foveas.append((embedding, (float(mark["y"]), float(mark["x"])), unit))
    discs: list[Marked] = []
    for path in tuning:
        file = path.with_name(f"{path.stem}_optic_disc.png")
        if file.exists():
            mask = np.asarray(ld.read_image(file)) > 0
            mask = mask.any(2) if mask.ndim == 3 else mask
            row, column = np.argwhere(mask).mean(0).tolist()
            unit = float(np.sqrt(4 * mask.sum() / np.pi))
            discs.append((embedded(path), (row, column), unit))
    return table(
        "point | photographs | median | 90 % within | within ½ | within 1 | marks, "
        "best to worst | claim | holds",
        [measured("fovea", foveas), measured("disc centre", discs)],
    )


def measured(name: str, images: list[Marked]) -> Row:
    """Mark each image, and find the mark in all others."""
    away = np.full((len(images), len(images)), np.nan)
    for a, (embedding, point, _) in enumerate(images):
        mark = ld.landmark(embedding, point)
        for b, (other, there, unit) in enumerate(images):
            if a != b:
                away[a, b] = (
                    np.hypot(*np.subtract(mark.find(other).point, there)) / unit
                )
    every, marks = away[~np.isnan(away)], np.nanmedian(away, axis=1)
    most = float(np.quantile(every, 0.9))
    return (
        name,
        len(images),
        f"{np.median(every):.3f}",
        f"{most:.2f}",
        f"{100 * np.mean(every < 0.5):.0f} %",
        f"{100 * np.mean(every < 1):.0f} %",
        f"{marks.min():.2f} to {marks.max():.2f}",
        f"90 % < {LIMIT:g}",
        verdict(most, LIMIT),
    )
