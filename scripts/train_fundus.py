"""Train the fundus model from its settings, which are here and nowhere else.

    python scripts/train_fundus.py FOLDER OUT

It begins with random weights, and goes on from the checkpoint beside OUT with --resume.
``--minutes 100`` ends it early, with the learning rate where it should be; ``--every
3`` takes each third photograph of the folder, sorted by name.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

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

STEPS = 6000


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, help="Time budget.")
    parser.add_argument("--every", type=int, default=1, help="Photographs to take.")
    parser.add_argument("--most", type=int, help="Photographs to take, at most.")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--cache", type=Path, help="Of prepared photographs.")
    given = parser.parse_args()
    settings = TrainingSettings.for_modality(
        "fundus",
        priors=PRIORS,
        minutes=given.minutes,
        weights=WEIGHTS,
        steps=STEPS,
        validate_every=100_000,
        checkpoint_minutes=2.0,
    )
    train(
        photograph_files(given.folder)[:: given.every][: given.most],
        given.out,
        settings=settings,
        resume=given.resume and given.out.with_suffix(".checkpoint").exists(),
        device="cpu",
        cache=given.cache,
        progress=show,
    )


def show(state: Progress) -> None:
    """Print every tenth step."""
    if state.step % 10 == 0:
        losses = " ".join(f"{name} {v:.3f}" for name, v in state.losses.items())
        print(f"{state.step} {state.seconds:.0f} s {losses}", flush=True)


if __name__ == "__main__":
    main()
