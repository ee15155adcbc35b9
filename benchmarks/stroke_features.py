"""Claim: features of the picture beside the embedding help to learn from strokes.

Five dabs in the structure and five outside it stand for strokes: each is what lies
within 1/100 of the field of view's diameter of a random pixel and is of its kind.  Dice
of the prediction with the reference mask within the field of view; mean over images and
three sets of dabs.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import napari_localdisc as ld
from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.evaluation.agreement import dice
from napari_localdisc.core.learning.features import FEATURES
from napari_localdisc.io.labelled import FIELD_OF_VIEW, labelled_images

from .machine import table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_localdisc.core.embedding.embedding import Embedding

NEEDS_DATA = True
MODEL = "fundus"
DABS = 5
REACH = 1 / 100
SETS = 3
MOST_IMAGES = 8


def run(data: str) -> str:
    """Compare what is learned from the same dabs with and without the picture."""
    model = ld.load_model(MODEL)
    found = labelled_images(Path(data))
    labelled = [each for each in found if set(each.masks) - {FIELD_OF_VIEW}]
    dices: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    images: dict[str, int] = defaultdict(int)
    for each in labelled[:: max(1, len(labelled) // MOST_IMAGES)][:MOST_IMAGES]:
        embedding: Embedding | None = None
        for structure in sorted(set(each.masks) - {FIELD_OF_VIEW}):
            case = each.case(structure)
            embedding = embedding or embed(case.image, model)
            inside = embedding.field_of_view
            kinds = case.reference & inside, ~case.reference & inside
            if not kinds[0].any():
                continue
            images[structure] += 1
            for seed in range(SETS):
                strokes = dabs(kinds, embedding, np.random.default_rng(seed))
                for features in FEATURES:
                    learned = ld.learn(embedding, strokes, features=features)
                    predicted = (learned.predict(embedding) == 1) & inside
                    dices[structure][features].append(dice(predicted, kinds[0]))
    return table(
        "structure | images | embedding alone | with the picture | better in",
        [
            (structure, images[structure], *_row(*(each[name] for name in FEATURES)))
            for structure, each in sorted(dices.items())
        ],
    )


def _row(alone: list[float], both: list[float]) -> tuple[str, str, str]:
    better = np.mean(np.asarray(both) > np.asarray(alone))
    return f"{np.mean(alone):.3f}", f"{np.mean(both):.3f}", f"{better:.0%}"


def dabs(
    kinds: tuple[NDArray[np.bool_], ...],
    embedding: Embedding,
    random: np.random.Generator,
) -> NDArray[np.uint8]:
    """Paint a few dabs of each kind: 1 for the first, 2 for the second, and so on."""
    grid = embedding.grid
    reach = max(1, round(REACH * max(grid.height, grid.width)))
    strokes = np.zeros(embedding.shape, np.uint8)
    for value, kind in enumerate(kinds, 1):
        points = np.argwhere(kind)
        for row, column in random.permutation(points)[:DABS]:
            top, left = max(0, row - reach), max(0, column - reach)
            box = (
                slice(top, row + reach + 1),
                slice(left, column + reach + 1),
            )
            rows, columns = np.ogrid[top : row + reach + 1, left : column + reach + 1]
            near = (rows - row) ** 2 + (columns - column) ** 2 <= reach**2
            near = near[: strokes[box].shape[0], : strokes[box].shape[1]]
            strokes[box][near & kind[box]] = value
    return strokes
