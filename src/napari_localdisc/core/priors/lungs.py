"""Lungs said by shape: a pair of dark regions of the shape that lungs have.

A pair of lungs with modes of variation (`lung_shapes`) is fitted to each radiograph by
itself: shapes are drawn and redrawn around the best of them until dark inside and
bright around fit best, then the outline moves along its normals to the strongest edge
nearby, smoothly.  No label is involved; where the fit is doubtful the map says nothing.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .lung_shapes import MODES, Floats, fill, lung_grid, outline_places
from .masks import closed_path, fitted_map

_SEARCH_SIDE = 192
_DRAWS, _REDRAWS, _ROUNDS, _ELITE = 1500, 200, 10, 30
_NARROW, _WIDE = 0.016, 0.05
"""Distance from the outline, as fractions of the side, at which contrast is measured"""
_NEAR_BLUR, _WIDE_BLUR = 0.12, 0.3
_MIDDLE = tuple(g.ravel() for g in np.meshgrid([0.2, 0.5, 0.8], np.arange(1, 10) / 10))
_BELOW = tuple(g.ravel() for g in np.meshgrid([0.1, 0.5, 0.8], [1.1, 1.2, 1.3]))
_REACH, _STEPS = 0.06, 25
_LEAST_SCORE = 0.8
_FRAME = 0.02
"""Share of the side along the image's edges, often a bright film edge or a shutter,
that says nothing of where lungs end."""
_CORNER = 0.025
"""Radius that a lung's corners are rounded to, as a fraction of the side."""


@dataclass(frozen=True)
class LungFit:
    """A pair of lungs fitted to a radiograph.

    Attributes
    ----------
    mask : ndarray
        (h, w) bool.
    modes : ndarray
        (MODES,) standardised modes of the fitted shape, before its outline moved.
    outlines : ndarray
        (2, K, 2) row and column in pixels: both lungs' outlines at `outline_places`.
    score : float
        Mean contrast across the outline and between lungs and surroundings, in local
        standard deviations; 0 where there are no lungs.
    """

    mask: NDArray[np.bool_]
    modes: Floats
    outlines: Floats
    score: float

    @property
    def is_doubtful(self) -> bool:
        """Whether its score says little."""
        return self.score < _LEAST_SCORE


def lungs_map(rgb: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return what the fit says of each pixel.

    Parameters
    ----------
    rgb : ndarray
        (h, w, 3) float32 in [0, 1] on the working grid.
    inside : ndarray
        (h, w) bool.

    Returns
    -------
    ndarray
        (h, w) uint8: 255 lung, 0 not, 127 unknown; 127 everywhere where the fit is
        doubtful.
    """
    fit = fit_lungs(rgb, inside)
    return fitted_map(fit.mask, fit.is_doubtful)


def _rounded(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Open a mask by a disc; the image's edges are no corners."""
    pad = int(radius) + 2
    wide = np.pad(mask, pad, mode="edge")
    core = ndimage.distance_transform_edt(wide) > radius
    if not core.any():
        return mask
    opened = ndimage.distance_transform_edt(~core) <= radius
    return np.asarray(opened[pad:-pad, pad:-pad] & mask)


def fit_lungs(rgb: NDArray[np.float32], inside: NDArray[np.bool_]) -> LungFit:
    """Fit the pair of lungs in one frontal chest radiograph.

    Parameters are those of `lungs_map`.
    """
    grey = np.ascontiguousarray(rgb.mean(-1), np.float32)
    # Three priors ask for the same fit, one after the other
    return _fit(grey.tobytes(), np.ascontiguousarray(inside).tobytes(), inside.shape)


@lru_cache(maxsize=2)
def _fit(grey_bytes: bytes, inside_bytes: bytes, shape: tuple[int, int]) -> LungFit:
    grey = np.frombuffer(grey_bytes, np.float32).reshape(shape)
    inside = np.frombuffer(inside_bytes, np.bool_).reshape(shape)
    side = max(shape)
    zoom = _SEARCH_SIDE / side
    grey = ndimage.gaussian_filter(grey, 0.5 / zoom)
    grey = ndimage.zoom(grey, zoom, order=1, grid_mode=True, mode="nearest")
    contrasts = _local_contrast(grey, _NEAR_BLUR), _local_contrast(grey, _WIDE_BLUR)
    modes, score = _search(contrasts)
    outlines = lung_grid(modes[None], *outline_places())[0] * _SEARCH_SIDE - 0.5
    outlines = _snap(contrasts[0], outlines)
    outlines = (outlines + 0.5) / zoom - 0.5
    mask = _rounded(fill(outlines, shape), _CORNER * side) & inside
    return LungFit(mask, modes, outlines, score)


def _local_contrast(grey: NDArray[np.floating], blur: float) -> Floats:
    """Subtract the local mean, divide by the local deviation, clip outliers."""
    grey = grey.astype(np.float64)
    sigma = blur * _SEARCH_SIDE
    deviation = grey - ndimage.gaussian_filter(grey, sigma)
    spread = np.sqrt(ndimage.gaussian_filter(deviation**2, sigma))
    normal = np.clip(deviation / (spread + 0.02), -2, 2)
    smooth: Floats = ndimage.gaussian_filter(normal, 0.008 * _SEARCH_SIDE)
    return smooth


def _search(contrasts: tuple[Floats, Floats]) -> tuple[Floats, float]:
    """Cross-entropy search for the best shape: (MODES,) and its score."""
    rng = np.random.default_rng(0)
    draws = np.clip(rng.standard_normal((_DRAWS, MODES)), -2.2, 2.2)
    scores = _scores(contrasts, draws)
    best = np.argsort(scores)[-_ELITE:]
    elite = draws[best]
    spread = np.full(MODES, 0.45)
    for number in range(_ROUNDS):
        parents = elite[rng.integers(0, len(elite), _REDRAWS)]
        # Towards the elite's mean: it is better than most of its members
        share = 0.5 if number < 3 else 0.85
        parents = parents + share * (elite.mean(0) - parents)
        draws = parents + spread * rng.standard_normal(parents.shape)
        draws = np.clip(np.concatenate([draws, elite]), -3, 3)
        scores = _scores(contrasts, draws)
        best = np.argsort(scores)[-_ELITE:]
        elite = draws[best]
        spread = np.maximum(elite.std(0) * 1.15, 0.04)
    return elite[-1], float(scores[best[-1]] + _penalty(elite[-1:])[0])


def _penalty(shapes: Floats) -> Floats:
    penalty: Floats = 0.009 * (shapes**2).sum(1)
    return penalty


def _scores(contrasts: tuple[Floats, Floats], shapes: Floats) -> Floats:
    """Contrast of dark lungs in bright surroundings, less unlikely shapes: (N,)."""
    near, wide = contrasts
    across, along = (places[::2] for places in outline_places())
    outline = lung_grid(shapes, across, along)
    normal = _normals(outline)
    outside = _sample(near, outline + _NARROW * normal)
    step = np.clip(outside - _sample(near, outline - _NARROW * normal), -0.7, 0.9)
    around = outside + _sample(near, outline + _WIDE * normal)
    middle = _sample(wide, lung_grid(shapes, *_MIDDLE))
    below = _sample(wide, lung_grid(shapes, *_BELOW))
    # The worse lung counts: both must be there
    dark = -np.clip(middle, -1.2, 1).mean(2)
    return np.asarray(
        0.7 * step.mean((1, 2))
        + 0.2 * np.clip(around, -1.5, 2).mean((1, 2))
        + 0.3 * dark.min(1)
        + 1.5 * (dark * abs(_areas(outline))).sum(1)
        + 0.3 * np.clip(below, -1, 1).mean((1, 2))
        - _penalty(shapes)
    )


def _areas(outline: Floats) -> Floats:
    """Signed areas of closed (…, K, 2) outlines."""
    following = np.roll(outline, -1, -2)
    cross = outline[..., 1] * following[..., 0] - outline[..., 0] * following[..., 1]
    return np.asarray(cross.sum(-1) / 2)


def _normals(outline: Floats) -> Floats:
    """Outward unit normals of closed (…, K, 2) outlines, either way round."""
    tangent = np.roll(outline, -1, -2) - np.roll(outline, 1, -2)
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    return np.asarray(normal * np.sign(_areas(outline))[..., None, None])


def _sample(contrast: Floats, places: Floats) -> Floats:
    """Nearest values at (…, 2) places given as fractions of the side, 0 in the frame.

    The image may be shorter than its side is long.
    """
    pixels = (places * _SEARCH_SIDE).astype(np.intp)
    margin = round(_FRAME * _SEARCH_SIDE)
    limits = np.array(contrast.shape)
    outside = ((pixels < margin) | (pixels >= limits - margin)).any(-1)
    rows, columns = np.moveaxis(np.clip(pixels, 0, limits - 1), -1, 0)
    return np.where(outside, 0.0, contrast[rows, columns])


def _snap(contrast: Floats, outlines: Floats) -> Floats:
    """Move (2, K, 2) outlines in pixels to the strongest smooth edge nearby."""
    offsets = np.linspace(-1, 1, _STEPS) * _REACH * _SEARCH_SIDE
    gap = 0.012 * _SEARCH_SIDE
    index = np.arange(_STEPS)
    cost = 0.25 * (index[:, None] - index[None]) ** 2 * (9 / _STEPS)
    across, along = outline_places()
    borders_on_ribs = (along == 0) | (across == 1)
    ribs = ndimage.gaussian_filter1d(borders_on_ribs * 1.0, 1.5, mode="wrap")
    moved = []
    for outline in outlines:
        normal = _normals(outline)
        shifts = offsets[None, :, None] * normal[:, None]
        at = outline[:, None] + shifts
        step = [
            ndimage.map_coordinates(
                contrast,
                np.moveaxis(at + side * gap * normal[:, None], -1, 0),
                order=1,
                mode="nearest",
            )
            for side in (1, -1)
        ]
        gain = step[0] - step[1] - 0.35 * (offsets / offsets[-1]) ** 2
        best = closed_path(gain, cost, turns=2)
        shift = ndimage.gaussian_filter1d(offsets[best], 1.5, mode="wrap")
        # Ribs and apex end where brightness levels off, not where it is steepest
        shift = shift + 1.3 * gap * ribs
        moved.append(outline + shift[:, None] * normal)
    return np.stack(moved)
