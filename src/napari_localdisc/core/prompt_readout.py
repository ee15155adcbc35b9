"""What a few clicks mean: pixels like these, or a structure that the model knows.

Three steps on the working grid, none of which learns anything from labels:

1. **Meaning.**  Either the user points at a structure that the model's card names, or
   at pixels whose embedding is like the prompts'.  How well each explains the clicks
   gives its weight; the first positive click counts in full, later ones less, as they
   correct errors and so lie where a map is wrong.
2. **Mixture.**  Each map is brought to a scale on which it is cut at 0.5, and the maps
   are averaged by their weights.
3. **Corrections.**  Where one of several clicks still disagrees, the map is moved in
   its neighbourhood, in space and on the hypersphere: the mean of a Gaussian process
   whose prior mean is the mixture's log odds.

The constants were chosen on DRIVE training, Drishti-GS1 and IDRiD images by Dice after
1, 3 and 5 clicks; see docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from .grid import FloatImage

CUT = 0.5
"""Where a similarity that was read this way is cut."""

REACH = 0.1
"""Standard deviation of a correction's reach, as a part of the grid's longer side."""

STRUCTURE_CUT = 0.3
"""Presence of a structure that becomes 0.5 of similarity."""

_NEARBY = 2
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

_SPREAD = 0.2
_MARGIN = 1.0
_NOISE = 0.02
_FLOOR = 0.02
_BLOCK_PIXELS = 1 << 16


@dataclass(frozen=True)
class Prompts:
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

    @classmethod
    def at(
        cls,
        vectors: FloatImage,
        points: NDArray[np.float64],
        positives: int,
        shape: tuple[int, int],
    ) -> Prompts:
        """Make them of (k, 2) points on the working grid, whose shape is (h, w)."""
        pixels = np.clip(np.rint(points), 0, np.array(shape) - 1).astype(np.intp)
        return cls(vectors, pixels, positives)

    @property
    def signs(self) -> NDArray[np.float32]:
        """(k,) 1 for positive, -1 for negative ones."""
        signs = np.ones(len(self.pixels), np.float32)
        signs[self.positives :] = -1
        return signs


def weigh(
    presence: Sequence[Tensor], shares: Sequence[float], prompts: Prompts
) -> NDArray[np.float64]:
    """Say how well each structure, and likeness to the prompts, explains them.

    Parameters
    ----------
    presence : sequence of Tensor
        (h, w) float32 of each of K named structures.
    shares : sequence of float
        Of the field of view, where each of them is seen.
    prompts : Prompts
        The clicks.

    Returns
    -------
    ndarray
        (K + 1,) weights that sum to 1; the last is that of likeness.
    """
    evidence = np.zeros(len(presence) + 1)
    later = len(prompts.pixels) - 1
    evidence[-1] = np.log(_LIKENESS) + later * np.log(_LATER_LIKENESS)
    for index, values in enumerate(presence):
        agreement = [_agreement(values, p, s) for p, s in _signed(prompts)]
        first = np.clip(agreement[0], _DOUBT, 1 - _DOUBT)
        others = _LATER_DOUBT + (1 - _LATER_DOUBT) * np.array(agreement[1:])
        evidence[index] = np.log(first) + np.log(others).sum()
    evidence[:-1][np.array(shares) > LARGEST_SHARE] = -np.inf
    weights = np.exp(evidence - evidence.max())
    weights[weights < _LEAST_WEIGHT * weights.sum()] = 0
    weights[weights < _LEAST_OF_LIKENESS * weights[-1]] = 0
    return np.asarray(weights / weights.sum())


def _signed(prompts: Prompts) -> list[tuple[NDArray[np.intp], float]]:
    return list(zip(prompts.pixels, prompts.signs.tolist(), strict=True))


def _agreement(values: Tensor, pixel: NDArray[np.intp], sign: float) -> float:
    """Presence at a click, or absence; half of it may be a little beside the click."""
    row, column = (int(place) for place in pixel)
    window = values[
        max(0, row - _NEARBY) : row + _NEARBY + 1,
        max(0, column - _NEARBY) : column + _NEARBY + 1,
    ]
    here = float(values[row, column])
    if sign > 0:
        return (here + float(window.max())) / 2
    return 1 - (here + float(window.min())) / 2


@torch.no_grad()
def mix(
    likeness: Tensor | None,
    threshold: float,
    presence: Sequence[Tensor],
    weights: NDArray[np.float64],
    prompts: Prompts | None = None,
    matrix: Tensor | None = None,
) -> Tensor:
    """Turn likeness to prompts into similarity to what is meant by them.

    Parameters
    ----------
    likeness : Tensor
        (h, w) float32 in [0, 1]: `similarity_map` of the prompts; None where its
        weight is 0.
    threshold : float
        Where it would be cut by itself.
    presence : sequence of Tensor
        (h, w) float32 in [0, 1] of each of K named structures.
    weights : ndarray
        (K + 1,) from `weigh`.
    prompts : Prompts, optional
        Clicks on this very image, which correct the map around them.
    matrix : Tensor, optional
        (D, h·w) float32 unit vectors; needed with ``prompts``.

    Returns
    -------
    Tensor
        (h, w) float32 in [0, 1], to be cut at 0.5.
    """
    cuts = [*([STRUCTURE_CUT] * len(presence)), min(max(threshold, 0.01), 0.99)]
    every = zip(weights.tolist(), [*presence, likeness], cuts, strict=True)
    parts = [(w, v, c) for w, v, c in every if w > 0 and v is not None]
    first = parts[0][1]
    height, width = first.shape
    strength = np.zeros(0, np.float32)
    if prompts is not None and matrix is not None and len(prompts.pixels) > 1:
        rows, columns = torch.from_numpy(prompts.pixels.T).to(first.device)
        now = _mixture([(w, v[rows, columns], c) for w, v, c in parts])
        there = matrix[:, rows * width + columns]
        strength = _corrections(now, there, prompts, max(height, width))
    result = torch.empty_like(first)
    step = max(1, _BLOCK_PIXELS // width)
    for start in range(0, height, step):
        # A few rows at a time, which stay in cache
        block = slice(start, min(start + step, height))
        mixed = _mixture([(w, v[block], c) for w, v, c in parts])
        if prompts is not None and matrix is not None and strength.any():
            seen = matrix[:, block.start * width : block.stop * width]
            shift = _shift(seen, prompts, strength, block, (height, width))
            before = mixed.clamp(_FLOOR, 1 - _FLOOR)
            after = torch.logit(before).add_(shift).sigmoid_()
            mixed = (mixed + after.sub_(before)).clamp_(0, 1)
        result[block] = mixed
    return result


def _mixture(parts: Sequence[tuple[float, Tensor, float]]) -> Tensor:
    """Average maps in [0, 1] by weight, each cut at its own place moved to 0.5."""
    total = torch.zeros_like(parts[0][1])
    for weight, values, cut in parts:
        # Odds divided by the odds of the cut
        moved = values * (1 - cut) / (values * (1 - 2 * cut)).add_(cut)
        total.add_(moved, alpha=float(weight))
    return total.clamp_(0, 1)


def _corrections(
    at_prompts: Tensor, there: Tensor, prompts: Prompts, side: int
) -> NDArray[np.float32]:
    """Return (k,) strengths that bring every prompt to its side by a margin."""
    now = torch.logit(at_prompts.clamp(_FLOOR, 1 - _FLOOR)).cpu().numpy()
    missing = prompts.signs * np.maximum(0, _MARGIN - prompts.signs * now)
    if not missing.any():
        return np.zeros(len(missing), np.float32)
    cosine = np.minimum(prompts.vectors @ there.cpu().numpy(), 1)
    points = prompts.pixels / (REACH * side)
    distance = np.square(points[:, None] - points[None]).sum(-1)
    kernel = np.exp((cosine - 1) / _SPREAD - distance / 2)
    strength = np.linalg.solve(kernel + _NOISE * np.eye(len(kernel)), missing)
    return np.asarray(strength, np.float32)


def _shift(
    matrix: Tensor,
    prompts: Prompts,
    strength: NDArray[np.float32],
    rows: slice,
    shape: tuple[int, int],
) -> Tensor:
    """Log odds that corrections add to some rows of the grid."""
    chosen = np.flatnonzero(strength)
    queries = torch.from_numpy(prompts.vectors[chosen]).to(matrix)
    near = (queries @ matrix).sub_(1).div_(_SPREAD).clamp_(max=0).exp_()
    reach = REACH * max(shape)
    down, across = (
        np.exp(-np.square((np.arange(size) - at[:, None]) / reach) / 2)
        for size, at in zip(shape, prompts.pixels[chosen].T, strict=True)
    )
    down = down[:, rows] * strength[chosen, None]
    shaped = near.view(len(chosen), -1, shape[1])
    for part, axis in ((down, 2), (across, 1)):
        shaped.mul_(
            torch.from_numpy(part.astype(np.float32)).to(matrix).unsqueeze(axis)
        )
    return shaped.sum(0)
