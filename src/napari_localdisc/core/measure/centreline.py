"""Smooth curves through the pixels of a skeleton: length, direction, curvature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves, one after another in one array.

    Attributes
    ----------
    points : ndarray
        (N, 2) (row, column).
    first, second : ndarray
        (N, 2) derivatives of the points by their number along the curve.
    starts : ndarray
        (S + 1,) where each curve begins in ``points``; the last is N.
    """

    points: Floats
    first: Floats
    second: Floats
    starts: NDArray[np.intp]

    @property
    def speed(self) -> Floats:
        """(N,) pixels from one point to the next."""
        return np.asarray(np.hypot(*self.first.T))

    @property
    def curvature(self) -> Floats:
        """(N,) signed, in 1 / pixel: (x′y″ − y′x″) / |v|³."""
        (down, right), (down2, right2) = self.first.T, self.second.T
        turn = right * down2 - down * right2
        return np.asarray(turn / np.maximum(self.speed, 1e-9) ** 3)


def smooth(paths: Sequence[Floats], window: int, degree: int) -> Curves:
    """Fit a polynomial to each point and its neighbours along the path.

    Savitzky and Golay (Anal. Chem. 36, 1964): least squares within a window that
    moves along, at the ends of a path the window that lies at its end.  Curves keep
    their place where they are polynomials themselves, so that arcs do not shrink.

    Parameters
    ----------
    paths : sequence of ndarray
        (n, 2) points each, about a pixel apart; at least two.
    window : int
        Points that are fitted at once, odd; fewer where a path has fewer.
    degree : int
        Of the polynomials; less than the window.

    Returns
    -------
    Curves
        With as many points as the paths have.
    """
    lengths = np.array([len(path) for path in paths], np.intp)
    starts = np.append(0, np.cumsum(lengths)).astype(np.intp)
    every = np.concatenate(paths) if paths else np.zeros((0, 2))
    made = [np.zeros(every.shape) for _ in range(3)]
    sizes: dict[int, list[int]] = {}
    for index, path in enumerate(paths):
        size = min(window, len(path) - (len(path) + 1) % 2)
        sizes.setdefault(size, []).append(index)
    for size, chosen in sizes.items():
        if size < 3:  # two points: a straight line
            for index in chosen:
                part = slice(starts[index], starts[index + 1])
                made[0][part] = every[part]
                made[1][part] = np.diff(every[part], axis=0).mean(axis=0)
            continue
        kernels = _fits(size, min(degree, size - 1))
        half = size // 2
        first, last = starts[chosen], starts[np.add(chosen, 1)]
        lengths = last - first
        inner = np.repeat(first - np.cumsum(lengths) + lengths, lengths)
        inner += np.arange(lengths.sum())
        offset = inner - np.repeat(first, lengths)
        left = np.clip(offset - half, 0, np.repeat(lengths, lengths) - size)
        centre = offset - left  # place in the window: not its middle at the ends
        for order in range(3):
            weights = kernels[order]
            total = np.zeros((len(inner), 2))
            base = inner - centre
            for k in range(size):
                total += weights[centre, k, None] * every[base + k]
            made[order][inner] = total
    return Curves(made[0], made[1], made[2], starts)


@lru_cache(maxsize=64)
def _fits(size: int, degree: int) -> tuple[Floats, Floats, Floats]:
    """Weights that give value, first and second derivative at each place of a window.

    (size, size) each: a row for each place, a column for each point.
    """
    x = np.arange(size) - size // 2
    powers = np.arange(degree + 1.0)
    fit = np.linalg.pinv(x[:, None] ** powers)
    once = np.maximum(powers - 1, 0)
    twice = np.maximum(powers - 2, 0)
    x = x[:, None].astype(float)
    return (
        x**powers @ fit,
        (powers * x**once) @ fit,
        (powers * (powers - 1) * x**twice) @ fit,
    )
