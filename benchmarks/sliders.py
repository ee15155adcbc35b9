"""Claim: granularity slider and threshold take less than 16 ms each.

For the 2 megapixels of the retina, before rendering.
"""

from __future__ import annotations

import itertools

import numpy as np

import napari_localdisc as ld

from .machine import interleaved, retina, table, verdict

NEEDS_DATA = False
LIMIT = 0.016


def run() -> str:
    """Measure both against a copy of the labels."""
    embedding = ld.embed(retina(), ld.load_model("fundus"))
    numbers = itertools.cycle(range(2, 17))
    thresholds = itertools.cycle(np.linspace(0.1, 0.9, 9))
    similarity = embedding.similarity([np.array(embedding.shape) // 2])
    labels = embedding.clusters(8)
    inside = embedding.field_of_view
    seconds = interleaved(
        {
            "copy": labels.copy,
            "clusters": lambda: embedding.clusters(next(numbers)),
            "threshold": lambda: (similarity >= next(thresholds)) & inside,
        },
        least=21,
    )
    return table(
        "what, 1411 × 1411 | ms | copies of the labels | claim | holds",
        [
            (
                "copy of the labels (uint8)",
                f"{1000 * seconds['copy']:.2f}",
                1,
                "–",
                "–",
            ),
            *(
                (
                    name,
                    f"{1000 * seconds[key]:.2f}",
                    f"{seconds[key] / seconds['copy']:.0f}",
                    "< 16 ms",
                    verdict(seconds[key], LIMIT),
                )
                for name, key in (
                    ("another number of clusters", "clusters"),
                    ("another threshold", "threshold"),
                )
            ),
        ],
    )
