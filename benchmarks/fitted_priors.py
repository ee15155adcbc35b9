"""How good the fitted priors are by themselves, before any network learns from them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.image.working import as_rgb, working_image
from napari_localdisc.core.priors import PRIORS, FittedPrior
from napari_localdisc.io.labelled import labelled_images

NEEDS_DATA = True
MASKS = {"disc": "optic_disc", "lungs": "lung", "heart": "heart"}
DIAMETERS = {"disc": 576, "lungs": 256, "heart": 256}
MOST_IMAGES = 25


def run(data: str) -> str:
    """Compare fits with masks; doubtful fits are counted, not compared."""
    lines = [
        "| prior | images | doubtful | Dice | s an image |",
        "|---|---|---|---|---|",
    ]
    for name, structure in MASKS.items():
        prior = PRIORS[name]
        if not isinstance(prior, FittedPrior):
            continue
        chosen = [i for i in labelled_images(Path(data)) if i.has(structure)]
        dices, doubtful, seconds = [], 0, 0.0
        for labelled in chosen[:: max(1, len(chosen) // MOST_IMAGES)]:
            case = labelled.case(structure)
            rgb = as_rgb(case.image)
            modality = "fundus" if name == "disc" else "frame"
            view = find_field_of_view(rgb, modality)
            grid = WorkingGrid.around(view, DIAMETERS[name])
            colour, inside = working_image(rgb, view, grid)
            start = time.perf_counter()
            fitted = prior.fit(colour, inside)
            seconds += time.perf_counter() - start
            if (fitted == 127).all():
                doubtful += 1
                continue
            found = fitted == 255
            truth = grid.to_working(case.reference.astype(np.float32)) > 0.5
            dices.append(2 * (found & truth).sum() / (found.sum() + truth.sum()))
        total = len(dices) + doubtful
        if total:
            dice = f"{np.mean(dices):.3f}" if dices else "–"
            each = seconds / total
            lines.append(f"| {name} | {total} | {doubtful} | {dice} | {each:.2f} |")
    return "\n".join(lines)
