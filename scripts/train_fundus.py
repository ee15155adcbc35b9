"""Train the fundus model from its settings, which are here and nowhere else.

    python scripts/train_fundus.py FOLDER OUT

The first part begins with random weights and becomes OUT_first; the second goes on
from it, and learns the lesions that it sees at a closer look.  Both go on from the
checkpoint beside them with --resume.  ``--minutes 100 50`` ends them early, with the
learning rate where it should be; ``--every 3`` takes each third photograph of the
folder, sorted by name.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_localdisc.core.model.card import SUFFIX
from napari_localdisc.core.training.photographs import photograph_files
from napari_localdisc.core.training.settings import LossWeights, TrainingSettings
from napari_localdisc.core.training.train import train

if TYPE_CHECKING:
    from napari_localdisc.core.training.progress import Progress

PRIORS = (
    "vessel-tree",
    "disc",
    "hard-exudate",
    "haemorrhage",
    "cotton-wool-spot",
    "microaneurysm",
)
WEIGHTS = LossWeights(drawn=12.0, fitted=7.5, self_training=2.0)
"""Means over the drawn structures, in which vessels count twice, and over the fitted
ones, of which the disc is to count as much as when it was the only one."""

FIRST: dict[str, Any] = {"steps": 6000}
SECOND: dict[str, Any] = {
    "steps": 3000,
    "learning_rate": 1e-3,
    "stage1_share": 0.0,
    "self_training_from": 0.0,
}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--minutes",
        type=float,
        nargs=2,
        default=(None, None),
        help="Time budgets of both parts.",
    )
    parser.add_argument("--every", type=int, default=1, help="Photographs to take.")
    parser.add_argument("--most", type=int, help="Photographs to take, at most.")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--cache", type=Path, help="Of prepared photographs.")
    given = parser.parse_args()
    first = given.out.with_name(f"{given.out.stem}_first{SUFFIX}")
    if not (given.resume and first.exists()):
        train_part(given, first, FIRST, given.minutes[0])
    train_part(given, given.out, SECOND, given.minutes[1], start=first, teacher=first)


def train_part(
    given: argparse.Namespace,
    out: Path,
    values: dict[str, Any],
    minutes: float | None,
    **models: Path,
) -> None:
    """Train one part."""
    settings = TrainingSettings.for_modality(
        "fundus",
        priors=PRIORS,
        minutes=minutes,
        weights=WEIGHTS,
        validate_every=100_000,
        checkpoint_minutes=2.0,
        **values,
    )
    train(
        photograph_files(given.folder)[:: given.every][: given.most],
        out,
        settings=settings,
        resume=given.resume and out.with_suffix(".checkpoint").exists(),
        device="cpu",
        cache=given.cache,
        progress=show,
        **models,
    )


def show(state: Progress) -> None:
    """Print every tenth step."""
    if state.step % 10 == 0:
        losses = " ".join(f"{name} {v:.3f}" for name, v in state.losses.items())
        print(f"{state.step} {state.seconds:.0f} s {losses}", flush=True)


if __name__ == "__main__":
    main()
