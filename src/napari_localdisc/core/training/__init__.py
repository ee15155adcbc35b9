"""Training: both stages of the method, resumable, without labels.

`train` does it all; `TrainingSettings` says what can be chosen.
"""

from __future__ import annotations

from .loop import Progress, Trainer
from .run import train
from .settings import LossWeights, TrainingSettings

__all__ = ["LossWeights", "Progress", "Trainer", "TrainingSettings", "train"]
