"""Clavicles said by shape: bars across the tops of the lungs, brighter than around.

Bars of some heights, slopes, bows and calibres are laid from each fitted lung's inner
border to a little beyond its outer one.  What counts is how much brighter a bar is than
what lies above and below it, in local standard deviations, how usual its place is, and
how much alike the two sides are.  Heights, slopes and their deviations are anatomy by
eye, chosen on half of the development half of JSRT (docs/experiments.md); no label is
involved, and where the fit is doubtful the map says nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask

from .lung_pair import Floats, LungPair, Mask, lung_pair
from .lungs import fit_lungs
from .masks import UNKNOWN, fitted_map

_INNER = np.linspace(0.04, 0.30, 27)
_OUTER = np.linspace(-0.06, 0.24, 31)
_BOW = np.array([-0.02, 0.0, 0.02, 0.04])
_CALIBRE = np.array([0.022, 0.030, 0.038])
"""What is tried: heights of a bar's inner and outer end below the apex, how far its
middle lies above the line between them, and half its calibre, all as fractions of the
lungs' height."""
_BEYOND = 0.03
"""How far a bar goes beyond the outer border of the lung, of the lungs' height."""
_MEAN = {"inner": 0.16, "outer": 0.07, "drop": 0.09, "bow": 0.01}
_WEIGHT = {"inner": 50.0, "outer": 25.0, "drop": 25.0, "bow": 20.0}
_ALIKE = 30.0
"""Weight of the squared differences of the two sides' inner heights and drops."""
_BEST = 400
_LEAST_SCORE = 0.8
_ALONG = np.linspace(0, 1, 24)
_FINE, _LOCAL, _WIDE = 0.8 / 192, 14 / 192, 12 / 192
"""Blurs of what is looked at, of the light that is taken away from it, and of local
deviations, as fractions of the image's side."""


@dataclass(frozen=True)
class _Bars:
    """Bars across one lung, the best first.

    ``middle`` is (N, K, 2) places, ``half`` (N, K, 2) from there to the lower border.
    """

    scores: Floats
    inner: Floats
    drop: Floats
    middle: Floats
    half: Floats

    def outline(self, number: int) -> Floats:
        middle, half = self.middle[number], self.half[number]
        return np.concatenate([middle - half, (middle + half)[::-1]])


def clavicles_map(rgb: NDArray[np.float32], inside: Mask) -> NDArray[np.uint8]:
    """Return what the fit says of each pixel.

    Parameters and result are those of `lungs_map`.
    """
    fit = fit_lungs(rgb, inside)
    pair = lung_pair(fit.mask)
    if pair is None:
        return np.full(inside.shape, UNKNOWN, np.uint8)
    mask, score = fit_clavicles(rgb.mean(-1), pair)
    return fitted_map(mask & inside, fit.is_doubtful or score < _LEAST_SCORE)


def fit_clavicles(grey: NDArray[np.floating], pair: LungPair) -> tuple[Mask, float]:
    """Lay a bar across the top of each lung.

    Parameters
    ----------
    grey : ndarray
        (h, w), the radiograph.
    pair : LungPair
        Of the same grid.

    Returns
    -------
    mask : ndarray
        (h, w) bool.
    score : float
        Of both sides, in local standard deviations, less for unusual bars.
    """
    contrast = _contrast(grey)
    sides = [
        _bars(contrast, pair, lung, is_right)
        for is_right, lung in enumerate((pair.left, pair.right))
    ]
    one, other = sides
    together = one.scores[:, None] + other.scores[None]
    for mine, its in ((one.inner, other.inner), (one.drop, other.drop)):
        together -= _ALIKE * (mine[:, None] - its[None]) ** 2
    best = np.unravel_index(together.argmax(), together.shape)
    mask = np.zeros(grey.shape, np.bool_)
    for bars, number in zip(sides, best, strict=True):
        mask |= polygon2mask(grey.shape, bars.outline(int(number)))
    return mask, float(together.max())


def _contrast(grey: NDArray[np.floating]) -> Floats:
    """Return what is brighter than around it, in local standard deviations."""
    side = max(grey.shape)
    grey = grey.astype(np.float64)
    around = ndimage.gaussian_filter(grey, _LOCAL * side)
    near = grey - ndimage.gaussian_filter(grey, 8 / 192 * side)
    spread = np.sqrt(ndimage.gaussian_filter(near**2, _WIDE * side))
    fine = ndimage.gaussian_filter(grey, _FINE * side)
    return np.asarray(np.clip((fine - around) / (spread + 0.01), -2, 2))


def _bars(contrast: Floats, pair: LungPair, lung: Mask, is_right: int) -> _Bars:
    """Lay every bar across a lung and keep the best."""
    inner, outer, bow, calibre = (
        tried.ravel() for tried in np.meshgrid(_INNER, _OUTER, _BOW, _CALIBRE)
    )
    middle = _middles(pair, lung, is_right, inner, outer, bow)
    across = middle[:, -1] - middle[:, 0]
    normal = np.stack([-across[:, 1], across[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    normal *= np.sign(normal[:, :1])  # down
    # Thinner towards the shoulder
    calibres = (calibre[:, None] * (1.15 - 0.4 * _ALONG)) * pair.height
    half = calibres[..., None] * normal[:, None]
    limits = np.array(contrast.shape) - 1

    def light(at: float) -> Floats:
        rows, columns = np.moveaxis(
            np.clip(middle + at * half, 0, limits).astype(np.intp), -1, 0
        )
        return np.asarray(contrast[rows, columns])

    bar = (light(-0.6) + light(0) + light(0.6)) / 3
    above, below = light(-1.5), light(1.5)
    edge = np.minimum(np.clip(bar - above, -1, 1.2), np.clip(bar - below, -1, 1.2))
    said = {"inner": inner, "outer": outer, "drop": inner - outer, "bow": bow}
    unusual = [_WEIGHT[k] * (said[k] - _MEAN[k]) ** 2 for k in said]
    scores = (bar - (above + below) / 2).mean(1) + 0.5 * edge.mean(1) - sum(unusual)
    best = np.argsort(scores)[::-1][:_BEST]
    return _Bars(
        scores[best], inner[best], said["drop"][best], middle[best], half[best]
    )


def _middles(
    pair: LungPair, lung: Mask, is_right: int, inner: Floats, outer: Floats, bow: Floats
) -> Floats:
    """Return (N, K, 2) places of the bars' middles, from the inner end to the outer."""
    rows = np.flatnonzero(lung.any(1))
    first = lung[rows].argmax(1)
    last = lung.shape[1] - 1 - lung[rows, ::-1].argmax(1)
    innermost, outermost = (first, last) if is_right else (last, first)
    beyond = (1 if is_right else -1) * _BEYOND * pair.height
    height = pair.height
    starts = np.interp(pair.apex + height * inner, rows[2:], innermost[2:])
    ends = np.interp(
        pair.apex + height * np.maximum(outer, 0.05), rows[2:], outermost[2:]
    )
    ends = ends + beyond
    along = _ALONG
    arch = (bow * height)[:, None] * 4 * along * (1 - along)
    row = pair.apex + height * (inner[:, None] * (1 - along) + outer[:, None] * along)
    column = starts[:, None] * (1 - along) + ends[:, None] * along
    return np.stack([row - arch, column], -1)
