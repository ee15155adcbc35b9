"""Claim: at every number no cluster lives along the edge, and few pixels are specks.

Over 20 photographs, evenly taken from all of a folder, and numbers from 2 to 16: no
cluster with over half its pixels within 3 % of the field of view's diameter from its
edge, and under 2 % of the field of view in 4-connected pieces that have less than 30
pixels of the working grid.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

import napari_localdisc as ld
from napari_localdisc.core.embedding.embed import map_clusters
from napari_localdisc.io.labelled import labelled_images

from .machine import table, verdict

NEEDS_DATA = True
IMAGES = 20
NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 16)
EDGE, SPECK, MOST_SPECKS = 0.03, 30, 0.02


def run(data: str, model_name: str = "fundus") -> str:
    """Count both on each photograph."""
    model = ld.load_model(model_name)
    every = labelled_images(Path(data))
    chosen = every[:: max(1, len(every) // IMAGES)][:IMAGES]
    along, specks, counts = 0, [], []
    for labelled in chosen:
        seen = map_clusters(ld.read_image(labelled.path), model)
        view = seen.field_of_view
        depth = ndimage.distance_transform_edt(np.pad(view, 1))[1:-1, 1:-1]
        rim = view & (depth <= EDGE * max(seen.grid.height, seen.grid.width))
        pixel = float(np.prod(seen.grid.scale))
        for n in NUMBERS:
            labels = seen.clusters(n)
            small = 0
            for label in np.unique(labels[view]):
                region = labels == label
                along += bool((region & rim).sum() > region.sum() / 2)
                sizes = np.bincount(ndimage.label(region)[0].ravel())[1:]
                small += int(sizes[sizes * pixel < SPECK].sum())
            specks.append(small / view.sum())
            if n == 8:
                counts.append(len(np.unique(labels[view])))
    worst = max(specks)
    return table(
        "photographs | what | value | claim | holds",
        [
            (
                len(chosen),
                "clusters along the edge",
                along,
                "0",
                verdict(along, 0.5),
            ),
            (
                len(chosen),
                "specks, the worst of all",
                f"{100 * worst:.2f} %",
                "< 2 %",
                verdict(worst, MOST_SPECKS),
            ),
            (
                len(chosen),
                "clusters that are seen at 8, mean",
                f"{np.mean(counts):.1f}",
                "–",
                "–",
            ),
        ],
    )
