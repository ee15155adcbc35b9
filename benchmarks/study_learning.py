"""Claim: the tenth image of a study needs fewer clicks to Dice .80 than the first.

Ten images of a folder.  Each is once the first of the study, when nothing was accepted
yet, and once the tenth, when the other nine were: their masks by hand, as a grader who
accepted them has drawn them.  Clicks are put where the mask is most wrong (the protocol
of `localdisc evaluate`), starting from the proposal where there is one; what was not
reached after ten clicks counts as eleven.

``--data FOLDER`` as `localdisc evaluate` takes it; every structure that ten of its
images have a mask of is measured.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import napari_localdisc as ld
from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.evaluation.agreement import (
    dice,
    largest_region,
    most_interior_pixel,
)
from napari_localdisc.core.study.bank import (
    learn_bank,
    sharpened,
    take_lesson,
)
from napari_localdisc.io.labelled import LabelledImage, labelled_images

from .machine import Row, table

NEEDS_DATA = True
IMAGES = 10
WANTED, MOST = 0.8, 10
STRUCTURES = ("vessel", "optic disc", "hard exudate", "haemorrhage", "disc")

Mask = NDArray[np.bool_]


def run(data: str) -> str:
    """Click each structure of a folder's first ten images."""
    images = labelled_images(Path(data))
    rows: list[Row] = []
    for structure in STRUCTURES:
        own = [image for image in images if image.has(structure)][:IMAGES]
        if len(own) == IMAGES:
            rows += study(own, structure)
    return table(
        "structure | image | Dice of the proposal | after 1 click | 3 | 5 | "
        "clicks to .80 | images that reach it",
        rows,
    )


def study(images: list[LabelledImage], structure: str) -> list[Row]:
    """Work through a study of one structure, each image the first and the tenth."""
    model = ld.load_model("fundus")
    embeddings, masks, views, lessons = [], [], [], []
    for image in images:
        case = image.case(structure)
        known = ld.embed(case.image, model)
        view = known.field_of_view if case.field_of_view is None else case.field_of_view
        embeddings.append(known)
        views.append(view & known.field_of_view)
        masks.append(case.reference & views[-1])
        lessons.append(take_lesson(known, {structure: masks[-1]}, [structure]))
    first, tenth = [], []
    for place, known in enumerate(embeddings):
        wanted, view = masks[place], views[place]
        first.append(click(known, structure, wanted, view))
        bank = learn_bank(
            [own[structure] for at, own in enumerate(lessons) if at != place]
        )
        taught = known if bank is None else sharpened(known, {structure: bank})
        tenth.append(click(taught, structure, wanted, view))
    return [
        (structure, name, *summary(every))
        for name, every in (("first", first), ("tenth", tenth))
    ]


def click(
    embedding: Embedding, structure: str, wanted: Mask, view: Mask
) -> list[float]:
    """Return Dice before the first click, and after each."""
    points: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    is_known = structure in embedding.presence
    mask = embedding.corrected(structure) if is_known else np.zeros_like(wanted)
    scores = [dice(mask[view], wanted[view])]
    for _ in range(MOST):
        missed, extra = (
            largest_region(wrong & view) for wrong in (wanted & ~mask, mask & ~wanted)
        )
        areas = [0 if region is None else region.sum() for region in (missed, extra)]
        region = missed if areas[0] >= areas[1] else extra
        if region is None:
            break
        point = most_interior_pixel(region)
        kind = region is missed
        if point in points[kind]:
            break
        points[kind].append(point)
        if is_known:
            mask = embedding.corrected(structure, points[True], points[False])
        else:
            mask = embedding.mask(points[True], points[False])
        scores.append(dice(mask[view], wanted[view]))
    return scores + [scores[-1]] * (MOST + 1 - len(scores))


def summary(every: list[list[float]]) -> tuple[str, ...]:
    """Return the means of a table's row."""
    scores = np.array(every)
    mean = scores.mean(0)
    reached = scores >= WANTED
    clicks = np.where(reached.any(1), reached.argmax(1), MOST + 1)
    shown = [f"{mean[count]:.3f}" for count in (0, 1, 3, 5)]
    return *shown, f"{clicks.mean():.1f}", f"{reached.any(1).sum()} of {len(every)}"
