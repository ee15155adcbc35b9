"""Simulated lesions: dark ones and bright ones, of any kind or of one of four.

Their shape is what is known of them: roundish to ragged patches from a pixel or two to
a twentieth of the field of view, alone or in groups.  Exudates are small and sharp, in
groups or rings; cotton wool spots are larger and soft; haemorrhages are blots, or
flames that lie along nerve fibres; microaneurysms are dots.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from .vessel_tree import REFERENCE_DIAMETER

Planes = tuple[NDArray[np.float32], NDArray[np.float32]]


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


def simulate_exudates(
    size: int, working_diameter: int, rng: np.random.Generator
) -> Planes:
    """Draw groups and rings of small spots with sharp borders; see `simulate_spots`."""
    scale = working_diameter / REFERENCE_DIAMETER
    planes = _blank(size)
    for _ in range(rng.integers(1, 7)):
        centre, spread = rng.uniform(0, size, 2), rng.uniform(3, 40) * scale
        typical = np.exp(rng.uniform(np.log(0.9), np.log(4.5))) * scale
        strength = rng.uniform(0.1, 0.55)
        ring = rng.uniform(8, 45) * scale if rng.random() < 0.3 else 0
        for _ in range(rng.integers(1, 20)):
            turn = rng.uniform(0, 2 * np.pi)
            about = centre + ring * np.array([np.sin(turn), np.cos(turn)])
            place = rng.normal(about, spread / 4 if ring else spread)
            radius = max(0.8, typical * rng.lognormal(0, 0.5))
            own = strength * rng.uniform(0.6, 1.2)
            _add_spot(*planes, place, radius, own, rng, soft=(0.3, 0.8))
    return planes


def simulate_cotton_wool(
    size: int, working_diameter: int, rng: np.random.Generator
) -> Planes:
    """Draw a few patches with soft borders; see `simulate_spots`."""
    scale = working_diameter / REFERENCE_DIAMETER
    planes = _blank(size)
    for _ in range(rng.integers(1, 5)):
        radius = np.exp(rng.uniform(np.log(4.0), np.log(18.0))) * scale
        strength = rng.uniform(0.08, 0.4)
        soft = 0.12 * radius, 0.4 * radius
        _add_spot(*planes, rng.uniform(0, size, 2), radius, strength, rng, soft=soft)
    return planes


def simulate_haemorrhages(
    size: int, working_diameter: int, rng: np.random.Generator
) -> Planes:
    """Draw blots, and flames that lie side by side; see `simulate_spots`."""
    scale = working_diameter / REFERENCE_DIAMETER
    planes = _blank(size)
    for _ in range(rng.integers(1, 7)):
        centre, spread = rng.uniform(0, size, 2), rng.uniform(5, 45) * scale
        typical = np.exp(rng.uniform(np.log(2.5), np.log(11.0))) * scale
        strength = rng.uniform(0.1, 0.5)
        along, is_flame = rng.uniform(0, np.pi), rng.random() < 0.4
        for _ in range(rng.integers(1, 9)):
            radius = max(2.0 * scale, typical * rng.lognormal(0, 0.4))
            aspect = rng.uniform(2, 5) if is_flame else rng.uniform(1, 1.8)
            turn = rng.normal(along, 0.15) if is_flame else rng.uniform(0, np.pi)
            place, own = rng.normal(centre, spread), strength * rng.uniform(0.7, 1.2)
            soft = (0.5, 0.5 + 0.15 * radius)
            _add_spot(
                *planes, place, radius, own, rng, soft=soft, aspect=aspect, turn=turn
            )
    return planes


def simulate_microaneurysms(
    size: int, working_diameter: int, rng: np.random.Generator
) -> Planes:
    """Draw scattered dots; see `simulate_spots`."""
    scale = working_diameter / REFERENCE_DIAMETER
    planes = _blank(size)
    for _ in range(rng.integers(3, 25)):
        radius = max(0.8, rng.uniform(0.9, 2.6) * scale)
        strength, aspect = rng.uniform(0.1, 0.45), rng.uniform(1, 1.3)
        place = rng.uniform(0, size, 2)
        _add_spot(*planes, place, radius, strength, rng, aspect=aspect)
    return planes


def _blank(size: int) -> Planes:
    return np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)


def _add_spot(
    depth: NDArray[np.float32],
    mask: NDArray[np.float32],
    centre: ArrayLike,
    radius: float,
    strength: float,
    rng: np.random.Generator,
    *,
    soft: tuple[float, float] = (0.5, 1.2),
    aspect: float | None = None,
    turn: float | None = None,
) -> None:
    """Add one ragged ellipse, in place."""
    centre = np.asarray(centre)
    turn = rng.uniform(0, np.pi) if turn is None else turn
    aspect = rng.uniform(1, 1.8) if aspect is None else aspect
    reach = int(np.ceil(max(2, 1.3 * np.sqrt(aspect)) * radius)) + 2
    top, left = round(centre[0]) - reach, round(centre[1]) - reach
    side = 2 * reach + 1
    rows = slice(max(0, top), min(mask.shape[0], top + side))
    columns = slice(max(0, left), min(mask.shape[1], left + side))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    y, x = np.mgrid[rows, columns].astype(np.float32)
    y, x = y - centre[0], x - centre[1]
    along = (np.cos(turn) * y + np.sin(turn) * x) / np.sqrt(aspect)
    across = (np.cos(turn) * x - np.sin(turn) * y) * np.sqrt(aspect)
    ragged = ndimage.gaussian_filter(rng.normal(size=y.shape), max(0.8, radius / 3))
    ragged *= rng.uniform(0, 0.35) / (ragged.std() + 1e-6)
    edge = radius * (1 + ragged) - np.hypot(along, across)
    width = rng.uniform(*soft)
    patch_depth = strength * np.clip(edge / (2 * width) + 0.5, 0, 1)
    depth[rows, columns] = np.maximum(depth[rows, columns], patch_depth)
    coverage = np.clip(edge + 0.5, 0, 1)
    mask[rows, columns] = np.maximum(mask[rows, columns], coverage)
