"""Smooth curves through the pixels of a skeleton: length, direction, curvature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NOISE_REACH = 5
"""Points along a path over which the stairs of pixels are taken to be alike."""

UNSURE_ENDS = 4
"""Points at each end of a curve whose curvature is that of the next one inside: a
polynomial is worst at the end of its window."""


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
    given : ndarray
        (N, 2) points that the curves were fitted to.
    size, place : ndarray
        (N,) points of the window that was fitted, and the point's number in it.
    degree : int
        Of the polynomials; less in windows of as few points.
    is_ring : ndarray
        (S,) bool, whether a curve ends where it begins.
    """

    points: Floats
    first: Floats
    second: Floats
    starts: NDArray[np.intp]
    given: Floats
    size: NDArray[np.intp]
    place: NDArray[np.intp]
    degree: int
    is_ring: NDArray[np.bool_]

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


def smooth(
    paths: Sequence[Floats],
    window: int,
    degree: int,
    is_ring: NDArray[np.bool_] | None = None,
) -> Curves:
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
    is_ring : ndarray, optional
        (S,) bool, which paths end at the point where they begin; windows go on there.

    Returns
    -------
    Curves
        With as many points as the paths have.
    """
    if is_ring is None:
        is_ring = np.zeros(len(paths), bool)
    lengths = np.array([len(path) for path in paths], np.intp)
    starts = np.append(0, np.cumsum(lengths)).astype(np.intp)
    every = np.concatenate(paths) if paths else np.zeros((0, 2))
    made = [np.zeros(every.shape) for _ in range(3)]
    sizes = np.full(len(every), 2, np.intp)
    places = np.zeros(len(every), np.intp)
    alike: dict[tuple[int, bool], list[int]] = {}
    for index, path in enumerate(paths):
        size = min(window, len(path) - (len(path) + 1) % 2)
        alike.setdefault((size, bool(is_ring[index])), []).append(index)
    for (size, ring), chosen in alike.items():
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
        begin, count = np.repeat(first, lengths), np.repeat(lengths, lengths)
        offset = np.arange(lengths.sum()) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        left = offset - half
        if not ring:  # at the ends a point is not in the middle of its window
            left = np.clip(left, 0, count - size)
        inner, centre = begin + offset, offset - left
        for order in range(3):
            weights = kernels[order]
            total = np.zeros((len(inner), 2))
            for k in range(size):
                at = (left + k) % (count - 1) if ring else left + k
                total += weights[centre, k, None] * every[begin + at]
            made[order][inner] = total
        sizes[inner], places[inner] = size, centre
    return Curves(
        made[0], made[1], made[2], starts, every, sizes, places, degree, is_ring
    )


def squared_curvature(curves: Curves) -> Floats:
    """Square the curvature, without what the stairs of pixels add to it.

    The noise of a curvature makes its square too large, by its variance on average.
    How the given points stray across the curves tells the noise's autocovariance, over
    `NOISE_REACH` points of all curves together, and that and the polynomials' weights
    tell the variance.  Values may be below 0; their mean over a curve is what counts.

    Returns
    -------
    ndarray
        (N,) in 1 / pixel².
    """
    squared = np.asarray(curves.curvature**2)
    sizes = np.unique(curves.size)
    # Of short curves alone nothing tells the noise
    if not len(sizes) or sizes[-1] <= max(2 * NOISE_REACH, curves.degree + 1):
        return squared
    noise = _noise(curves, int(sizes[-1]))
    for size in sizes[sizes > 2].tolist():
        added = _noise_gain(size, min(curves.degree, size - 1)) @ noise
        here = curves.size == size
        speed = np.maximum(curves.speed[here], 1e-9)
        squared[here] -= added[curves.place[here]] / speed**4
    for (first, last), ring in zip(
        pairwise(curves.starts), curves.is_ring, strict=True
    ):
        if not ring and last - first > 2 * UNSURE_ENDS:
            squared[first : first + UNSURE_ENDS] = squared[first + UNSURE_ENDS]
            squared[last - UNSURE_ENDS : last] = squared[last - UNSURE_ENDS - 1]
    return squared


def _noise(curves: Curves, size: int) -> Floats:
    """(NOISE_REACH + 1,) autocovariance of the given points across the curves.

    Of those in the middle of windows of one size; a curve follows part of the noise,
    which is accounted for.
    """
    across = np.stack([-curves.first[:, 1], curves.first[:, 0]], 1)
    across /= np.maximum(curves.speed, 1e-9)[:, None]
    stray = ((curves.given - curves.points) * across).sum(1)
    middle = (curves.size == size) & (curves.place == size // 2)
    curve = np.repeat(np.arange(len(curves.starts) - 1), np.diff(curves.starts))
    seen = np.zeros(NOISE_REACH + 1)
    for lag in range(NOISE_REACH + 1):
        end = len(stray) - lag
        both = middle[:end] & middle[lag:] & (curve[:end] == curve[lag:])
        if both.any():
            seen[lag] = (stray[:end] * stray[lag:])[both].mean()
    left = -_fits(size, curves.degree)[0][size // 2]
    left[size // 2] += 1
    overlap = np.correlate(left, left, "full")[size - 1 :]
    lags = np.arange(NOISE_REACH + 1)
    seen_of = overlap[np.abs(lags[:, None] - lags)]
    seen_of[:, 1:] += overlap[lags[:, None] + lags[1:]]
    return np.asarray(np.linalg.lstsq(seen_of, seen, rcond=1e-2)[0])


@lru_cache(maxsize=64)
def _noise_gain(size: int, degree: int) -> Floats:
    """(size, NOISE_REACH + 1) share of each autocovariance in a second derivative."""
    weights = _fits(size, degree)[2]
    gains = [(weights**2).sum(1)]
    gains += [
        2 * (weights[:, lag:] * weights[:, :-lag]).sum(1)
        for lag in range(1, NOISE_REACH + 1)
    ]
    return np.stack(gains, 1)


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
