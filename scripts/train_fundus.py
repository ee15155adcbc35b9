"""Train the fundus model from its settings, which are here and nowhere else.

    python scripts/train_fundus.py FOLDER OUT                 from scratch
    python scripts/train_fundus.py FOLDER OUT --start fundus  the second part alone

From scratch has two parts.  The first begins with random weights and becomes OUT_first;
the second goes on from it with a learning rate that rises and falls once more, and
structures that the first one never finds begin as their nearest kin (rare, small ones:
their gradient vanishes before they are found).  Both go on from the checkpoint beside
them with --resume.  ``--minutes 100 20`` ends either part early, with the learning rate
where it should be; ``--every 3`` takes each third photograph of the folder, sorted by
name.
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
WEIGHTS = LossWeights(drawn=10.0, fitted=7.5, self_training=2.0)
"""Means over five structures each, of which vessels and the disc are to count as much
as among the three and the one that they were before."""

FIRST: dict[str, Any] = {
    "steps": 6000,
    "validate_every": 100_000,
    "checkpoint_minutes": 2.0,
}
SECOND: dict[str, Any] = {
    "steps": 1500,
    "stage1_share": 0.0,
    "self_training_from": 0.15,
    "learning_rate": 1e-3,
    "averaging": 0.99,
    "drawings": 300,
    "validate_every": 100_000,
}


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", help="Model to go on from.")
    parser.add_argument(
        "--minutes", type=float, nargs="+", help="Time budget of each part."
    )
    parser.add_argument("--every", type=int, default=1, help="Photographs to take.")
    parser.add_argument("--most", type=int, help="Photographs to take, at most.")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--cache", type=Path, help="Of prepared photographs.")
    given = parser.parse_args()
    start = given.start
    if start is None:
        start = given.out.with_name(f"{given.out.stem}_first{SUFFIX}")
        if not (given.resume and start.exists()):
            _train(given, start, FIRST, None, given.resume, _minutes(given, 0))
    resume = given.resume and given.out.with_suffix(".checkpoint").exists()
    _train(given, given.out, SECOND, start, resume, _minutes(given, -1))


def _minutes(given: argparse.Namespace, part: int) -> float | None:
    return given.minutes[part] if given.minutes else None


def _train(
    given: argparse.Namespace,
    out: Path,
    part: dict[str, Any],
    start: Path | str | None,
    resume: bool,
    minutes: float | None,
) -> None:
    """Train one part."""
    settings = TrainingSettings.for_modality(
        "fundus", priors=PRIORS, minutes=minutes, weights=WEIGHTS, **part
    )
    train(
        photograph_files(given.folder)[:: given.every][: given.most],
        out,
        settings=settings,
        start=start,
        resume=resume,
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
