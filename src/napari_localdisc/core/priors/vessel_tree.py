"""Simulated vessel trees: what a vessel is, said by shape alone.

A tree grows from its root in steps of a pixel.  Its direction follows a smooth random
curvature (tortuosity), its calibre tapers, branches leave at plausible angles with a
smaller calibre, and trees cross each other freely.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

REFERENCE_DIAMETER = 540
"""Working diameter, in pixels, at which the calibres below are given."""

WIDEST_RADIUS = 5.2
NARROWEST_RADIUS = 0.45
_SUPERSAMPLING = 2
_CALIBRE_GROUPS = (1.2, 2.4, np.inf)
_BRANCHING_PER_STEP = 0.012
_STRAIGHTENING = 0.004
_LONGEST_LENGTH_PER_SIDE = 11


@dataclass
class _Branch:
    row: float
    column: float
    direction: float
    radius: float
    depth: float
    generations: int


def simulate_vessel_trees(
    size: int, working_diameter: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Simulate the vessels in a square window of a fundus image.

    Parameters
    ----------
    size : int
        Side of the window in pixels of the working grid.
    working_diameter : int
        Diameter of the field of view in pixels; calibres scale with it.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    depth : ndarray
        (size, size) float32 in [0, 1): share of green light that the vessels absorb.
    mask : ndarray
        (size, size) float32 in [0, 1]: coverage of each pixel by a vessel, half a
        pixel wider than the ridge, as people draw vessels.
    """
    scale = working_diameter / REFERENCE_DIAMETER
    points = np.array(_grow(size / scale, rng), dtype=np.float32).reshape(-1, 4)
    points[:, :3] *= scale
    depth = np.zeros((size, size), np.float32)
    mask = np.zeros((size, size), np.float32)
    reflex = rng.uniform(0, 0.55)
    narrower = 0.0
    for wider in _CALIBRE_GROUPS:
        radius = points[:, 2] / scale
        group = points[(radius > narrower) & (radius <= wider)]
        narrower = wider
        if len(group):
            group_depth, group_mask = _rasterise(group, size, reflex)
            np.maximum(depth, group_depth, out=depth)
            np.maximum(mask, group_mask, out=mask)
    return depth, mask


def _grow(size: float, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Return (row, column, radius, depth) of points a pixel apart on centre lines."""
    waiting = [_root(size, rng) for _ in range(rng.integers(2, 7))]
    points: list[tuple[float, ...]] = []
    while waiting and len(points) < _LONGEST_LENGTH_PER_SIDE * size:
        branch = waiting.pop(int(rng.integers(len(waiting))))
        bend, tortuosity = rng.normal(0, 0.015), rng.uniform(0.002, 0.014)
        heading = branch.direction
        taper = rng.uniform(0.9975, 0.9995)
        inside = True
        for _ in range(rng.integers(25, 160)):
            bend = 0.93 * bend + rng.normal(0, tortuosity)
            bend -= _STRAIGHTENING * (branch.direction - heading)
            branch.direction += bend
            branch.row += np.sin(branch.direction)
            branch.column += np.cos(branch.direction)
            inside = -8 <= branch.row < size + 8 and -8 <= branch.column < size + 8
            if not inside:
                break
            points.append((branch.row, branch.column, branch.radius, branch.depth))
            branch.radius = max(NARROWEST_RADIUS, branch.radius * taper)
            if branch.generations and rng.random() < _BRANCHING_PER_STEP:
                waiting.append(_side_branch(branch, rng))
        if inside and branch.generations and branch.radius > 0.6:
            waiting += _fork(branch, rng)
    return points


def _root(size: float, rng: np.random.Generator) -> _Branch:
    along = rng.uniform(0, size)
    row, column, direction = (
        (0.0, along, np.pi / 2),
        (size - 1, along, -np.pi / 2),
        (along, 0.0, 0.0),
        (along, size - 1, np.pi),
        (*rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)),
    )[rng.integers(5)]
    radius = NARROWEST_RADIUS + (WIDEST_RADIUS - NARROWEST_RADIUS) * rng.beta(1.0, 1.9)
    depth = rng.uniform(0.1, 0.38) + rng.uniform(0.1, 0.3) * radius / WIDEST_RADIUS
    generations = int(rng.integers(2, 6))
    direction += rng.normal(0, 0.5)
    return _Branch(row, column, direction, radius, depth, generations)


def _side_branch(parent: _Branch, rng: np.random.Generator) -> _Branch:
    angle = rng.choice([-1, 1]) * rng.uniform(0.4, 1.3)
    return _child(parent, angle, rng.uniform(0.35, 0.8), rng.uniform(0.55, 1.0), rng)


def _fork(parent: _Branch, rng: np.random.Generator) -> list[_Branch]:
    spread = rng.uniform(0.2, 0.7)
    return [
        _child(
            parent,
            side * spread * rng.uniform(0.3, 1.2),
            rng.uniform(0.6, 0.9),
            rng.uniform(0.7, 1.0),
            rng,
        )
        for side in (-1, 1)
    ]


def _child(
    parent: _Branch,
    angle: float,
    narrowing: float,
    fading: float,
    rng: np.random.Generator,
) -> _Branch:
    radius = max(NARROWEST_RADIUS, parent.radius * narrowing)
    return _Branch(
        parent.row,
        parent.column,
        parent.direction + angle + rng.normal(0, 0.05),
        radius,
        max(0.06, parent.depth * fading),
        parent.generations - 1,
    )


def _rasterise(
    points: NDArray[np.float32], size: int, reflex: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw centre lines of similar calibre: each pixel belongs to its nearest point."""
    fine = size * _SUPERSAMPLING
    index = np.floor((points[:, :2] + 0.5) * _SUPERSAMPLING).astype(int)
    seen = ((index >= 0) & (index < fine)).all(1)
    index, points = index[seen], points[seen]
    if not len(points):
        return (np.zeros((size, size), np.float32),) * 2
    owner = np.full((fine, fine), -1, np.int32)
    owner[index[:, 0], index[:, 1]] = np.arange(len(points))
    distance, nearest = ndimage.distance_transform_edt(owner < 0, return_indices=True)
    owner = owner[nearest[0], nearest[1]]
    distance = distance.astype(np.float32) / _SUPERSAMPLING
    radius, depth = points[owner, 2], points[owner, 3]
    relative = distance / (radius + 0.5)
    # A cylinder absorbs along its chord; narrow ones are blurred by the optics.
    chord = np.sqrt(np.clip(1.1 - relative**2, 0, None))
    stripe = np.exp(-((distance / (0.35 * radius)) ** 2)) * (radius > 1.8)
    profile = depth * chord * np.minimum(1, 0.5 + 0.28 * radius) * (1 - reflex * stripe)
    mask = (distance <= radius + 0.5).astype(np.float32)
    return _block_mean(profile), _block_mean(mask)


def _block_mean(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    side = fine.shape[0] // _SUPERSAMPLING
    blocks = fine.reshape(side, _SUPERSAMPLING, side, _SUPERSAMPLING)
    mean: NDArray[np.float32] = blocks.mean((1, 3), dtype=np.float32)
    return mean
