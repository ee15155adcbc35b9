"""Claim: learning from strokes takes less than 0.7 s.

From 200 to 20,000 labelled pixels to a prediction of the retina's 2 megapixels; three
classes, whose labels are the model's own clusters.
"""

from __future__ import annotations

import numpy as np

import napari_localdisc as ld

from .machine import interleaved, retina, table, verdict

NEEDS_DATA = False
COUNTS = (200, 2_000, 20_000)


def run() -> str:
    """Measure learning and prediction together, beside an embedding of the image."""
    image, model = retina(), ld.load_model("fundus")
    embedding = ld.embed(image, model)
    truth = embedding.clusters(3)
    inside = np.flatnonzero(truth)

    def learn(count: int) -> None:
        chosen = np.random.default_rng(count).choice(inside, count, replace=False)
        strokes = np.zeros(truth.shape, np.uint8)
        strokes.ravel()[chosen] = truth.ravel()[chosen]
        ld.learn(embedding, strokes).predict(embedding)

    works = {"embed": lambda: ld.embed(image, model)}
    works |= {str(count): lambda count=count: learn(count) for count in COUNTS}
    seconds = interleaved(works)
    return table(
        "labelled pixels | s | embeddings of the image | claim | holds",
        [
            (
                f"{count:,}",
                f"{seconds[str(count)]:.2f}",
                f"{seconds[str(count)] / seconds['embed']:.2f}",
                "< 0.7 s",
                verdict(seconds[str(count)], 0.7),
            )
            for count in COUNTS
        ],
    )
