"""Claim: the fovea is found within a quarter of a disc diameter, in the median.

Thirty places were marked by looking at photographs of IDRiD's lesion set, before
anything was found in them; where exudates hide the fovea a photograph was left out.
The distance is in diameters of the optic disc that the model finds.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

import napari_localdisc as ld
from napari_localdisc.core.priors.blobs import diameter_of, seen_disc

from .machine import table, verdict

NEEDS_DATA = True
MARKS = Path(__file__).with_name("fovea_marks.csv")
LIMIT = 0.25


def run(data: str) -> str:
    """Compare marks with the middle of what is found."""
    model = ld.load_model("fundus")
    away = []
    with MARKS.open(encoding="utf-8") as file:
        marks = list(csv.DictReader(file))
    for mark in marks:
        image = ld.read_image(Path(data) / mark["file"])
        embedding = ld.embed(image, model)
        found = embedding.structure("fovea") >= 0.5
        maps = (embedding.shown(name).numpy() for name in ("optic disc", "vessel"))
        presence = next(maps)
        disc = seen_disc(presence, embedding.inside, next(maps))
        if not found.any() or disc is None:
            away.append(np.inf)
            continue
        place = np.argwhere(found).mean(0)
        unit = diameter_of(disc) / embedding.grid.scale[0]
        marked = float(mark["y"]), float(mark["x"])
        away.append(float(np.hypot(*(place - marked))) / unit)
    middle = float(np.median(away))
    return table(
        "photographs | median distance, disc diameters | farthest | claim | holds",
        [
            (
                len(away),
                f"{middle:.3f}",
                f"{max(away):.2f}",
                f"< {LIMIT}",
                verdict(middle, LIMIT),
            )
        ],
    )
