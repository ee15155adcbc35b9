"""The fovea said by its place: dark, free of vessels, beside the optic disc.

Its centre lies some 2.5 disc diameters from the disc's, on the temporal side and a
little lower.  Both sides are tried; the place that is darker than its surroundings and
has no vessels, not far from where it is to be, is the fovea.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_localdisc.core.image.contrast import gaussian_blur

from .blobs import diameter_of, seen_disc

DISTANCE, DROP = 2.5, 0.25
"""From the disc's centre to the fovea's, in diameters of the disc: along the row, and
down the column."""

DIAMETER = 0.5
"""Of the disc that is shown for it, in diameters of the optic disc."""

_SPREAD_ALONG, _SPREAD_ACROSS = 0.5, 0.45
_NEAR, _FAR, _VESSELS = 0.18, 0.7, 0.35
"""Blurs in diameters of the disc: of the spot, of its surroundings, of vessels."""

_LEAST_DEPTH = 0.4
"""Diameters of the disc between the fovea and the edge of the field of view."""

_WITH_GREEN = 0.65


def fovea_map(
    rgb: NDArray[np.float32],
    inside: NDArray[np.bool_],
    presence: Mapping[str, NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Show the fovea as a disc with a rim a few pixels soft; see `find_fovea`.

    Returns
    -------
    ndarray
        (h, w) float32 in [0, 1]: half at half the optic disc's radius, 0 all over
        where no fovea is found.
    """
    found = find_fovea(rgb, inside, presence["optic disc"], presence["vessel"])
    if found is None:
        return np.zeros(inside.shape, np.float32)
    row, column, disc = found
    rows, columns = np.indices(inside.shape, np.float32)
    radius = DIAMETER * disc / 2
    away = np.hypot(rows - row, columns - column) / radius
    shown = np.clip(1.5 - away, 0, 1) * inside
    return np.asarray(shown, np.float32)


def find_fovea(
    rgb: NDArray[np.float32],
    inside: NDArray[np.bool_],
    disc: NDArray[np.float32],
    vessel: NDArray[np.float32],
) -> tuple[float, float, float] | None:
    """Find the fovea of a photograph.

    Parameters
    ----------
    rgb : ndarray
        (h, w, 3) float32 in [0, 1] on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.
    disc, vessel : ndarray
        (h, w) float32 in [0, 1], presence of the optic disc and of vessels.

    Returns
    -------
    tuple of float or None
        Row and column of its centre, and the optic disc's diameter, in pixels; None
        where no disc is seen, or the fovea would lie outside the field of view.
    """
    mask = seen_disc(disc, inside, vessel)
    if mask is None:
        return None
    unit = diameter_of(mask)
    disc_row, disc_column = (float(at.mean()) for at in np.nonzero(mask))
    dark, crowded = _evidence(rgb, inside, vessel, unit)
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    rows, columns = np.ogrid[: inside.shape[0], : inside.shape[1]]
    across: NDArray[np.float64] = (rows - disc_row - DROP * unit) / (
        _SPREAD_ACROSS * unit
    )
    best: tuple[float, float, float] | None = None
    highest = -np.inf
    for side in (-1, 1):
        along: NDArray[np.float64] = columns - disc_column - side * DISTANCE * unit
        along /= _SPREAD_ALONG * unit
        score = dark - crowded - 0.5 * (along**2 + across**2)
        score[depth <= _LEAST_DEPTH * unit] = -np.inf
        row, column = divmod(int(score.argmax()), score.shape[1])
        # What is out of reach on both sides lies outside the picture
        near = along[0, column] ** 2 + across[row, 0] ** 2 < 9
        if score[row, column] > highest and near:
            highest = float(score[row, column])
            best = float(row), float(column), unit
    return best


def _evidence(
    rgb: NDArray[np.float32],
    inside: NDArray[np.bool_],
    vessel: NDArray[np.float32],
    unit: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How dark against surroundings, and how crowded with vessels; in deviations."""
    seen = torch.from_numpy(inside)[None, None].float()
    vessels = torch.from_numpy(np.ascontiguousarray(vessel))[None, None] * seen
    grey = (1 - _WITH_GREEN) * rgb[..., 0] + _WITH_GREEN * rgb[..., 1]
    light = torch.from_numpy(np.ascontiguousarray(grey))[None, None]
    keep = seen * (1 - vessels)

    def around(reach: float) -> Tensor:
        weight = gaussian_blur(keep, reach * unit) + 1e-3
        return gaussian_blur(light * keep, reach * unit) / weight

    far = around(_FAR)
    dark = ((far - around(_NEAR)) / (far + 0.02))[0, 0].numpy()
    crowded = gaussian_blur(vessels, _VESSELS * unit)[0, 0].numpy()
    for evidence in (dark, crowded):
        evidence /= evidence[inside].std() + 1e-6
    return dark, crowded
