"""Which region each pixel lies in, so that a cluster map is worth looking at.

1. **Structures first.**  Where the network says that a named structure is present, or
   where one that follows from others was found, the pixel is its.  Of several that are
   present a lesion hides a thin structure, and an optic disc whatever crosses it.
2. **A background in few smooth parts.**  Elsewhere the other clusters' probabilities
   are averaged over a neighbourhood, so that pigment and light make no speckles, and
   what is too small for a part joins its surroundings.
3. **No frame.**  Nothing is looked at in the outermost part of the field of view, where
   light falls off: its pixels belong to what lies next to them.  A region that would
   live there all the same is taken away from there.
4. **No specks.**  Pieces of less than 30 pixels join what surrounds them, but for small
   lesions of which the network is sure.

All on the working grid.  What comes out are scores that may be interpolated before the
largest is taken, so that outlines are as smooth as the image's own pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_localdisc.core.image.contrast import gaussian_blur
from napari_localdisc.core.image.grid import FloatImage, Mask
from napari_localdisc.core.names import is_lesion

from .meaning import thickness

CUT = 0.5
"""Presence from which a pixel is a structure's."""

MARGIN = 6 / 540
"""Outermost part of the field of view's diameter that structures leave out: there the
network sees the edge itself."""

SPECK = 30
"""Pixels of the working grid below which a piece is none of its own."""

EDGE = 0.03
"""Part of the field of view's diameter along its edge where no region may live."""

_EDGE_SHARE, _EDGE_REACH = 0.42, 0.035
"""A region with more of itself nearer to the edge lives there: on the image's own grid
it is then at most half within `EDGE`."""

_TAKEN = 0.04
"""Part of the diameter along the edge that a region which lives there loses."""

_SMOOTHING = 1 / 32
"""Standard deviation of the background's neighbourhood, in diameters."""

_COARSE = 4
"""Pixels of the working grid along one of the grid on which the background is found."""

_SMALLEST_PART = 1 / 150
"""Of the field of view, below which a part of the background joins its surroundings."""

_SURE = 0.7
"""Presence that a lesion of less than a speck's size reaches somewhere."""

_MOST_SPECKS = 0.01
"""Part of the field of view that such lesions may cover; the surest stay."""

_THIN = 1 / 100
"""Area by border's length, in diameters, of what others may hide."""

_SCORE = 0.5
_TOGETHER = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Named:
    """A structure that has a region of its own.

    Attributes
    ----------
    name : str
        Of the structure.
    leaf : int
        Of its region.
    presence : ndarray
        (h, w) float32 in [0, 1].
    follows : bool
        Whether it was found by others.
    """

    name: str
    leaf: int
    presence: FloatImage
    follows: bool = False

    @cached_property
    def thickness(self) -> float:
        """Of what is seen of it, in diameters of the working grid."""
        return float(thickness(self.presence >= CUT) / max(self.presence.shape))


@dataclass(frozen=True)
class Regions:
    """Scores of regions, the largest of which a pixel belongs to.

    Attributes
    ----------
    scores : Tensor
        (C, h, w) float32, not negative.
    leaves : ndarray
        (C,) uint8: which region each of them is of.
    background : Tensor
        (B, h, w) float32, likewise of the parts of the background alone.
    parts : ndarray
        (B,) uint8: which region each of these is of.
    rim : Tensor
        (h, w) float32: 1 along the edge of the field of view.
    """

    scores: Tensor
    leaves: NDArray[np.uint8]
    background: Tensor
    parts: NDArray[np.uint8]
    rim: Tensor

    @torch.no_grad()
    def in_detail(self, named: Sequence[Named]) -> "Regions":
        """Find structures again where the network has looked more closely.

        Parameters
        ----------
        named : sequence of Named
            Presence on a window of a finer grid, to which these regions, all of their
            maps, were brought by interpolation.  A piece that the window cuts is not
            small.

        Returns
        -------
        Regions
            Of the window: the background, and what follows from others, as it was.
        """
        named = [part for part in named if part.leaf in self.leaves]
        was = self.leaves[self.scores.cpu().numpy().argmax(0)].astype(np.intp)
        behind = self.parts[self.background.cpu().numpy().argmax(0)].astype(np.intp)
        own = [part.leaf for part in named]
        others = ~np.isin(was, [*self.parts, *own])
        found = _structures(named, _View.window(was.shape))
        shown = np.array([*own, 0], np.intp)[found]
        # Along the edge nothing is that was not there before
        shows = (found >= 0) & ((shown == was) | (self.rim.cpu().numpy() < 0.5))
        label = np.where(shows, shown, np.where(others, was, behind))
        scores = dict(zip(self.leaves.tolist(), self.scores.cpu().numpy(), strict=True))
        parts = zip(self.parts.tolist(), self.background.cpu().numpy(), strict=True)
        inside = np.ones(label.shape, bool)
        return replace(self, **_scored(label, named, {**scores, **dict(parts)}, inside))


@torch.no_grad()
def find_regions(
    probability: Tensor, named: Sequence[Named], inside: Mask, is_round: bool
) -> Regions:
    """Find the region of every pixel of a working grid.

    Parameters
    ----------
    probability : Tensor
        (M, h, w) float32 cluster probabilities; a cluster is the region of its number.
    named : sequence of Named
        Structures, whose regions are no part of the background.
    inside : ndarray
        (h, w) bool, the field of view.
    is_round : bool
        Whether light falls off along the edge of the field of view.
    """
    if not inside.any():
        inside = np.ones_like(inside)
    view = _View.of(inside, is_round)
    found = _structures(named, view)
    background, scores = _background(probability, named, found < 0, view)
    leaves = np.array([part.leaf for part in named], np.intp)
    label = np.where(found >= 0, np.append(leaves, 0)[found], background)
    label = _filled(label, inside & ~view.deep, inside)
    label = _tidied(label, named, view)
    parts = [leaf for leaf in scores if (label[inside] == leaf).any()] or [*scores]
    behind = np.stack([scores[leaf] for leaf in parts])
    rim = torch.from_numpy(view.taken.astype(np.float32))
    return Regions(
        background=torch.from_numpy(behind),
        parts=np.array(parts, np.uint8),
        rim=rim,
        **_scored(label, named, scores, inside),
    )


@dataclass(frozen=True)
class _View:
    inside: Mask
    deep: Mask
    """Where structures are looked for."""
    inner: Mask
    """Where the background is."""
    edge: Mask
    taken: Mask
    is_cut: bool = False
    """Whether pieces may go on beyond the array."""

    @classmethod
    def of(cls, inside: Mask, is_round: bool) -> "_View":
        depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        depth /= max(inside.shape)
        inner = depth > EDGE
        deep = depth > MARGIN if is_round else inside
        # A view too narrow to have an inner part is all there is
        deep, inner = (part if part.any() else inside for part in (deep, inner))
        edge, taken = (inside & (depth <= reach) for reach in (_EDGE_REACH, _TAKEN))
        return cls(inside, deep, inner, edge, taken)

    @classmethod
    def window(cls, shape: tuple[int, ...]) -> "_View":
        """Take a part of a field of view that has no edge."""
        whole = np.ones(shape, bool)
        return cls(whole, whole, whole, ~whole, ~whole, is_cut=True)

    def is_edge(self, region: Mask) -> bool:
        """Whether a region lives along the edge."""
        size = int(region.sum())
        return size > 0 and int((region & self.edge).sum()) > _EDGE_SHARE * size


def _structures(named: Sequence[Named], view: _View) -> NDArray[np.intp]:
    """(h, w) number of the structure that a pixel is of; -1: of none."""
    found = np.full(view.inside.shape, -1, np.intp)
    for number in _painted(named):
        found[(named[number].presence >= CUT) & view.deep] = number
    for number, part in enumerate(named):
        found[_specks(found == number, part, view)] = -1
    for number, part in enumerate(named):
        region = found == number
        if view.is_edge(region):
            found[region & view.taken] = -1
            found[_specks(found == number, part, view)] = -1
            if view.is_edge(found == number):
                found[found == number] = -1
    return found


def _painted(named: Sequence[Named]) -> list[int]:
    """Order structures so that each hides those before it: the thicker the thinner.

    What follows from others hides no more than thin ones, so that lesions stay.
    """
    thin = [p.thickness for p in named if not is_lesion(p.name) and p.thickness < _THIN]
    least = max(thin, default=0.0)
    return sorted(
        range(len(named)),
        key=lambda k: least if named[k].follows else named[k].thickness,
    )


def _specks(region: Mask, part: Named, view: _View) -> Mask:
    """Find the pieces of a structure that are too small; not those of sure lesions."""
    names, count = ndimage.label(region, _TOGETHER)
    sizes = np.bincount(names.ravel(), minlength=count + 1)
    if view.is_cut:
        border = (names[0], names[-1], names[:, 0], names[:, -1])
        sizes[np.concatenate(border)] = SPECK
    small = sizes < SPECK
    small[0] = False
    if is_lesion(part.name) and small.any():
        numbers = np.flatnonzero(small)
        surest = ndimage.maximum(part.presence, names, numbers)
        order = np.argsort(-surest)
        room = _MOST_SPECKS * np.count_nonzero(view.inside)
        fits = np.cumsum(sizes[numbers[order]]) <= room
        small[numbers[order][fits & (surest[order] >= _SURE)]] = False
    return np.asarray(small[names])


def _background(
    probability: Tensor, named: Sequence[Named], free: Mask, view: _View
) -> tuple[NDArray[np.intp], dict[int, FloatImage]]:
    """(h, w) cluster of the background, and the score of each that occurs."""
    taken = {part.leaf for part in named}
    others = [m for m in range(len(probability)) if m not in taken]
    others = others or [*range(len(probability))]
    free = free & view.inner
    if not free.any():
        free = view.inner
    weight = torch.from_numpy(free.astype(np.float32)).to(probability)
    total = probability[others].sum(0).clamp_min_(1e-6)
    coarse = _shrunk(torch.cat([probability[others] * (weight / total), weight[None]]))
    sigma = _SMOOTHING * max(free.shape) / _COARSE
    near = gaussian_blur(coarse, sigma)[0].cpu()
    share, known = (near[:-1] / (near[-1:] + 1e-4)).numpy(), near[-1].numpy() > 1e-3
    label = share.argmax(0)
    seen = _shrunk(torch.from_numpy(view.inside)[None].float())[0, 0].numpy() > 0
    holes = seen & ~known
    smallest = _SMALLEST_PART * np.count_nonzero(seen)
    for number in np.unique(label[seen]):
        holes |= _small((label == number) & seen, smallest)
    label = _filled(label, holes, seen)
    present = np.unique(label[seen])
    scores = share[present] / np.maximum(share.max(0), 1e-6)
    moved = label != share.argmax(0)
    scores[:, moved] *= 0.9
    scores[np.searchsorted(present, label[moved]), moved] = 1
    fine = F.interpolate(
        torch.from_numpy(scores * np.float32(_SCORE))[None],
        scale_factor=_COARSE,
        mode="bilinear",
    )[0, :, : free.shape[0], : free.shape[1]].numpy()
    leaves = np.array(others)[present]
    return leaves[fine.argmax(0)], dict(zip(leaves.tolist(), fine, strict=True))


def _shrunk(maps: Tensor) -> Tensor:
    """(C, h, w) → (1, C, h', w') means over squares; beyond the grid lies 0."""
    height, width = maps.shape[-2:]
    padded = F.pad(maps[None], (0, -width % _COARSE, 0, -height % _COARSE))
    return F.avg_pool2d(padded, _COARSE)


def _small(region: Mask, least: float) -> Mask:
    """Find the pieces of a region that have too few pixels."""
    names, _ = ndimage.label(region, _TOGETHER)
    small = np.bincount(names.ravel()) < least
    small[0] = False
    return np.asarray(small[names])


def _filled(label: NDArray[np.intp], holes: Mask, known: Mask) -> NDArray[np.intp]:
    """Give pixels of holes the label of the nearest known pixel that is in none."""
    unknown = holes | ~known
    if not holes.any() or unknown.all():
        return label
    nearest = ndimage.distance_transform_edt(
        unknown, return_distances=False, return_indices=True
    )
    return np.asarray(np.where(holes, label[tuple(nearest)], label))


def _tidied(
    label: NDArray[np.intp], named: Sequence[Named], view: _View
) -> NDArray[np.intp]:
    """Give what lives along the edge, and specks, to the background about them."""
    lesions = {part.leaf: part for part in named if is_lesion(part.name)}
    own = [part.leaf for part in named]
    for _ in range(4):
        holes = np.zeros_like(view.inside)
        for leaf in np.flatnonzero(np.bincount(label[view.inside])).tolist():
            region = (label == leaf) & view.inside
            if view.is_edge(region):
                holes |= region
            elif leaf in lesions:
                holes |= _specks(region, lesions[leaf], view)
            else:
                holes |= _small(region, SPECK)
        if not holes.any():
            break
        background = view.inside & ~np.isin(label, own)
        label = _filled(label, holes, background if background.any() else view.inside)
    return label


def _scored(
    label: NDArray[np.intp],
    named: Sequence[Named],
    background: Mapping[int, FloatImage],
    inside: Mask,
) -> dict[str, Any]:
    """Make scores whose largest is the label, from what it was found by."""
    own = {part.leaf: part.presence for part in named}
    leaves = np.flatnonzero(np.bincount(label[inside]))
    number = np.searchsorted(leaves, label).clip(max=len(leaves) - 1)
    scores = np.stack([{**background, **own}[leaf] for leaf in leaves.tolist()])
    others = (scores.argmax(0) != number) & inside
    scores[:, others] = np.minimum(scores[:, others], 0.9 * _SCORE)
    scores[number[others], others] = 1.1 * _SCORE
    return {"scores": torch.from_numpy(scores), "leaves": leaves.astype(np.uint8)}
