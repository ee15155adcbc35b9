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

_BORDER_REACH = 0.0175
"""Part of the grid's longer side within which a border of a structure lies near."""

_BORDER = 0.6
"""How well a structure explains a correction near its border, where errors lie that are
no reason to mean something else."""

_DOUBT = 0.02
_LATER_DOUBT = 0.4
_LIKENESS, _LATER_LIKENESS = 0.1, 0.6
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

_MARGIN = 1.0
_NOISE = 0.02
_FLOOR = 0.02
_EXTENT = 3
"""A correction ends at this many standard deviations of its reach."""

_LEAST_STRENGTH = 1e-3
_LEAST_CUT = 0.01


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
    evidence = _evidence(presence, prompts) if presence else []
    for structure, share in enumerate(shares):
        if share > LARGEST_SHARE:
            evidence[structure] = -math.inf
        evidence[structure] += _preference(share) / len(prompts.pixels)
    every = np.array([*evidence, likeness])
    weights = np.exp(every - every.max())
    weights[weights < _LEAST_WEIGHT * weights.sum()] = 0
    weights[weights < _LEAST_OF_LIKENESS * weights[-1]] = 0
    return np.asarray(weights / weights.sum())


def _preference(share: float) -> float:
    return _SIZE * math.log(_USUAL_SHARE / max(share, _LEAST_SHARE))


def _evidence(presence: Sequence[Tensor], prompts: Prompts) -> list[float]:
    """Logarithm of how well each structure explains the prompts."""
    agreement = _agreement(presence, prompts)
    trust = _LATER_DOUBT + (1 - _LATER_DOUBT) * agreement
    trust[:, 0] = np.minimum(np.maximum(agreement[:, 0], _DOUBT), 1 - _DOUBT)
    return list(np.log(trust).sum(1).tolist())


def _agreement(presence: Sequence[Tensor], prompts: Prompts) -> NDArray[np.float64]:
    """(K, k) presence at clicks, or absence; some may be a little beside a click."""
    positive = prompts.signs > 0
    windows = _windows(presence, prompts.pixels, _NEARBY)
    here = windows[:, :, windows.shape[2] // 2]
    beside = np.where(positive, windows.max(2), windows.min(2))
    present = (1 - _BESIDE) * here + _BESIDE * beside
    agreement = np.where(positive, present, 1 - present).astype(np.float64)
    if len(positive) > 1:
        reach = round(_BORDER_REACH * max(presence[0].shape))
        around = _windows(presence, prompts.pixels[1:], reach)
        border = np.where(positive[1:], around.max(2), 1 - around.min(2))
        agreement[:, 1:] = np.maximum(agreement[:, 1:], _BORDER * border)
    return agreement


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


def cut_at_half(values: Tensor, cut: float) -> Tensor:
    """Bring values in [0, 1] that are cut somewhere to a scale where it is at 0.5."""
    odds = torch.add(
        values.new_tensor(cut / (1 - cut)), values, alpha=(1 - 2 * cut) / (1 - cut)
    )
    return torch.div(values, odds, out=odds)


@torch.no_grad()
def mix(
    likeness: Likeness | None,
    threshold: float,
    structures: Sequence[Tensor],
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
    structures : sequence of Tensor
        (h·w,) float32 in [0, 1] of each of K named structures, cut at 0.5.
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
    parts: list[_Part] = [
        (weight, values.__getitem__)
        for weight, values in zip(weights.tolist(), structures, strict=False)
        if weight > 0
    ]
    if likeness is not None and weights[-1] > 0:
        cut = min(max(threshold, _LEAST_CUT), 1 - _LEAST_CUT)
        parts.append((float(weights[-1]), lambda at: cut_at_half(likeness.at(at), cut)))
    mixed = _mixture(parts, slice(None)).view(shape)
    if prompts is not None and likeness is not None and len(prompts.pixels) > 1:
        nearness = [*likeness.positive, *likeness.negative]
        strengths = _strengths(nearness, parts, prompts, shape)
        _correct(mixed, nearness, prompts, strengths)
    return mixed.clamp_(0, 1)


_Part = tuple[float, "Callable[[slice | Tensor], Tensor]"]
"""Weight, and values at some pixels, to be cut at 0.5."""


def _mixture(parts: Sequence[_Part], pixels: slice | Tensor) -> Tensor:
    """Average maps in [0, 1] by weight; new."""
    (weight, at), *others = parts
    total = at(pixels) * weight
    for weight, at in others:
        total.add_(at(pixels), alpha=weight)
    return total


def _strengths(
    nearness: Sequence[Tensor],
    parts: Sequence[_Part],
    prompts: Prompts,
    shape: tuple[int, int],
) -> NDArray[np.float64]:
    """Find what each click adds to the log odds so that all are right by a margin."""
    rows, columns = torch.from_numpy(prompts.pixels.T)
    places = (rows * shape[1] + columns).to(nearness[0].device)
    before = _mixture(parts, places).clamp_(_FLOOR, 1 - _FLOOR)
    now = torch.logit(before).cpu().numpy()
    missing = prompts.signs * np.maximum(0, _MARGIN - prompts.signs * now)
    if not missing.any():
        return np.zeros(len(missing))
    near = torch.stack([values[places] for values in nearness]).cpu().numpy()
    points = prompts.pixels / (REACH * max(shape))
    distance = np.square(points[:, None] - points[None]).sum(-1)
    kernel = np.minimum(near, 1) * np.exp(-distance / 2)
    return np.linalg.solve(kernel + _NOISE * np.eye(len(kernel)), missing)


def _correct(
    mixed: Tensor,
    nearness: Sequence[Tensor],
    prompts: Prompts,
    strengths: NDArray[np.float64],
) -> None:
    """Add to the log odds around clicks, in place."""
    strong = abs(strengths) >= _LEAST_STRENGTH
    if not strong.any():
        return
    shape = mixed.shape
    reach = REACH * max(shape)
    extent = round(_EXTENT * reach)
    pixels = prompts.pixels[strong]
    top, left = np.maximum(pixels.min(0) - extent, 0).tolist()
    bottom, right = np.minimum(pixels.max(0) + extent + 1, shape).tolist()
    shift = mixed.new_zeros(bottom - top, right - left)
    away = torch.arange(-extent, extent + 1, device=mixed.device) / reach
    profile = torch.exp(-away.square() / 2).to(mixed)
    decay = torch.outer(profile, profile)
    for number in np.flatnonzero(strong).tolist():
        row, column = prompts.pixels[number].tolist()
        rows = slice(max(row - extent, 0), min(row + extent + 1, shape[0]))
        columns = slice(max(column - extent, 0), min(column + extent + 1, shape[1]))
        part = shift[_moved(rows, -top), _moved(columns, -left)]
        around = decay[_moved(rows, extent - row), _moved(columns, extent - column)]
        near = nearness[number].view(shape)[rows, columns]
        part.addcmul_(around, near, value=float(strengths[number]))
    reached = mixed[top:bottom, left:right]
    reached.add_(_change(reached, shift))


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _change(values: Tensor, shift: Tensor) -> Tensor:
    """Return what a shift of the log odds adds to values in [0, 1]; uses it up."""
    before = values.clamp(_FLOOR, 1 - _FLOOR)
    # The odds are multiplied: no logarithm is needed
    raised = shift.exp_().mul_(before)
    rest = torch.sub(raised, before).add_(1)
    return raised.div_(rest).sub_(before)
