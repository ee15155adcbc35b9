"""The optic disc said by shape: a bright, nearly round region where vessels meet.

The shape is fitted to each photograph by itself: a bright disc of plausible size is
found together with the vessels that converge on it, then its outline is the closed
smooth curve across which brightness falls most.  No label is involved; where the fit
is doubtful the photograph says nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.image.background import ridge_strength
from napari_localdisc.core.image.contrast import gaussian_blur

from .masks import closed_path, fitted_map

_RADII = (0.065, 0.075, 0.088, 0.1, 0.115)
"""Radii tried, as fractions of the field of view's diameter; smaller ones find cups."""

_OUTWARD = 1.04
"""People draw the edge this much further out than where light falls most steeply."""

_SEARCH_DIAMETER = 288
_ANGLES = 64
_RADIAL_STEPS = 48
_ROUGHEST_HARMONIC = 3
DOUBTFUL_CONFIDENCE = 1.3


@dataclass(frozen=True)
class DiscFit:
    """A disc fitted to a photograph.

    Attributes
    ----------
    mask : ndarray
        (h, w) bool.
    row, column, radius : float
        Centre and mean radius in pixels.
    confidence : float
        How far the disc stands out from what else could be one; above 1 is usual.
    """

    mask: NDArray[np.bool_]
    row: float
    column: float
    radius: float
    confidence: float


def disc_map(rgb: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return 255 on the disc, 0 beside it; 127 all over where in doubt."""
    fit = fit_disc(rgb, inside)
    return fitted_map(fit.mask, fit.confidence < DOUBTFUL_CONFIDENCE)


def fit_disc(rgb: NDArray[np.float32], inside: NDArray[np.bool_]) -> DiscFit:
    """Fit the optic disc's outline in one photograph.

    Parameters
    ----------
    rgb : ndarray
        (h, w, 3) float32 in [0, 1] on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.

    Returns
    -------
    DiscFit
        Always one: its ``confidence`` says how far to believe it.
    """
    scale = _SEARCH_DIAMETER / max(inside.shape)
    zoom = (scale, scale)
    m = ndimage.zoom(inside.astype(np.float32), zoom, order=1) > 0.5
    small = np.stack([ndimage.zoom(rgb[..., k], zoom, order=1) for k in range(3)], -1)
    bright, vessels = _evidence(small, m)
    row, column, radius, confidence = _locate(bright, vessels, m)
    outline = _outline(bright, row, column, radius)
    rows, columns = np.indices(inside.shape, dtype=np.float32)
    rows, columns = (rows + 0.5) * scale - 0.5 - row, (columns + 0.5) * scale - 0.5
    columns -= column
    angle = np.arctan2(rows, columns)
    limit = np.interp(
        angle, np.linspace(-np.pi, np.pi, _ANGLES + 1), np.append(outline, outline[0])
    )
    mask = (np.hypot(rows, columns) <= limit) & inside
    return DiscFit(
        mask, row / scale, column / scale, float(outline.mean()) / scale, confidence
    )


def _evidence(
    rgb: NDArray[np.float32], inside: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Brightness without vessels and background, and the density of vessels."""
    reach = np.hypot(*np.mgrid[-4:5, -4:5]) <= 4
    grey = 0.45 * rgb[..., 0] + 0.55 * rgb[..., 1]
    closed = ndimage.grey_closing(grey, footprint=reach)
    m = torch.from_numpy(inside)[None, None].float()
    x = torch.from_numpy(closed.astype(np.float32))[None, None]
    sigma = 0.16 * _SEARCH_DIAMETER
    level = gaussian_blur(x * m, sigma) / (gaussian_blur(m, sigma) + 1e-3)
    bright = gaussian_blur((x - level) * m, 1.0)
    bright = bright / (bright[m > 0].std() + 1e-3)
    green = torch.from_numpy(np.ascontiguousarray(rgb[..., 1]))[None, None]
    local = gaussian_blur(green * m, 8) / (gaussian_blur(m, 8) + 1e-3)
    inner = m * (gaussian_blur(m, 3) > 0.95)
    ridges = ridge_strength((green - local) / (local + 0.05) * m, (1.0, 1.6)) * inner
    density = gaussian_blur(ridges, 0.06 * _SEARCH_DIAMETER)
    density = density / (density.amax() + 1e-6)
    return bright[0, 0].numpy(), density[0, 0].numpy()


def _locate(
    bright: NDArray[np.float32], vessels: NDArray[np.float32], inside: NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    """Find the disc against ring that is brightest where vessels are densest."""
    x = torch.from_numpy(bright)[None, None]
    m = torch.from_numpy(inside)[None, None].float()
    best: tuple[float, float, float, float] = (0.0, 0.0, 1.0, -np.inf)
    scores = []
    for fraction in _RADII:
        radius = fraction * _SEARCH_DIAMETER
        disc = gaussian_blur(x, 0.6 * radius) / (gaussian_blur(m, 0.6 * radius) + 0.1)
        wide = gaussian_blur(x, 1.5 * radius) / (gaussian_blur(m, 1.5 * radius) + 0.1)
        contrast = (disc - wide)[0, 0].numpy()
        score = np.where(inside, contrast, -1) * (0.25 + vessels)
        scores.append(score)
        row, column = np.unravel_index(int(score.argmax()), score.shape)
        if score[row, column] > best[3]:
            best = (float(row), float(column), radius, float(score[row, column]))
    row_, column_, radius, score_ = best
    rows, columns = np.indices(inside.shape)
    elsewhere = np.hypot(rows - row_, columns - column_) > 2.5 * radius
    rival = max(float(s[elsewhere & inside].max(initial=0)) for s in scores)
    return row_, column_, radius, score_ / (rival + 1e-3)


def _outline(
    bright: NDArray[np.float32], row: float, column: float, radius: float
) -> NDArray[np.float64]:
    """Radius at each angle from −π to π of the closed curve of steepest fall."""
    angles = np.linspace(-np.pi, np.pi, _ANGLES, endpoint=False)
    steps = np.arange(_RADIAL_STEPS)
    for _ in range(2):
        radii = np.linspace(0.45, 1.7, _RADIAL_STEPS) * radius
        at = (
            row + radii[:, None] * np.sin(angles),
            column + radii[:, None] * np.cos(angles),
        )
        polar = ndimage.map_coordinates(bright, at, order=1, mode="nearest")
        polar = ndimage.gaussian_filter(polar, (1.5, 1.0), mode=("nearest", "wrap"))
        fall = -np.gradient(polar, axis=0)
        fall = fall / (fall.std() + 1e-6)
        fall -= 0.8 * np.abs(np.log(radii / radius))[:, None]
        # Steps of at most one radius
        apart = abs(np.subtract.outer(steps, steps))
        cost = np.where(apart > 1, np.inf, 0).astype(fall.dtype)
        spectrum = np.fft.rfft(radii[closed_path(fall.T, cost, turns=3)])
        spectrum[_ROUGHEST_HARMONIC + 1 :] = 0
        curve: NDArray[np.float64] = np.fft.irfft(spectrum, _ANGLES)
        # The next pass looks around the centre of this outline.
        row += float((curve * np.sin(angles)).mean())
        column += float((curve * np.cos(angles)).mean())
        radius = float(np.clip(curve.mean(), 0.5 * radius, 1.6 * radius))
    return curve * _OUTWARD
