"""What a few clicks mean: pixels like these, or a structure that the model knows.

Either the user points at a structure that the model's card names, or at pixels whose
embedding is like the prompts'.  How well each explains the clicks gives its weight; the
first positive click counts in full, later ones less, as they correct errors and so lie
where a map is wrong, most often at the border of what was meant.

Nothing here learns from labels.  The constants were chosen on DRIVE training,
Drishti-GS1 and IDRiD images by Dice after some clicks; see docs/experiments.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_localdisc.core.image.grid import FloatImage, Mask

STRUCTURE_CUT = 0.3
"""Presence of a structure that becomes 0.5 of similarity."""

_NEARBY = 2
_BESIDE = 0.3
"""Part of the evidence that may be so many pixels beside a click."""

_BORDER_REACH = 0.0175
"""Part of the grid's longer side within which a border of a structure lies near, at
most; everything is near to a border of a thin structure."""

_BORDER = 0.6
"""How well a structure explains a correction near its border, where errors lie that are
no reason to mean something else."""

_DOUBT = 0.02
_LATER_DOUBT = 0.4
_LIKENESS, _LATER_LIKENESS = 0.1, 0.5
_LEAST_WEIGHT = 0.01
_LEAST_OF_LIKENESS = 0.25
"""A structure that explains the clicks less well than this part of likeness is left
out, which also keeps a click on nothing known at the cost of one map."""

LARGEST_SHARE = 0.6
"""A structure that is seen in more of the image than this explains nothing: so do
models that were hardly trained, or on another kind of image."""

_SIZE = 0.25
"""How much a small structure is preferred to a large one that holds the click as well:
who means the large one has many other places to click.  Errors lie anywhere, so it
counts less with every further click."""

_USUAL_SHARE, _LEAST_SHARE = 0.05, 0.005


@dataclass(frozen=True)
class Clicks:
    """Clicks on the working grid, positive ones first, in the order they were made.

    Attributes
    ----------
    vectors : ndarray
        (k, D) float32 unit vectors.
    pixels : ndarray
        (k, 2) int rows and columns of the working grid.
    positives : int
        How many are positive; at least one.
    """

    vectors: FloatImage
    pixels: NDArray[np.intp]
    positives: int

    @property
    def signs(self) -> NDArray[np.float32]:
        """(k,) 1 for positive, -1 for negative ones."""
        signs = np.ones(len(self.pixels), np.float32)
        signs[self.positives :] = -1
        return signs


@dataclass(frozen=True)
class Extent:
    """Where an image shows a structure.

    Attributes
    ----------
    share : float
        Of the field of view, in [0, 1].
    thickness : float
        Pixels of the working grid: its area by the length of its border, which is half
        the width of a line and half the radius of a disc.
    """

    share: float
    thickness: float

    @classmethod
    def of(cls, presence: Tensor, inside: Mask) -> Extent:
        """Measure (h, w) presence within a field of view of the same shape."""
        seen = presence.cpu().numpy() > STRUCTURE_CUT
        within, whole = int((seen & inside).sum()), int(inside.sum())
        return cls(within / max(1, whole), thickness(seen))


def thickness(mask: Mask) -> float:
    """Return a mask's area by the length of its border, in pixels."""
    border = mask & ~ndimage.binary_erosion(mask, border_value=1)
    return int(mask.sum()) / max(1, int(border.sum()))


def weigh(
    presence: Sequence[Tensor], extents: Sequence[Extent], clicks: Clicks
) -> NDArray[np.float64]:
    """Say how well each structure, and likeness to the prompts, explains them.

    Parameters
    ----------
    presence : sequence of Tensor
        (h, w) float32 of each of K named structures.
    extents : sequence of Extent
        Where each of them is seen.
    clicks : Clicks
        Their places and vectors.

    Returns
    -------
    ndarray
        (K + 1,) weights that sum to 1; the last is that of likeness.
    """
    later = len(clicks.pixels) - 1
    likeness = math.log(_LIKENESS) + later * math.log(_LATER_LIKENESS)
    evidence = _evidence(presence, extents, clicks) if presence else []
    for structure, extent in enumerate(extents):
        if extent.share > LARGEST_SHARE:
            evidence[structure] = -math.inf
        preference = _SIZE * math.log(_USUAL_SHARE / max(extent.share, _LEAST_SHARE))
        evidence[structure] += preference / len(clicks.pixels)
    every = np.array([*evidence, likeness])
    weights = np.exp(every - every.max())
    weights[weights < _LEAST_WEIGHT * weights.sum()] = 0
    weights[weights < _LEAST_OF_LIKENESS * weights[-1]] = 0
    return np.asarray(weights / weights.sum())


def _evidence(
    presence: Sequence[Tensor], extents: Sequence[Extent], clicks: Clicks
) -> list[float]:
    """Logarithm of how well each structure explains the prompts."""
    agreement = _agreement(presence, clicks)
    if len(clicks.pixels) > 1:
        border = [
            _at_border(values, extent, clicks)
            for values, extent in zip(presence, extents, strict=True)
        ]
        agreement[:, 1:] = np.maximum(agreement[:, 1:], border)
    trust = _LATER_DOUBT + (1 - _LATER_DOUBT) * agreement
    trust[:, 0] = np.minimum(np.maximum(agreement[:, 0], _DOUBT), 1 - _DOUBT)
    return list(np.log(trust).sum(1).tolist())


def _agreement(presence: Sequence[Tensor], clicks: Clicks) -> NDArray[np.float64]:
    """(K, k) presence at clicks, or absence; some may be a little beside a click."""
    positive = clicks.signs > 0
    windows = _windows(presence, clicks.pixels, _NEARBY)
    here = windows[:, :, windows.shape[2] // 2]
    beside = np.where(positive, windows.max(2), windows.min(2))
    present = (1 - _BESIDE) * here + _BESIDE * beside
    return np.asarray(np.where(positive, present, 1 - present), np.float64)


def _at_border(presence: Tensor, extent: Extent, clicks: Clicks) -> NDArray[np.float64]:
    """(k - 1,) how well an error at a structure's border explains later clicks."""
    reach = round(min(_BORDER_REACH * max(presence.shape), extent.thickness))
    (around,) = _windows([presence], clicks.pixels[1:], reach)
    wanted = clicks.signs[1:] > 0
    found = np.where(wanted, around.max(1), 1 - around.min(1))
    return np.asarray(_BORDER * found, np.float64)


def _windows(
    presence: Sequence[Tensor], pixels: NDArray[np.intp], reach: int
) -> NDArray[np.float32]:
    """(K, k, S²) presence around pixels; beyond the image, its outermost pixels'."""
    height, width = presence[0].shape
    near = np.arange(-reach, reach + 1)
    rows, columns = pixels.T[:, :, None] + near
    rows = np.minimum(np.maximum(rows, 0), height - 1)
    columns = np.minimum(np.maximum(columns, 0), width - 1)
    index = (rows * width)[:, :, None] + columns[:, None]
    places = torch.from_numpy(index.reshape(-1)).to(presence[0].device)
    found = torch.stack([values.view(-1)[places] for values in presence])
    return found.cpu().numpy().reshape(len(presence), len(pixels), -1)
