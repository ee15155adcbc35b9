"""The shape of a pair of lungs in a frontal chest radiograph, with modes of variation.

Each lung is a curved grid: from the mediastinum (u = 0) to the rib cage (u = 1) and
from the apex (t = 0) to the diaphragm (t = 1).  The rib cage is a power curve, the
diaphragm a dome, and the heart pushes the mediastinal border outwards, more so on the
image's right.  A shape is a vector of standardised modes; 0 is the mean shape and each
mode is normal with unit variance.  Means and deviations are anatomy by eye, not fitted
to any labels.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

Floats = NDArray[np.float64]

# Mean and deviation; lengths of the pair as fractions of the image's side.
_PAIR = {
    "middle": (0.5, 0.045),
    "top": (0.11, 0.06),
    "half_width": (0.38, 0.06),
    "height": (0.68, 0.10),
    "tilt": (0.0, 0.05),
}
# The same for each lung, of the pair's half width and height: left and right in the
# image, which are the patient's right and left.
_LUNG = {
    "top_shift": ((0.0, 0.025), (0.0, 0.025)),
    "base_shift": ((-0.02, 0.05), (0.01, 0.05)),
    "apex": ((0.44, 0.07), (0.44, 0.07)),
    "fullness": ((4.3, 0.9), (4.3, 0.9)),
    "taper": ((0.02, 0.04), (0.02, 0.04)),
    "gap": ((0.19, 0.05), (0.19, 0.05)),
    "heart": ((0.08, 0.06), (0.30, 0.10)),
    "dome": ((0.20, 0.06), (0.18, 0.06)),
}
MODES = len(_PAIR) + 2 * len(_LUNG)
"""Length of a shape vector."""

_SIDE, _ENDS = 24, 12
_WIDEST = 0.85
_APEX_CURVE = 0.13
_DOME_PEAK = 0.42


def lung_grid(shapes: Floats, across: Floats, along: Floats) -> Floats:
    """Return points of both lungs of many shapes.

    Parameters
    ----------
    shapes : ndarray
        (N, MODES) standardised modes.
    across, along : ndarray
        (K,) each: u and t of the points, in [0, 1]; somewhat outside is allowed.

    Returns
    -------
    ndarray
        (N, 2, K, 2): for each shape the left and the right lung in the image, row and
        column as fractions of the image's side.
    """
    pair = _values(shapes[:, : len(_PAIR)], list(_PAIR.values()))
    points = np.empty((len(shapes), 2, len(across), 2))
    for side in (0, 1):
        start = len(_PAIR) + side * len(_LUNG)
        modes = shapes[:, start : start + len(_LUNG)]
        lung = _values(modes, [both[side] for both in _LUNG.values()])
        rows, columns = _one_lung(lung, across, along)
        points[:, side, :, 0] = rows
        points[:, side, :, 1] = columns * (1 if side else -1)
    middle, top, half_width, height, tilt = (v[:, None] for v in pair)
    x = points[..., 1] * half_width
    y = (points[..., 0] - 0.5) * height
    cos, sin = np.cos(tilt), np.sin(tilt)
    points[..., 0] = top + 0.5 * height + cos * y + sin * x
    points[..., 1] = middle - sin * y + cos * x
    return points


def _values(modes: Floats, table: list[tuple[float, float]]) -> list[Floats]:
    """Turn (N, n) standardised modes into n arrays (N, 1)."""
    return [
        (mean + deviation * modes[:, k])[:, None]
        for k, (mean, deviation) in enumerate(table)
    ]


def _one_lung(
    lung: list[Floats], across: Floats, along: Floats
) -> tuple[Floats, Floats]:
    """Rows (0 apex, 1 costophrenic angle) and columns (0 midline, 1 ribs), (N, K)."""
    top_shift, base_shift, apex, fullness, taper, gap, heart, dome = lung
    u, t = across[None], along[None]
    top = top_shift + _APEX_CURVE * np.abs(2 * u - 1) ** 2.5
    rise = np.where(
        u > _DOME_PEAK, (1 - u) / (1 - _DOME_PEAK), 0.75 + 0.25 * u / _DOME_PEAK
    )
    rise = np.sin(np.clip(rise, 0, 1) * np.pi / 2)
    rows = top + t * (1 + base_shift - dome * rise - top)
    depth = np.clip(rows, 0, 1.3)
    rest = np.clip(1 - depth / _WIDEST, 0, 1)
    past = np.clip(depth - _WIDEST, 0, None) / (1 - _WIDEST)
    outer = apex + (1 - apex) * (1 - rest ** np.clip(fullness, 1, 8)) - taper * past**2
    share = np.clip((depth - 0.35) / 0.5, 0, 1)
    bulge = share * share * (3 - 2 * share)
    inner = gap + heart * bulge
    return rows, inner + (outer - inner) * u


def outline_places() -> tuple[Floats, Floats]:
    """Return u and t of the outline's points: around a lung, from the apex's inside."""
    side, ends = np.linspace(0, 1, _SIDE, False), np.linspace(0, 1, _ENDS, False)
    across = [ends, np.ones(_SIDE), 1 - ends, np.zeros(_SIDE)]
    along = [np.zeros(_ENDS), side, np.ones(_ENDS), 1 - side]
    return np.concatenate(across), np.concatenate(along)


def fill(outlines: Floats, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the (h, w) mask of (2, K, 2) outlines in pixels."""
    mask = np.zeros(shape, bool)
    for outline in outlines:
        mask |= polygon2mask(shape, outline)
    return mask
