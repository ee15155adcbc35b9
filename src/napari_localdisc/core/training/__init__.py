"""Training: both stages of the method, resumable, without labels.

`train` does it all; `TrainingSettings` says what can be chosen.
"""

from __future__ import annotations

from .settings import LossWeights, TrainingSettings
from .train import train
from .trainer import Progress, Trainer

__all__ = ["LossWeights", "Progress", "Trainer", "TrainingSettings", "train"]
