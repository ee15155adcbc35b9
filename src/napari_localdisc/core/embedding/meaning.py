"""What a few clicks mean: pixels like these, or a structure that the model knows.

Either the user points at a structure that the model's card names, or at pixels whose
embedding is like the prompts'.  One of them is meant: the one that explains the clicks
best.  The first positive click counts in full, later ones less, as they correct errors
and so lie where a map is wrong: at the border of what was meant, or anywhere if it is
many small lesions.  What is meant changes only where another meaning explains clearly
more, so that one more click does not turn a good map into another one.

A click on a small dark or bright spot means a lesion, though a vessel may be seen there
as well.

Nothing here learns from labels.  The constants were chosen on DRIVE training and the
tuning halves of Drishti-GS1 and IDRiD by Dice after some clicks; see
docs/experiments.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_localdisc.core.image.grid import FloatImage, Mask

from .spots import Spot

STRUCTURE_CUT = 0.3
"""Presence of a structure that becomes 0.5 of similarity."""

DARK_CUT = 0.2
"""Likewise of dark lesions, which the network sees too little of."""

_NEARBY = 2
_BESIDE = 0.3
"""Part of the evidence that may be so many pixels beside a click."""

_BORDER_REACH, _BORDER_THICKNESS = 0.035, 1.5
"""Within how much of the grid's longer side, and how many of its own thickness, a
border of a structure lies near; everything is near to a border of a thin structure."""

_BORDER = 0.75
"""How well a structure explains a correction near its border, where errors lie that are
no reason to mean something else; and lesions and thin structures one anywhere, as
some of them are missed."""

_TAKEN = 0.95
"""Unless another structure is as present at two of them: that one was missed."""

_SEEN = 0.1
"""How present a structure is at a positive click that shows it."""

_FEW, _NEVER = 0.002, 1e-9
"""Share of the field of view up to which lesions are few; and what is left of a
structure that is not meant."""

_THIN = 4
"""Pixels of the working grid; see `Extent.thickness`."""

_DOUBT = 0.02
_LATER_DOUBT, _OUTSIDE_DOUBT = 0.4, 0.15
"""What a later click that it does not explain leaves of a structure; and a positive one
that lies outside of a structure that there is but one of."""

_LIKENESS, _LATER_LIKENESS = 0.1, 0.4

LARGEST_SHARE = 0.6
"""A structure that is seen in more of the image than this explains nothing: so do
models that were hardly trained, or on another kind of image."""

_SIZE = 0.25
"""How much a small structure is preferred to a large one that holds the click as well:
who means the large one has many other places to click."""

_USUAL_SHARE, _LEAST_SHARE = 0.05, 0.005

_MIDDLE, _OFF_MIDDLE = 0.58, 0.2
"""Part of the depth of a structure that there is but one of, up to which a click lies
off its middle; and what that leaves of it where a thin structure lies there as well."""

_SPOT, _NO_SPOT = 0.95, 0.3
"""How well a lesion explains a click on a spot of its kind, and what that leaves of a
thin structure."""

_NO_CONTRAST = 0.25
"""What a click on nothing that stands out leaves of bright lesions."""

_INERTIA = 0.7
"""Logarithm of how much better another meaning must explain the clicks."""

_FEW_ALIKE, _MUCH_MORE = 0.1, 3.0
"""Share of the field of view up to which few pixels are alike; and how much more than
them a structure is that is hardly meant by them."""

_OF_LESIONS, _GROWING = 3.0, 0.25
"""The same is added where dark, or bright, lesions were meant and something else would
be, as who clicks on those that were missed may hit a vessel; and where lesions, or what
there is but one of, were meant, by each click after the third."""


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
    spots : tuple
        The `Spot` about each positive click, or None.
    places : ndarray, optional
        (k, 2) float64: where between pixels they are.
    """

    vectors: FloatImage
    pixels: NDArray[np.intp]
    positives: int
    spots: tuple[Spot | None, ...] = ()
    places: NDArray[np.float64] | None = None

    def begin_with_spot(self, bright: bool | None) -> bool:
        """Whether the first lies on a spot of that kind, and on nothing else."""
        spot = self.spots[0] if self.spots else None
        return spot is not None and spot.stands_alone and spot.is_bright is bright

    def begin_with_object(self, bright: bool | None) -> bool:
        """Whether the first lies on something of that kind that has an outline."""
        spot = self.spots[0] if self.spots else None
        return spot is not None and spot.has_outline and spot.is_bright is bright

    def may_show(self, bright: bool | None) -> NDArray[np.float64]:
        """(k,) how well each may be on a lesion of that kind, by what it lies on."""
        fits = np.ones(len(self.pixels))
        if bright is not None and self.spots:
            fits[: len(self.spots)] = [
                (_NO_CONTRAST if bright else 1.0)  # a large dark one shows none
                if spot is None
                else float(spot.is_bright is bright)
                for spot in self.spots
            ]
        return fits

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


@dataclass(frozen=True)
class Candidate:
    """A structure that may be meant.

    Attributes
    ----------
    presence : Tensor
        (h, w) float32 in [0, 1].
    extent : Extent
        Where it is seen.
    is_lesion : bool
        Whether it is many and may be small.
    is_single : bool
        Whether there is but one in an image.
    bright : bool or None
        Of a lesion: whether it is brighter than its surroundings.
    depth : ndarray or None
        (h, w) of a single one: how far each pixel is from its border, by how far its
        middle is.
    """

    presence: Tensor
    extent: Extent
    is_lesion: bool = False
    is_single: bool = False
    bright: bool | None = None
    depth: FloatImage | None = None


def depth_of(presence: Tensor) -> FloatImage:
    """(h, w) presence → float32 in [0, 1], see `Candidate`."""
    seen = presence.cpu().numpy() > STRUCTURE_CUT
    depth = ndimage.distance_transform_edt(seen)
    return np.asarray(depth / max(1, depth.max()), np.float32)


def choose(
    candidates: Sequence[Candidate],
    clicks: Clicks,
    share_alike: Callable[[], float] = lambda: 1.0,
) -> int:
    """Say which structure clicks mean.

    Parameters
    ----------
    candidates : sequence of Candidate
        K structures.
    clicks : Clicks
        Their places and vectors; positive ones in the order in which they were made.
    share_alike : callable
        Returns the share of the field of view that is like them, in [0, 1]; asked once
        at most, where pixels like these are what is meant by some of them.

    Returns
    -------
    int
        Of a candidate; K for pixels like these.
    """
    count = len(clicks.pixels)
    evidence = np.full((len(candidates) + 1, count), math.log(_LATER_LIKENESS))
    evidence[-1, 0] = math.log(_LIKENESS)
    if candidates:
        evidence[:-1] = _evidence(candidates, clicks)
        _only_wanted_tell_kinds(candidates, clicks, evidence)
    for number, candidate in enumerate(candidates):
        share = candidate.extent.share
        if share > LARGEST_SHARE:
            evidence[number, 0] = -math.inf
            continue
        size = _SIZE * math.log(_USUAL_SHARE / max(share, _LEAST_SHARE))
        held = math.exp(evidence[number, 0]) if size > 0 else 1.0
        evidence[number, 0] += size * held
    # True or False of a lesion that is bright or dark
    kinds = [*(each.bright if each.is_lesion else None for each in candidates), None]
    settles = [*(each.is_lesion or each.is_single for each in candidates), False]
    unlikely: list[bool] = []
    total = evidence.cumsum(1)
    chosen = int(total[:, 0].argmax())
    for number, after in enumerate(total.T[1:]):
        if chosen == len(candidates):
            if not unlikely:
                alike = share_alike()
                unlikely = [_is_far_from(each, clicks, alike) for each in candidates]
            after = np.where([*unlikely, False], -np.inf, after)
        best = int(after.argmax())
        inertia = _INERTIA
        if number and kinds[chosen] not in (None, kinds[best]):
            inertia += _OF_LESIONS
        if settles[chosen]:
            inertia += _GROWING * max(0, number - 1)
        if after[best] - after[chosen] > inertia:
            chosen = best
    return chosen


def _is_far_from(candidate: Candidate, clicks: Clicks, alike: float) -> bool:
    """Whether pixels like these, so large a share, are hardly meant as a structure.

    That is a lesion that no click shows, while few pixels are alike; or something much
    larger than them that clicks hardly show.
    """
    shown = shown_at(candidate.presence, clicks.pixels[: clicks.positives])
    if candidate.is_lesion:
        unseen = shown.max() < _SEEN and not clicks.begin_with_spot(candidate.bright)
        return unseen and alike < _FEW_ALIKE
    much_more = candidate.extent.share > _MUCH_MORE * alike
    return much_more and float(shown.mean()) < STRUCTURE_CUT


def _only_wanted_tell_kinds(
    candidates: Sequence[Candidate], clicks: Clicks, evidence: NDArray[np.float64]
) -> None:
    """Let negative clicks be as likely of all lesions that are dark, or bright.

    In place.  What is not meant does not say of which kind of lesion the others are.
    """
    for bright in (False, True):
        kin = [k for k, each in enumerate(candidates) if each.bright is bright]
        if kin:
            denied = evidence[kin, clicks.positives :]
            evidence[kin, clicks.positives :] = denied.max(0)


def _evidence(candidates: Sequence[Candidate], clicks: Clicks) -> NDArray[np.float64]:
    """(K, k) logarithm of how well each structure explains each click."""
    agreement = _agreement([each.presence for each in candidates], clicks)
    doubt = np.full(agreement.shape, _LATER_DOUBT)
    wanted = clicks.signs > 0
    # A click corrects a map only if one before it showed that; lesions are many
    before = np.maximum.accumulate(np.where(wanted, agreement, 0), 1) > _SEEN
    for number, each in enumerate(candidates):
        began = clicks.begin_with_object(each.bright)
        if len(clicks.pixels) > 1:
            near = _at_border(each.presence, each.extent, clicks)
            if each.is_lesion or each.extent.thickness < _THIN:
                others = [
                    agreement[k, 1:]
                    for k, other in enumerate(candidates)
                    if each.is_lesion and not other.is_lesion
                ]
                taken = np.max([*others, np.zeros(len(near))], 0) > _TAKEN
                taken = (taken & wanted[1:]).cumsum() * (taken & wanted[1:]) > 1
                taken &= not began
                near = np.where(taken, near, np.maximum(near, _BORDER))
                near = near * clicks.may_show(each.bright)[1:]
            if not each.is_lesion:
                near = near * before[number, :-1]
            agreement[number, 1:] = np.maximum(agreement[number, 1:], near)
        if each.is_single:
            doubt[number, wanted & (agreement[number] < 0.5)] = _OUTSIDE_DOUBT
    first = tuple(clicks.pixels[0])
    thin = [
        float(shown_at(each.presence, clicks.pixels[:1])[0])
        for each in candidates
        if not each.is_lesion and each.extent.thickness < _THIN
    ]
    for number, each in enumerate(candidates):
        if each.depth is not None and each.depth[first] < _MIDDLE:
            agreement[number, 0] *= 1 - (1 - _OFF_MIDDLE) * max([*thin, 0.0])
    # A later one corrects: a stretch of vessel that was missed may look like a spot
    kinds = {each.bright for each in candidates} - {None}
    for kind in filter(clicks.begin_with_spot, kinds):
        for number, each in enumerate(candidates):
            if each.bright is kind:
                agreement[number, 0] = max(agreement[number, 0], _SPOT)
            elif not each.is_lesion and not each.is_single:
                agreement[number, 0] *= _NO_SPOT
    trust = doubt + (1 - doubt) * agreement
    trust[:, 0] = np.minimum(np.maximum(agreement[:, 0], _DOUBT), 1 - _DOUBT)
    for number, each in enumerate(candidates):
        # What no positive click shows is not meant; of lesions many are missed
        missed = each.is_lesion and each.extent.share > _FEW
        if not (before[number, -1] or agreement[number, 0] > _SEEN or missed):
            trust[number, 0] = _NEVER
    shown = [clicks.may_show(each.bright)[0] for each in candidates]
    trust[:, 0] *= np.maximum(shown, _NO_CONTRAST)
    return np.asarray(np.log(trust))


def _agreement(presence: Sequence[Tensor], clicks: Clicks) -> NDArray[np.float64]:
    """(K, k) presence at clicks, or absence; some may be a little beside a click."""
    positive = clicks.signs > 0
    windows = _windows(presence, clicks.pixels, _NEARBY)
    here = windows[:, :, windows.shape[2] // 2]
    beside = np.where(positive, windows.max(2), windows.min(2))
    present = (1 - _BESIDE) * here + _BESIDE * beside
    return np.asarray(np.where(positive, present, 1 - present), np.float64)


def shown_at(presence: Tensor, pixels: NDArray[np.intp]) -> NDArray[np.float32]:
    """(k,) highest presence at each of (k, 2) pixels or a little beside it."""
    highest: NDArray[np.float32] = _windows([presence], pixels, _NEARBY)[0].max(1)
    return highest


def _at_border(presence: Tensor, extent: Extent, clicks: Clicks) -> NDArray[np.float64]:
    """(k - 1,) how well an error at a structure's border explains later clicks."""
    farthest = _BORDER_REACH * max(presence.shape)
    reach = round(min(farthest, _BORDER_THICKNESS * extent.thickness))
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
