"""A mask's skeleton as a graph: segments between end points and branch points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.morphology import skeletonize

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

_SMALL_HOLE = 12
"""Pixels of a hole that is no gap between vessels: a reflex, noise."""

_ROUNDS = 4
"""Of pruning; a spur's removal rarely uncovers another one."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Where a mask's middle lines run, and how they hang together.

    Attributes
    ----------
    paths : list of ndarray
        (n, 2) points (row, column) of each segment, from node to node.
    ends : ndarray
        (S, 2) int: the nodes at which each segment begins and ends; −1 for a ring.
    nodes : ndarray
        (K, 2) points.
    radius : ndarray
        (K,) distance from each node to the mask's edge.
    """

    paths: list[Points]
    ends: NDArray[np.intp]
    nodes: Points
    radius: NDArray[np.float64]

    @property
    def degree(self) -> NDArray[np.intp]:
        """(K,) how many segments meet at each node."""
        met = self.ends[self.ends >= 0]
        return np.bincount(met, minlength=len(self.nodes))


def find_skeleton(mask: Mask) -> Skeleton:
    """Thin a mask, prune what is no branch, and join what is one crossing.

    Thinned as by Lee et al. (CVGIP 56, 1994; scikit-image): the usual algorithm of
    Zhang and Suen at times takes the whole of a diagonal vessel away.  A branch that
    ends within the mask's own width around the branch point, so that it is a bump of
    the outline, is pruned.  Branch points that are nearer to each other than the sum of
    their distances to the outline are one: a crossing.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool.

    Returns
    -------
    Skeleton
    """
    mask = _without_specks_of_background(mask)
    edge = Edge(mask)
    thin = skeletonize(mask, method="lee") > 0
    pixels, ends, paths = _trace(thin)
    for _ in range(_ROUNDS):
        spurs = _spurs(pixels, ends, paths, edge)
        if not spurs:
            break
        thin[tuple(pixels[np.concatenate(spurs)].T)] = False
        pixels, ends, paths = _trace(thin)
    return _joined(pixels, ends, paths, edge)


class Edge:
    """The outermost pixels of a mask, asked for their distance."""

    def __init__(self, mask: Mask) -> None:
        padded = np.pad(mask, 1)
        inner = padded[1:-1, 1:-1].copy()
        for part in (padded[:-2, 1:-1], padded[2:, 1:-1]):
            inner &= part
        for part in (padded[1:-1, :-2], padded[1:-1, 2:]):
            inner &= part
        found = np.argwhere(mask & ~inner)
        self._tree = KDTree(found) if len(found) else None

    def distance(self, points: Points) -> NDArray[np.float64]:
        """(n,) pixels from points to the mask's outline, half a pixel outside."""
        if self._tree is None or not len(points):
            return np.zeros(len(points))
        return np.asarray(self._tree.query(points)[0]) + 0.5


def _without_specks_of_background(mask: Mask) -> Mask:
    names, count = ndimage.label(~mask)
    if count < 2:
        return mask
    areas = np.bincount(names.ravel())
    small = areas <= _SMALL_HOLE
    small[0] = False
    if not small.any():
        return mask
    rim = np.concatenate([names[0], names[-1], names[:, 0], names[:, -1]])
    small[rim] = False
    return np.asarray(mask | small[names])


Path = list[int]


def _trace(thin: Mask) -> tuple[NDArray[np.intp], list[tuple[int, int]], list[Path]]:
    """Walk along a skeleton: its pixels, and paths between those that are no link.

    Two pixels that touch at a corner are neighbours only where no pixel of the
    skeleton touches both by a side, so that a bend is no branch.
    """
    padded = np.pad(thin, 1)
    pixels = np.argwhere(thin)
    number = np.full(padded.shape, -1, np.intp)
    number[padded] = np.arange(len(pixels))
    here = number[1:-1, 1:-1][thin]
    rows, columns = pixels[:, 0] + 1, pixels[:, 1] + 1
    pairs = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = number[rows + down, columns + right]
        linked = other >= 0
        if down and right:
            linked &= number[rows + down, columns] < 0
            linked &= number[rows, columns + right] < 0
        pairs.append(np.stack([here[linked], other[linked]], 1))
    near: list[list[int]] = [[] for _ in range(len(pixels))]
    for one, two in np.concatenate(pairs).tolist():
        near[one].append(two)
        near[two].append(one)
    is_node = [len(others) != 2 for others in near]
    seen = bytearray(len(pixels))
    ends: list[tuple[int, int]] = []
    paths: list[Path] = []

    def walk(start: int, step: int) -> None:
        path = [start, step]
        while not is_node[path[-1]] and path[-1] != start:
            seen[path[-1]] = 1
            one, two = near[path[-1]]
            path.append(two if one == path[-2] else one)
        ends.append((start, path[-1]))
        paths.append(path)

    for start in np.flatnonzero(is_node).tolist():
        for step in near[start]:
            if is_node[step]:
                if start < step:
                    walk(start, step)
            elif not seen[step]:
                walk(start, step)
    for start, node in enumerate(is_node):  # rings
        if not node and not seen[start]:
            seen[start] = 1
            walk(start, near[start][0])
            ends[-1] = (-1, -1)
    return pixels, ends, paths


def _spurs(
    pixels: NDArray[np.intp],
    ends: Sequence[tuple[int, int]],
    paths: Sequence[Path],
    edge: Edge,
) -> list[Path]:
    """Return the pixels of branches that end within the width of what they leave."""
    degree = np.bincount(
        np.array([end for pair in ends for end in pair if end >= 0], int),
        minlength=len(pixels),
    )
    spurs, leaves = [], []
    for (one, two), path in zip(ends, paths, strict=True):
        if one < 0 or (degree[one] == 1) == (degree[two] == 1):
            continue
        if degree[one] != 1:
            path = path[::-1]  # from its free end
        spurs.append(path[:-1])
        leaves.append((path[0], path[-1]))
    if not spurs:
        return []
    tips, roots = (pixels[list(part)] for part in zip(*leaves, strict=True))
    length = np.hypot(*(tips - roots).T)
    reach = edge.distance(roots.astype(float))
    return [
        spur for spur, short in zip(spurs, length <= reach + 1, strict=True) if short
    ]


def _joined(
    pixels: NDArray[np.intp],
    ends: Sequence[tuple[int, int]],
    paths: Sequence[Path],
    edge: Edge,
) -> Skeleton:
    """Make one node of pixels that are one branch point or one crossing."""
    given = np.array(ends, np.intp).reshape(-1, 2)
    places = pixels.astype(float)
    ids, flat = np.unique(given[given >= 0], return_inverse=True)
    compact = given.copy()
    compact[given >= 0] = flat
    degree = np.bincount(compact[compact >= 0], minlength=len(ids))
    at = places[ids]
    radius = edge.distance(at)
    group = np.arange(len(ids))

    def root(node: int) -> int:
        while group[node] != node:
            group[node] = group[group[node]]
            node = int(group[node])
        return node

    kept = []
    for index, (one, two) in enumerate(compact.tolist()):
        is_link = one >= 0 and one != two and min(degree[one], degree[two]) > 2
        apart = np.hypot(*(at[one] - at[two])) if is_link else np.inf
        steps = len(paths[index]) - 1
        if (
            is_link
            and steps <= 1.5 * apart + 2
            and (apart <= 1.5 or apart < radius[one] + radius[two])
        ):
            group[root(one)] = root(two)
        else:
            kept.append(index)
    roots = np.array([root(node) for node in range(len(ids))], np.intp)
    names, member = np.unique(roots, return_inverse=True)
    count = np.maximum(np.bincount(member, minlength=len(names)), 1)
    nodes = (
        np.stack([np.bincount(member, axis, len(names)) / count for axis in at.T], 1)
        if len(names)
        else np.zeros((0, 2))
    )
    final, lines = [], []
    for index in kept:
        one, two = compact[index]
        line = places[paths[index]]
        if one >= 0:
            one, two = member[one], member[two]
            if one == two and len(line) < 2 * radius[names[one]] + 6:
                continue  # a loop within one branch point
            line[0], line[-1] = nodes[one], nodes[two]
        final.append((one, two))
        lines.append(line)
    size = np.zeros(len(names))
    np.maximum.at(size, member, radius)
    return Skeleton(lines, np.array(final, np.intp).reshape(-1, 2), nodes, size)
