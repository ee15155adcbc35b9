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

WIDEST_RADIUS = 7.5
NARROWEST_RADIUS = 0.45
_SUPERSAMPLING = 2
_CALIBRE_GROUPS = (1.2, 2.4, np.inf)
_BRANCHING_PER_STEP = 0.012
_STRAIGHTENING = 0.004
_LONGEST_LENGTH_PER_SIDE = 11
_AT_DISC_SHARE = 0.2
"""Share of windows in which trees have one root in common, as on an optic disc."""
_ARTERY_CALIBRE, _ARTERY_DEPTH = (0.65, 0.9), (0.65, 0.95)
"""Of an artery beside a vein."""


@dataclass
class _Branch:
    row: float
    column: float
    direction: float
    radius: float
    depth: float
    generations: int
    artery: float
    reflex: float


def simulate_vessel_trees(
    size: int, working_diameter: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], ...]:
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
        (size, size) float32 in [0, 1): share of green light that the vessels absorb,
        but for their reflex.
    mask : ndarray
        (size, size) float32 in [0, 1]: coverage of each pixel by a vessel, up to half
        a pixel wider than the ridge, as people draw vessels.
    artery : ndarray
        (size, size) float32 in [0, 1]: how far the vessel is an artery, not a vein.
    reflex : ndarray
        (size, size) float32 in [0, 1]: share of the depth that the bright stripe along
        the middle of wide vessels takes away.
    """
    scale = working_diameter / REFERENCE_DIAMETER
    points = np.array(_grow(size / scale, rng), dtype=np.float32).reshape(-1, 6)
    points[:, :3] *= scale
    depth, mask, artery, reflex = np.zeros((4, size, size), np.float32)
    narrower = 0.0
    for wider in _CALIBRE_GROUPS:
        radius = points[:, 2] / scale
        group = points[(radius > narrower) & (radius <= wider)]
        narrower = wider
        if len(group):
            group_depth, group_mask, *look = _rasterise(group, size)
            above = group_depth > depth
            np.maximum(depth, group_depth, out=depth)
            np.maximum(mask, group_mask, out=mask)
            for whole, part in zip((artery, reflex), look, strict=True):
                np.copyto(whole, part, where=above)
    return depth, mask, artery, reflex


def _grow(size: float, rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Return points a pixel apart on centre lines.

    Each has a row, column, radius, depth, share of an artery and reflex.
    """
    waiting = [_root(size, rng) for _ in range(rng.integers(2, 7))]
    if rng.random() < _AT_DISC_SHARE:
        waiting += _roots_at_disc(size, rng)
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
            points.append(
                (
                    branch.row,
                    branch.column,
                    branch.radius,
                    branch.depth,
                    branch.artery,
                    branch.reflex,
                )
            )
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
    widening = rng.beta(1.0, 2.6)
    direction += rng.normal(0, 0.5)
    return _trunk(row, column, direction, widening, int(rng.integers(2, 6)), rng)


def _roots_at_disc(size: float, rng: np.random.Generator) -> list[_Branch]:
    """Let wide vessels leave one place in all directions."""
    row, column = rng.uniform(0.1 * size, 0.9 * size, 2)
    return [
        _trunk(
            row + rng.normal(0, 4),
            column + rng.normal(0, 4),
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.1, 0.75),
            int(rng.integers(2, 5)),
            rng,
        )
        for _ in range(rng.integers(4, 11))
    ]


def _trunk(
    row: float,
    column: float,
    direction: float,
    widening: float,
    generations: int,
    rng: np.random.Generator,
) -> _Branch:
    """Start a tree of arteries or of veins; ``widening`` 0 is narrowest, 1 widest."""
    radius = NARROWEST_RADIUS + (WIDEST_RADIUS - NARROWEST_RADIUS) * widening
    depth = rng.uniform(0.1, 0.38) + rng.uniform(0.1, 0.3) * radius / WIDEST_RADIUS
    artery = float(rng.integers(2))
    reflex = rng.uniform(0.2, 1) * artery + rng.uniform(0, 0.5) * (1 - artery)
    if artery:
        radius = max(NARROWEST_RADIUS, radius * rng.uniform(*_ARTERY_CALIBRE))
        depth *= rng.uniform(*_ARTERY_DEPTH)
    return _Branch(row, column, direction, radius, depth, generations, artery, reflex)


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
        parent.artery,
        parent.reflex,
    )


def _rasterise(
    points: NDArray[np.float32], size: int
) -> tuple[NDArray[np.float32], ...]:
    """Draw centre lines of similar calibre: each pixel belongs to its nearest point."""
    fine = size * _SUPERSAMPLING
    index = np.floor((points[:, :2] + 0.5) * _SUPERSAMPLING).astype(int)
    seen = ((index >= 0) & (index < fine)).all(1)
    index, points = index[seen], points[seen]
    if not len(points):
        return (np.zeros((size, size), np.float32),) * 4
    owner = np.full((fine, fine), -1, np.int32)
    owner[index[:, 0], index[:, 1]] = np.arange(len(points))
    distance, nearest = ndimage.distance_transform_edt(owner < 0, return_indices=True)
    owner = owner[nearest[0], nearest[1]]
    distance = distance.astype(np.float32) / _SUPERSAMPLING
    radius, depth, artery, reflex = np.moveaxis(points[owner, 2:], -1, 0)
    relative = distance / (radius + 0.5)
    # A cylinder absorbs along its chord; narrow ones are blurred by the optics.
    chord = np.sqrt(np.clip(1.1 - relative**2, 0, None))
    middle = (0.25 + 0.15 * reflex) * radius
    stripe = reflex * np.exp(-((distance / middle) ** 2)) * (radius > 1.8)
    profile = depth * chord * np.minimum(1, 0.5 + 0.28 * radius)
    beyond = np.clip(0.3 * radius, 0.1, 0.5)
    mask = (distance <= radius + beyond).astype(np.float32)
    planes = profile, mask, artery, stripe
    return tuple(_block_mean(plane) for plane in planes)


def _block_mean(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    side = fine.shape[0] // _SUPERSAMPLING
    blocks = fine.reshape(side, _SUPERSAMPLING, side, _SUPERSAMPLING)
    mean: NDArray[np.float32] = blocks.mean((1, 3), dtype=np.float32)
    return mean
