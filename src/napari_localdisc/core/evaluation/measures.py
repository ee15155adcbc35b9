"""What is measured on an image with a mask: one function a measure.

To add one, write a function that gives an image's rows and put it into `MEASURES`:
means over images, JSON and the printed table follow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.image.grid import Mask
from napari_localdisc.core.names import is_lesion, plain_name

from . import baselines
from .agreement import (
    area_under_curve,
    area_under_precision,
    dice,
    dice_by_threshold,
    pair_dice,
)
from .clicks import MOST_CLICKS, REPORTED_CLICKS, click_through, dice_after
from .lines import centreline_dice, thin_recall
from .objects import MOST_FALSE, found_objects, sensitivity

CLUSTER_COUNTS = (4, 8, 16)
OURS = "localdisc"
RIDGES = "Sato + Otsu"
BASELINES = "baselines"
"""Asked for beside measures: what there is without this, by the same measures."""

FIRST_CLICK = "first_click_auc"
AT_FEW_FALSE = "sensitivity_at_few_false"
LOSS = 0.01
"""Dice that an image may lose by one more click, as noise."""

THRESHOLDS = np.arange(0.05, 0.96, 0.05)

Row = dict[Any, Any]
"""Column → number.  A column that begins with _ is for means alone."""

Rows = dict[Any, Row]
"""Method, or number of clusters → row."""


@dataclass(frozen=True)
class Subject:
    """One image, embedded, and what is to be found in it.

    Attributes
    ----------
    image, embedding
        As it was embedded, and what came of it.
    wanted, seen : ndarray
        (H, W) bool: the structure, within the pixels that are measured.
    structure : str, optional
        The name that the model's card has for it; None: it has none.
    baselines, ridges : bool
        Whether they are measured as well; the ridge filter is one for vessels.
    """

    image: NDArray[Any]
    embedding: Embedding
    wanted: Mask
    seen: Mask
    structure: str | None
    baselines: bool
    ridges: bool

    @property
    def is_line(self) -> bool:
        """Whether it is vessels, of which thin ones and centre lines are measured."""
        return plain_name(self.structure or "") == "vessel"


def of_structure(subject: Subject) -> Rows:
    """Dice at 0.5 and areas under the curves of the structure's probability.

    Of vessels clDice and the recall of thin ones, of lesions how many are found, too.
    """
    rows: Rows = {}
    seen, wanted = subject.seen, subject.wanted[subject.seen]

    def row(score: NDArray[np.float32], threshold: float) -> Row:
        inside = score[seen]
        return {
            "dice": dice(inside >= threshold, wanted),
            "auc": area_under_curve(inside, wanted),
            "auc_pr": area_under_precision(inside, wanted),
            **_of_lines(score >= threshold),
        }

    def _of_lines(found: Mask) -> Row:
        if not subject.is_line:
            return {}
        found, truth = found & seen, subject.wanted & seen
        (box,) = ndimage.find_objects(seen.view(np.uint8), 1)
        size = max(ends.stop - ends.start for ends in box)
        return {
            "centreline_dice": centreline_dice(found, truth),
            "thin_recall": thin_recall(found, truth, size),
        }

    if subject.structure is not None:
        score = subject.embedding.structure(subject.structure)
        by_threshold = dice_by_threshold(score[seen], wanted, THRESHOLDS)
        rows[OURS] = row(score, 0.5) | {"_by_threshold": by_threshold}
        if is_lesion(subject.structure):
            truth = subject.wanted & seen
            rows[OURS]["_objects"] = found_objects(np.where(seen, score, 0), truth)
    if subject.ridges:
        rows[RIDGES] = row(*baselines.ridges(subject.image, subject.embedding))
    return rows


def _spread_and_best_threshold(rows: Sequence[Row]) -> Row:
    more = {"dice_std": float(np.std([row["dice"] for row in rows]))}
    if "_by_threshold" in rows[0]:
        by_threshold = np.mean([row["_by_threshold"] for row in rows], axis=0)
        best = int(by_threshold.argmax())
        more["best_threshold"] = round(float(THRESHOLDS[best]), 2)
        more["dice_at_best_threshold"] = float(by_threshold[best])
    if "_objects" in rows[0]:
        more[AT_FEW_FALSE] = sensitivity([row["_objects"] for row in rows])
    return more


def of_clicks(subject: Subject) -> Rows:
    """Dice after clicks, and area under the curve of the first one's similarity."""
    segmenters: dict[str, Embedding] = {OURS: subject.embedding}
    if subject.baselines:
        for name, make in baselines.FEATURES.items():
            segmenters[name] = make(subject.image, subject.embedding)
    # A click must be on a pixel that the embedding has
    seen = subject.seen & subject.embedding.field_of_view
    rows: Rows = {}
    for name, embedding in segmenters.items():
        made = click_through(embedding, subject.wanted, seen)
        similarity = embedding.similarity([made[0].point])
        area = area_under_curve(similarity[seen], subject.wanted[seen])
        every = dice_after(made, range(1, MOST_CLICKS + 1))
        rows[name] = {
            **dice_after(made, REPORTED_CLICKS),
            FIRST_CLICK: area,
            "_by_click": list(every.values()),
        }
    return rows


def _steps(rows: Sequence[Row]) -> Row:
    """Say what one more click does: to the mean, and to how many images harm."""
    by_click = np.array([row["_by_click"] for row in rows])
    gain = np.diff(by_click, axis=1)
    return {
        "by_click": by_click.mean(0).tolist(),
        "worst_step": float(gain.mean(0).min()),
        "losing": (gain < -LOSS).mean(0).tolist(),
        "most_losing": float((gain < -LOSS).mean(0).max()),
    }


def of_clusters(subject: Subject) -> Rows:
    """Dice of the cluster, and of the union of two, that suits the image best."""
    rows: Rows = {}
    for n in CLUSTER_COUNTS:
        if n <= subject.embedding.card.clusters:
            labels = subject.embedding.clusters(n)[subject.seen]
            pairs = pair_dice(labels, subject.wanted[subject.seen], n)
            one, two = float(np.diagonal(pairs).max()), float(pairs.max())
            rows[n] = {"one": one, "two": two, "_pairs": pairs}
    return rows


def _one_choice_for_all(rows: Sequence[Row]) -> Row:
    mean = np.mean([row["_pairs"] for row in rows], axis=0)
    single = np.diagonal(mean)
    pair = np.unravel_index(mean.argmax(), mean.shape)
    return {
        "same_one": float(single.max()),
        "same_two": float(mean.max()),
        "labels": {
            "one": [int(single.argmax()) + 1],
            "two": sorted({int(k) + 1 for k in pair}),
        },
    }


@dataclass(frozen=True)
class Measure:
    """What is measured on each image, and the table that it becomes.

    Attributes
    ----------
    of_image : callable
        `Subject` → `Rows`.
    title : str
        Of the table.
    headings : mapping
        Column → what stands above it; others are in JSON alone.
    of_all : callable
        The rows of all images → columns beside the means.
    needs_name : bool
        Whether the model can be measured only where its card names the structure.
    rows : str
        What stands above their names.
    digits : mapping
        Column → digits after the point, where they are not three.
    """

    of_image: Callable[[Subject], Rows]
    title: str
    headings: Mapping[Any, str]
    of_all: Callable[[Sequence[Row]], Row] = lambda rows: {}
    needs_name: bool = False
    rows: str = ""
    digits: Mapping[Any, int] = field(default_factory=dict)


MEASURES = {
    "structure": Measure(
        of_structure,
        "Structure, without labels",
        {
            "dice": "Dice",
            "dice_std": "± between images",
            "auc": "AUC",
            "auc_pr": "AUC-PR",
            "centreline_dice": "clDice",
            "thin_recall": "recall of thin ones",
            AT_FEW_FALSE: f"lesions found at {MOST_FALSE:g} false ones",
            "dice_at_best_threshold": "best Dice",
            "best_threshold": "at threshold",
        },
        _spread_and_best_threshold,
        needs_name=True,
        digits={"best_threshold": 2},
    ),
    "clicks": Measure(
        of_clicks,
        "Dice after clicks",
        {n: "1 click" if n == 1 else f"{n} clicks" for n in REPORTED_CLICKS}
        | {
            FIRST_CLICK: "AUC of the first click",
            "worst_step": "least gain by a click",
            "most_losing": f"images that lose {LOSS} by it, at most",
        },
        _steps,
    ),
    "clusters": Measure(
        of_clusters,
        "Clusters: Dice of the best in each image, and of one choice for all",
        {
            "one": "best one",
            "two": "best two",
            "same_one": "same one",
            "same_two": "same two",
            "labels": "labels",
        },
        _one_choice_for_all,
        rows="n",
    ),
}
"""By the names that are asked for."""
