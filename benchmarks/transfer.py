"""Claim: a network that starts from our model segments better than one from scratch.

With 1, 5 and all training images, three seeds each: vessels (DRIVE, its training and
its test part), optic disc (Drishti-GS1) and hard exudate (IDRiD), the last two split
in halves, every other image of the folder.  Both start at the same seed, with the same
images, steps and schedule, each at the learning rate that suits it.  Dice at 0.5 within
the field of view, mean over images.

``LOCALDISC_TRANSFER_BUDGET=long`` gives vessels as many steps as a network from scratch
needs to be what the literature reports (Dice ≥ 0.78), on one seed, with 1 and with all
images, and measures all 20 test images.

Finished runs are kept in a file beside where this is run, so that a stopped benchmark
goes on where it was: ``transfer_runs.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_localdisc.core.embedding.embed import embed
from napari_localdisc.core.evaluation.agreement import dice
from napari_localdisc.core.files import atomic_path
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.core.training.finetune import FinetuneSettings, finetune
from napari_localdisc.io.labelled import LabelledImage, labelled_images

if TYPE_CHECKING:
    from napari_localdisc.core.evaluation.evaluate import Case

NEEDS_DATA = True
MODEL = os.environ.get("LOCALDISC_TRANSFER_MODEL", "fundus")
KEPT = Path(os.environ.get("LOCALDISC_TRANSFER_RUNS", "transfer_runs.json"))
IS_LONG = os.environ.get("LOCALDISC_TRANSFER_BUDGET") == "long"
SEEDS = (0,) if IS_LONG else (0, 1, 2)
SIZES = (1, 0) if IS_LONG else (1, 5, 0)
STEPS, CROPS, CROP_SIZE = (2000, 6, 160) if IS_LONG else (60, 2, 128)
TEST_IMAGES = 20 if IS_LONG else 5
STARTS = {False: "from our model", True: "from scratch"}


@dataclass(frozen=True)
class Task:
    """A structure, and the images to learn it from and to measure it on."""

    structure: str
    mask: str
    training: list[LabelledImage]
    test: list[LabelledImage]


def tasks(data: Path) -> Iterator[Task]:
    """Find the three data sets below a folder laid out as ``shared/data/fundus``."""
    training = _with(data / "drive" / "training", "vessel")
    test = _with(data / "drive" / "test", "vessel")
    yield Task("vessel", "vessel", training, _spread(test))
    for structure, mask, folder in (
        ("optic disc", "optic_disc", "drishti_disc"),
        ("hard exudate", "hard_exudate", "idrid_lesions"),
    ):
        images = _with(data / folder, mask)
        yield Task(structure, mask, images[::2], _spread(images[1::2]))


def _with(folder: Path, mask: str) -> list[LabelledImage]:
    return [image for image in labelled_images(folder) if image.has(mask)]


def _spread(images: list[LabelledImage]) -> list[LabelledImage]:
    few = min(TEST_IMAGES, len(images))
    return [images[index * len(images) // few] for index in range(few)]


def run(data: str) -> str:
    """Measure what is not yet measured, and put everything into one table."""
    model = load_model(MODEL, "cpu")
    kept: dict[str, float] = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    chosen = list(tasks(Path(data)))[: 1 if IS_LONG else None]
    for seed in SEEDS:
        for task in chosen:
            _measure(task, model, seed, kept)
    lines = ["| structure | images | start | Dice | ± between seeds |"]
    lines.append("|---|---|---|---|---|")
    for task in chosen:
        if task.structure in model.card.structures:
            untouched = f"{_untouched(task, model, kept):.3f}"
            lines.append(
                f"| {task.structure} | none | the model as it is | {untouched} | |"
            )
        for size in SIZES:
            for scratch, start in STARTS.items():
                values = [kept[_key(task, size, s, scratch, model)] for s in SEEDS]
                count = size or f"all {len(task.training)}"
                spread = "" if IS_LONG else f"{np.std(values, ddof=1):.3f}"
                lines.append(
                    f"| {task.structure} | {count} | {start} | {np.mean(values):.3f} "
                    f"| {spread} |"
                )
    return "\n".join(lines)


def _untouched(task: Task, model: Model, kept: dict[str, float]) -> float:
    key = f"{task.structure}/none/{model.hash}/{TEST_IMAGES}"
    if key not in kept:
        scores = [_dice(i.case(task.mask), model, task.structure) for i in task.test]
        kept[key] = round(float(np.mean(scores)), 4)
        _keep(kept)
    return kept[key]


def _keep(kept: dict[str, float]) -> None:
    with atomic_path(KEPT) as path:
        path.write_text(json.dumps(kept, indent=1))


def _key(task: Task, size: int, seed: int, scratch: bool, model: Model) -> str:
    start = "scratch" if scratch else model.hash
    budget = f"{STEPS}x{CROPS}x{CROP_SIZE}/{TEST_IMAGES}"
    return f"{task.structure}/{size or 'all'}/seed {seed}/{start}/{budget}"


def _measure(task: Task, model: Model, seed: int, kept: dict[str, float]) -> None:
    wanted = [
        (size, scratch)
        for size in SIZES
        for scratch in STARTS
        if _key(task, size, seed, scratch, model) not in kept
    ]
    if not wanted:
        return
    order = np.random.default_rng(seed).permutation(len(task.training))
    test = [image.case(task.mask) for image in task.test]
    for size, scratch in wanted:
        cases = [task.training[k].case(task.mask) for k in order[: size or None]]
        settings = FinetuneSettings(
            STEPS, CROPS, CROP_SIZE, from_scratch=scratch, seed=seed
        )
        tuned = finetune(
            model,
            [case.image for case in cases],
            [case.reference for case in cases],
            task.structure,
            settings=settings,
        )
        score = float(np.mean([_dice(case, tuned, task.structure) for case in test]))
        kept[_key(task, size, seed, scratch, model)] = round(score, 4)
        _keep(kept)


def _dice(case: Case, model: Model, structure: str) -> float:
    embedding = embed(case.image, model)
    seen = embedding.field_of_view if case.field_of_view is None else case.field_of_view
    found = embedding.structure(structure) >= 0.5
    return dice(found[seen], case.reference[seen])
