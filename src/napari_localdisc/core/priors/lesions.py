"""Simulated lesions: dark spots (haemorrhages, microaneurysms), bright ones (exudates).

Their shape is what is known of them: roundish to ragged patches from a pixel or two to
a twentieth of the field of view, alone or in groups.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .vessel_tree import REFERENCE_DIAMETER


def simulate_spots(
    size: int, working_diameter: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw groups of spots in a square window.

    Parameters are as of `simulate_vessel_trees`, and so are the depth, here the
    strength of the change of colour in [0, 1], and the mask, the coverage of pixels.
    """
    scale = working_diameter / REFERENCE_DIAMETER
    depth = np.zeros((size, size), np.float32)
    mask = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(2, 9)):
        centre, spread = rng.uniform(0, size, 2), rng.uniform(3, 45) * scale
        typical = np.exp(rng.uniform(np.log(1.0), np.log(8.0))) * scale
        strength = rng.uniform(0.1, 0.5)
        for _ in range(rng.integers(1, 14)):
            row, column = rng.normal(centre, spread)
            radius = max(0.9, typical * rng.lognormal(0, 0.4))
            _add_spot(depth, mask, (row, column), radius, strength, rng)
    return depth, mask


def _add_spot(
    depth: NDArray[np.float32],
    mask: NDArray[np.float32],
    centre: tuple[float, float],
    radius: float,
    strength: float,
    rng: np.random.Generator,
) -> None:
    """Add one ragged ellipse, in place."""
    reach = int(np.ceil(2 * radius)) + 2
    top, left = round(centre[0]) - reach, round(centre[1]) - reach
    side = 2 * reach + 1
    rows = slice(max(0, top), min(mask.shape[0], top + side))
    columns = slice(max(0, left), min(mask.shape[1], left + side))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    y, x = np.mgrid[rows, columns].astype(np.float32)
    y, x = y - centre[0], x - centre[1]
    turn, aspect = rng.uniform(0, np.pi), rng.uniform(1, 1.8)
    along = (np.cos(turn) * y + np.sin(turn) * x) / np.sqrt(aspect)
    across = (np.cos(turn) * x - np.sin(turn) * y) * np.sqrt(aspect)
    ragged = ndimage.gaussian_filter(rng.normal(size=y.shape), max(0.8, radius / 3))
    ragged *= rng.uniform(0, 0.35) / (ragged.std() + 1e-6)
    edge = radius * (1 + ragged) - np.hypot(along, across)
    soft = rng.uniform(0.5, 1.2)
    patch_depth = strength * np.clip(edge / (2 * soft) + 0.5, 0, 1)
    depth[rows, columns] = np.maximum(depth[rows, columns], patch_depth)
    coverage = np.clip(edge + 0.5, 0, 1)
    mask[rows, columns] = np.maximum(mask[rows, columns], coverage)
