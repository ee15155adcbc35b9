"""Shapes whose measures are known: drawn turned, scaled and shifted by parts of pixels.

A pixel belongs to a shape if its centre lies in it; a probability is the shape's edge
seen through a lens: a step blurred by 0.6 pixel.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.special import erf

BLUR = 0.6


def turned(points, degrees, centre):
    """Turn points (row, column) about the origin, then move that to the centre."""
    angle = np.radians(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.asarray(points) @ np.array([[cosine, sine], [-sine, cosine]]) + centre


def local(shape, degrees, centre):
    """Coordinates (down, right) of every pixel in a turned frame."""
    rows, columns = np.indices(shape).reshape(2, -1)
    away = np.stack([rows, columns], 1) - centre
    return turned(away, -degrees, (0, 0)).T.reshape(2, *shape)


def disc(shape, centre, radius):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(rows - centre[0], columns - centre[1]) <= radius


def ellipse(shape, centre, tall, wide, degrees=0.0):
    down, right = local(shape, degrees, centre)
    return (down / tall) ** 2 + (right / wide) ** 2 <= 1


def rectangle(shape, centre, tall, wide, degrees=0.0):
    down, right = local(shape, degrees, centre)
    return (np.abs(down) <= tall / 2) & (np.abs(right) <= wide / 2)


@dataclass(frozen=True)
class Tube:
    """A tube of one width around curves."""

    distance: np.ndarray
    width: float

    @property
    def mask(self):
        return self.distance <= self.width / 2

    @property
    def probability(self):
        beyond = self.distance - self.width / 2
        values = 0.5 * (1 - erf(beyond / (np.sqrt(2) * BLUR)))
        return values.astype(np.float32)


def tube(shape, curves, width):
    """Draw a tube around curves: lists of (n, 2) points, straight between them."""
    points = np.concatenate([_dense(np.asarray(curve, float)) for curve in curves])
    far = width / 2 + 4 * BLUR + 1
    distance = np.full(shape, np.inf)
    low = np.maximum(np.floor(points.min(0) - far).astype(int), 0)
    high = np.minimum(np.ceil(points.max(0) + far).astype(int) + 1, shape)
    box = tuple(slice(*ends) for ends in zip(low, high, strict=True))
    grid = np.indices(high - low).reshape(2, -1).T + low
    found, _ = KDTree(points).query(grid, distance_upper_bound=far)
    distance[box] = found.reshape(high - low)
    return Tube(distance, width)


def _dense(curve, step=0.05):
    way = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(curve, axis=0).T))])
    at = np.linspace(0, way[-1], max(2, int(way[-1] / step)))
    return np.stack([np.interp(at, way, axis) for axis in curve.T], 1)


@dataclass(frozen=True)
class Sinusoid:
    """A sine wave: down = amplitude · sin(2π right / period)."""

    amplitude: float
    period: float
    periods: int

    def _fine(self):
        right = np.linspace(0, self.period * self.periods, 20001)
        k = 2 * np.pi / self.period
        return right, k

    @property
    def points(self):
        right, k = self._fine()
        return np.stack([self.amplitude * np.sin(k * right), right - right.mean()], 1)

    @property
    def chord(self):
        return self.period * self.periods

    @property
    def arc(self):
        return float(np.hypot(*np.diff(self.points, axis=0).T).sum())

    @property
    def squared_curvature(self):
        right, k = self._fine()
        slope = self.amplitude * k * np.cos(k * right)
        bend = self.amplitude * k**2 * np.sin(k * right)
        density = bend**2 / (1 + slope**2) ** 2.5  # κ² ds
        return float(np.sum((density[1:] + density[:-1]) / 2 * np.diff(right)))


def koch(size, degrees=0.0, shift=(0.0, 0.0), levels=7):
    """(n, 2) pixels of a Koch curve that is ``size`` pixels wide, one pixel thick."""
    line = np.array([0, 1 + 0j])
    for _ in range(levels):
        start, step = line[:-1], np.diff(line) / 3
        tip = start + step + step * np.exp(1j * np.pi / 3)
        parts = np.stack([start, start + step, tip, start + 2 * step], 1)
        line = np.concatenate([parts.ravel(), line[-1:]])
    line = line * np.exp(1j * np.radians(degrees)) * size
    dense = (line[:-1, None] + np.diff(line)[:, None] * np.linspace(0, 1, 9)).ravel()
    pixels = np.rint(np.stack([-dense.imag, dense.real], 1) + shift).astype(int)
    pixels = np.unique(pixels, axis=0)
    return pixels - pixels.min(0) + 2


def drawn_tree():
    """Three vessels that branch three times: a mask, and curves by their widths."""
    rng = np.random.default_rng(7)
    curves = {}

    def grow(at, way, length, width, left):
        along = np.linspace(0, 1, 40)
        angle = way + rng.uniform(-0.5, 0.5) * np.sin(np.pi * along) * 0.8
        steps = length / 40 * np.stack([-np.sin(angle), np.cos(angle)], 1)
        line = at + np.cumsum(np.vstack([[0, 0], steps]), 0)
        curves.setdefault(round(width, 2), []).append(line)
        for side in (1, -1) if left else ():
            turn = side * np.radians(rng.uniform(25, 40))
            shorter = length * rng.uniform(0.7, 0.85)
            grow(line[-1], angle[-1] + turn, shorter, width * 0.8, left - 1)

    for third in range(3):
        grow(np.array([300.0, 300.0]), np.radians(20 + 120 * third), 110, 11, 3)
    mask = np.zeros((640, 640), bool)
    for width, lines in curves.items():
        mask |= tube(mask.shape, lines, width).mask
    return mask, curves


def branches(centre, degrees, lengths):
    """Straight lines from a centre in given directions (degrees, over the top)."""
    angles = np.radians(degrees)
    ways = np.stack([-np.sin(angles), np.cos(angles)], 1)
    return [
        np.stack([centre, np.add(centre, length * way)])
        for way, length in zip(ways, lengths, strict=True)
    ]
