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

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from .grid import FloatImage
    from .similarity import Likeness

CUT = 0.5
"""Where a similarity that was read this way is cut."""

REACH = 0.1
"""Standard deviation of a correction's reach, as a part of the grid's longer side."""

STRUCTURE_CUT = 0.3
"""Presence of a structure that becomes 0.5 of similarity."""

_NEARBY = 2
_BESIDE = 0.3
"""Part of the evidence that may be so many pixels beside a click."""

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

_SPREAD = 0.2
_MARGIN = 1.0
_NOISE = 0.02
_FLOOR = 0.02
_EXTENT = 3
"""A correction ends at this many standard deviations of its reach."""

_LEAST_STRENGTH = 1e-3
_LEAST_CUT = 0.01
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
    later = len(prompts.pixels) - 1
    likeness = math.log(_LIKENESS) + later * math.log(_LATER_LIKENESS)
    evidence = [
        -math.inf
        if share > LARGEST_SHARE
        else _evidence(values, prompts) + _preference(share) / len(prompts.pixels)
        for values, share in zip(presence, shares, strict=True)
    ]
    every = np.array([*evidence, likeness])
    weights = np.exp(every - every.max())
    weights[weights < _LEAST_WEIGHT * weights.sum()] = 0
    weights[weights < _LEAST_OF_LIKENESS * weights[-1]] = 0
    return np.asarray(weights / weights.sum())


def _preference(share: float) -> float:
    return _SIZE * math.log(_USUAL_SHARE / max(share, _LEAST_SHARE))


def _evidence(values: Tensor, prompts: Prompts) -> float:
    """Logarithm of how well a structure explains the prompts."""
    total = 0.0
    signed = zip(prompts.pixels.tolist(), prompts.signs.tolist(), strict=True)
    for number, ((row, column), sign) in enumerate(signed):
        agreement = _agreement(values, row, column, sign)
        if number:
            total += math.log(_LATER_DOUBT + (1 - _LATER_DOUBT) * agreement)
        else:
            total += math.log(min(max(agreement, _DOUBT), 1 - _DOUBT))
    return total


def _agreement(values: Tensor, row: int, column: int, sign: float) -> float:
    """Presence at a click, or absence; some of it may be a little beside the click."""
    top, left = max(0, row - _NEARBY), max(0, column - _NEARBY)
    window = values[top : row + _NEARBY + 1, left : column + _NEARBY + 1].cpu().numpy()
    here = (1 - _BESIDE) * float(window[row - top, column - left])
    if sign > 0:
        return here + _BESIDE * float(window.max())
    return 1 - here - _BESIDE * float(window.min())


@torch.no_grad()
def mix(
    likeness: Likeness | None,
    threshold: float,
    presence: Sequence[Tensor],
    weights: NDArray[np.float64],
    shape: tuple[int, int],
    prompts: Prompts | None = None,
) -> Tensor:
    """Turn likeness to prompts into similarity to what is meant by them.

    Parameters
    ----------
    likeness : Likeness
        To the prompts; may be None for a single one where its weight is 0.
    threshold : float
        Where it would be cut by itself.
    presence : sequence of Tensor
        (h, w) float32 in [0, 1] of each of K named structures.
    weights : ndarray
        (K + 1,) from `weigh`.
    shape : tuple of int
        (h, w) of the working grid.
    prompts : Prompts, optional
        Clicks on this very image, the ones that ``likeness`` compares with, which
        correct the map around them.

    Returns
    -------
    Tensor
        (h, w) float32 in [0, 1], to be cut at 0.5.
    """
    maps: list[_Part] = [
        (weight, values.view(-1).__getitem__, STRUCTURE_CUT)
        for weight, values in zip(weights.tolist(), presence, strict=False)
        if weight > 0
    ]
    if likeness is not None and weights[-1] > 0:
        cut = min(max(threshold, _LEAST_CUT), 1 - _LEAST_CUT)
        maps.append((float(weights[-1]), likeness.at, cut))
    corrections: list[_Correction] = []
    if prompts is not None and likeness is not None and len(prompts.pixels) > 1:
        corrections = _corrections(likeness, maps, prompts, shape)
    height, width = shape
    step = height
    if likeness is not None and len(likeness.positive) + len(likeness.negative) > 1:
        # A few rows at a time, which stay in cache
        step = max(1, _BLOCK_PIXELS // width)
    blocks = []
    for top in range(0, height, step):
        bottom = min(top + step, height)
        mixed = _mixture(maps, slice(top * width, bottom * width))
        shift = _shift(corrections, top, bottom, width)
        if shift is not None:
            mixed.add_(_change(mixed, shift.view(-1)))
        blocks.append(mixed)
    whole = torch.cat(blocks) if len(blocks) > 1 else blocks[0]
    return whole.clamp_(0, 1).view(shape)


_Part = tuple[float, "Callable[[slice | Tensor], Tensor]", float]
"""Weight, values at some pixels, and where these are cut."""


def _mixture(parts: Sequence[_Part], pixels: slice | Tensor) -> Tensor:
    """Average maps in [0, 1] by weight, each cut at its own place moved to 0.5."""
    total: Tensor | None = None
    for weight, at, cut in parts:
        values = at(pixels)
        # Odds divided by the odds of the cut
        share = weight * (1 - cut)
        odds = torch.add(
            values.new_tensor(cut / share), values, alpha=(1 - 2 * cut) / share
        )
        moved = torch.div(values, odds, out=odds)
        total = moved if total is None else total.add_(moved)
    assert total is not None
    return total


@dataclass(frozen=True)
class _Correction:
    """What one click adds to the log odds of the map around it.

    Attributes
    ----------
    strength : float
        At the click itself.
    cosine : Tensor
        (h, w) cosines to the click's vector.
    down, across : Tensor
        (h,) and (w,) logarithms of its reach.
    rows, columns : slice
        What it reaches at all.
    """

    strength: float
    cosine: Tensor
    down: Tensor
    across: Tensor
    rows: slice
    columns: slice


def _corrections(
    likeness: Likeness,
    parts: Sequence[_Part],
    prompts: Prompts,
    shape: tuple[int, int],
) -> list[_Correction]:
    """Find the strengths that bring every prompt to its side by a margin."""
    rows, columns = torch.from_numpy(prompts.pixels.T)
    cosines = [*likeness.positive, *likeness.negative]
    places = (rows * shape[1] + columns).to(cosines[0].device)
    before = _mixture(parts, places).clamp_(_FLOOR, 1 - _FLOOR)
    now = torch.logit(before).cpu().numpy()
    missing = prompts.signs * np.maximum(0, _MARGIN - prompts.signs * now)
    if not missing.any():
        return []
    cosine = np.stack([values[places].cpu().numpy() for values in cosines])
    reach = REACH * max(shape)
    points = prompts.pixels / reach
    distance = np.square(points[:, None] - points[None]).sum(-1)
    kernel = np.exp((np.minimum(cosine, 1) - 1) / _SPREAD - distance / 2)
    strengths = np.linalg.solve(kernel + _NOISE * np.eye(len(kernel)), missing)
    made = []
    for strength, values, pixel in zip(
        strengths.tolist(), cosines, prompts.pixels.tolist(), strict=True
    ):
        if abs(strength) < _LEAST_STRENGTH:
            continue
        away = [
            -(((torch.arange(size) - at) / reach) ** 2).to(values) / 2
            for size, at in zip(shape, pixel, strict=True)
        ]
        window = [
            slice(max(0, at - round(_EXTENT * reach)), at + round(_EXTENT * reach) + 1)
            for at in pixel
        ]
        made.append(_Correction(strength, values.view(shape), *away, *window))
    return made


def _shift(
    corrections: Sequence[_Correction], top: int, bottom: int, width: int
) -> Tensor | None:
    """Log odds that corrections add to some rows of the grid; None: nothing."""
    shift: Tensor | None = None
    for correction in corrections:
        first = max(top, correction.rows.start)
        last = min(bottom, correction.rows.stop)
        if first >= last:
            continue
        rows, columns = slice(first, last), correction.columns
        cosine = correction.cosine[rows, columns]
        away = correction.down[rows, None] + (correction.across[columns] - 1 / _SPREAD)
        near = away.add_(cosine, alpha=1 / _SPREAD).exp_()
        if shift is None:
            shift = near.new_zeros(bottom - top, width)
        part = shift[first - top : last - top, columns]
        part.add_(near, alpha=correction.strength)
    return shift


def _change(values: Tensor, shift: Tensor) -> Tensor:
    """Return what a shift of the log odds adds to values in [0, 1]."""
    before = values.clamp(_FLOOR, 1 - _FLOOR)
    # The odds are multiplied: no logarithm is needed
    raised = torch.exp(shift).mul_(before)
    rest = torch.sub(raised, before).add_(1)
    return raised.div_(rest).sub_(before)
