"""A training that takes seconds, for tests in which another process does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_localdisc.viewer.training.job import Message, TrainingJob

TINY = {
    "steps": 4,
    "priors": ["disc"],
    "working_diameter": 96,
    "clusters": 4,
    "embedding_dim": 8,
    "width": 2,
    "crop_size": 48,
    "pixel_pairs": 32,
    "patch_grid": 4,
    "held_out": 1,
    "validate_every": 2,
}
PATIENCE = 240
"""Seconds; on a busy machine importing torch alone may take a minute."""


def fundus_like(seed: int, size: int = 120) -> np.ndarray:
    """A lit disc with a bright spot in a dark frame, (size, size, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    image = rng.normal((150, 80, 40), 4, (size, size, 3))
    image[np.hypot(y, x - rng.uniform(-20, 20)) < 9] += (70, 90, 60)
    image[np.hypot(y, x) > 0.47 * size] = 0
    return image.clip(0, 255).astype(np.uint8)


class Photograph:
    """Pixels as a job reads them."""

    def __init__(self, seed: int) -> None:
        self.pixels = fundus_like(seed)

    def read(self) -> np.ndarray:
        return self.pixels


def listen(
    job: TrainingJob, until: Callable[[Message], bool] = lambda _: False
) -> list[Message]:
    """Collect messages to the end, or to the first one that is waited for."""
    heard: list[Message] = []
    end = time.monotonic() + PATIENCE
    while job.is_running and time.monotonic() < end:
        for message in job.poll():
            heard.append(message)
            if until(message):
                return heard
        time.sleep(0.02)
    return heard
