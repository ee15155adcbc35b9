"""Simulated chest radiographs whose lungs are known."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_localdisc.core.priors.lung_shapes import (
    MODES,
    fill,
    lung_grid,
    outline_places,
)


def simulate_lungs(size: int, rng: np.random.Generator, variation: float):
    """Draw a random pair of lungs, (size, size) bool; variation 0: the mean shape."""
    modes = np.clip(rng.standard_normal((1, MODES)), -2, 2) * variation
    outlines = lung_grid(modes, *outline_places())[0]
    return fill(outlines * size - 0.5, (size, size))


def radiograph(seed: int, size: int = 192, variation: float = 0.5):
    """A chest, (size, size, 3) float32 in [0, 1], and the mask of its lungs.

    A bright trunk in darker air, dark lungs with ribs and noise, a bright film edge.
    """
    rng = np.random.default_rng(seed)
    lungs = simulate_lungs(size, rng, variation)
    y, x = np.mgrid[:size, :size] / size
    trunk = np.abs(x - 0.5) < 0.4 + 0.1 * y
    grey = np.where(trunk, 0.75, 0.3)
    grey += 0.15 * np.exp(-(((x - 0.5) / 0.08) ** 2))
    grey[lungs] = 0.35
    grey += 0.04 * (np.sin(34 * y + 6 * np.abs(x - 0.5)) > 0.6)
    grey = ndimage.gaussian_filter(grey, 0.006 * size)
    grey += rng.normal(0, 0.01, grey.shape)
    grey[:2] = grey[-2:] = 0.95
    grey = grey.clip(0, 1).astype(np.float32)
    return np.repeat(grey[..., None], 3, -1), lungs


def overlap(a, b) -> float:
    """Dice coefficient of two masks."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))
