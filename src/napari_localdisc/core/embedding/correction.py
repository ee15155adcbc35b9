"""From what clicks mean to a map: the second and third step of reading them.

1. **Meaning**, see the module ``meaning``: a named structure, or likeness.
2. **Map.**  It is brought to a scale on which it is cut at 0.5.  (A concept that was
   saved earlier may mean several, whose maps are averaged by their weights.)
3. **Corrections.**  Where one of several clicks still disagrees, the map is moved in
   its neighbourhood, in space and on the hypersphere: the mean of a Gaussian process
   whose prior mean is the map's log odds.  Where single objects are meant, those under
   positive clicks are added, and pieces like those under negative ones taken away.

All on the working grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from .bright_pieces import Pieces
from .meaning import Clicks
from .similarity import Likeness

CUT = 0.5
"""Where a similarity that was read this way is cut."""

REACH, REACH_OF_OBJECTS, REACH_OF_PIECES = 0.05, 0.015, 0.004
"""Standard deviation of a correction's reach, as a part of the grid's longer side;
where single objects are meant; and where these are bright pieces, which clicks move
as such."""

_TO_BORDER, _TO_BORDER_OF_SINGLE, _LEAST_REACH = 0.7, 2.0, 2.0
"""Of a correction of something wide, or of what there is but one of: by how far the
click is from the map's border; and pixels."""

_AROUND, _MUCH_LARGER = 5.0, 2
"""How many times that reach of it a later click outlines something wide anew, and what
is how many times as large is something else."""

_HELD = 0.02
"""How far from the cut what lies about a click is at least."""

_MARGIN = 1.0
_NOISE = 0.02
_FLOOR = 0.02
_EXTENT = 3
"""A correction ends at this many standard deviations of its reach."""

_SURE, _GONE = 0.8, 0.2
"""What an object under a click becomes."""

_ALIKE, _MORE_ALIKE = 0.7, 4.0
"""Mean nearness of a piece to negative clicks, and how much more than to the first,
positive one, from which it goes with them."""

_LARGEST_PIECE = 300
"""Pixels of the working grid of a piece that goes as a whole."""

_LEAST_STRENGTH = 1e-3


@torch.no_grad()
def mix(
    likeness: Likeness | None,
    alike: Tensor | None,
    structures: Sequence[Tensor],
    weights: NDArray[np.float64],
    shape: tuple[int, int],
    clicks: Clicks | None = None,
    kind: Kind | None = None,
) -> Tensor:
    """Turn likeness to prompts into similarity to what is meant by them.

    Parameters
    ----------
    likeness : Likeness
        To the prompts; None where there is nothing to correct.
    alike : Tensor or None
        (h·w,) float32 in [0, 1], what is like the prompts, cut at 0.5; None where its
        weight is 0.
    structures : sequence of Tensor
        (h·w,) float32 in [0, 1] of each of K named structures, cut at 0.5.
    weights : ndarray
        (K + 1,) from `weigh`.
    shape : tuple of int
        (h, w) of the working grid, and of the result, which is to be cut at 0.5.
    clicks : Clicks, optional
        Those on this very image, the ones that ``likeness`` compares with, which
        correct the map around them.
    kind : Kind, optional
        Which objects are meant, if they are: those that lie under positive clicks
        belong to it, and pieces that are like negative ones do not.
    """
    maps = [*structures, alike]
    parts = [
        (weight, values)
        for weight, values in zip(weights.tolist(), maps, strict=True)
        if weight > 0 and values is not None
    ]
    mixed = _mixture(parts).view(shape)
    are_objects = kind is not None and not kind.is_single
    if clicks is not None and kind is not None and are_objects:
        add_objects(mixed, clicks, kind)
    if clicks is not None and likeness is not None and len(clicks.pixels) > 1:
        nearness = [*likeness.positive, *likeness.negative]
        reach = _reach(mixed, clicks, kind)
        strengths = _strengths(nearness, mixed, clicks, reach)
        _correct(mixed, nearness, clicks, strengths, reach)
        if kind is not None and are_objects:
            _remove_pieces(mixed, likeness, clicks)
            add_objects(mixed, clicks, kind)
    if clicks is not None:
        hold(mixed, clicks)
    return mixed.clamp_(0, 1)


class Kind(NamedTuple):
    """Which objects are meant.

    Attributes
    ----------
    bright : bool or None
        Whether they are brighter than their surroundings; None: either.
    pieces : Pieces or None
        Bright ones that clicks have moved as wholes already.
    largest : float
        Pixels of the working grid that one of them has at most.
    is_wide : bool
        Whether they are so wide that a click in one may correct its border.
    is_single : bool
        Whether there is but one, which is wide: nothing comes or goes but by its
        border.
    """

    bright: bool | None = None
    pieces: Pieces | None = None
    largest: float = math.inf
    is_wide: bool = False
    is_single: bool = False

    @property
    def reach(self) -> float:
        """How far a correction reaches, see `REACH`."""
        if self.is_single:
            return REACH
        return REACH_OF_OBJECTS if self.pieces is None else REACH_OF_PIECES


def add_objects(mixed: Tensor, clicks: Clicks, kind: Kind) -> None:
    """Let the objects under positive clicks belong to what is meant, in place.

    Where one that is wide holds an earlier click, a later one corrects its outline, and
    only near by; what is much larger than the objects before is none of them.
    """
    against = clicks.pixels[clicks.positives :]
    near = _AROUND * _reach(mixed, clicks, kind)
    largest = 0
    for number, spot in enumerate(clicks.spots):
        pixel = clicks.pixels[number]
        if spot is None or not spot.has_outline:
            continue
        known = kind.is_wide and any(map(spot.holds, clicks.pixels[:number]))
        if known and largest and spot.area > _MUCH_LARGER * largest:
            continue
        largest = max(largest, spot.area)
        if kind.pieces is not None and not kind.pieces.holds(spot, pixel):
            continue
        if spot.area > kind.largest:
            continue
        if kind.bright is None or kind.bright is spot.is_bright:
            kept = spot.without(
                against, pixel, float(near[number]) if known else math.inf
            )
            inside = torch.from_numpy(kept).to(mixed.device)
            window = mixed[spot.box]
            window[inside] = window[inside].clamp_min(_SURE)


def hold(mixed: Tensor, clicks: Clicks) -> None:
    """Let what lies between pixels about a click be on the click's side, in place.

    The cut would otherwise be moved for it, and with it every outline.
    """
    limits = np.array(mixed.shape) - 1
    places = clicks.pixels if clicks.places is None else clicks.places
    low = np.clip(np.floor(places), 0, limits).astype(np.intp)
    high = np.clip(np.ceil(places), 0, limits).astype(np.intp)
    for number in range(len(low) - 1, -1, -1):  # positive ones last
        rows = slice(low[number, 0], high[number, 0] + 1)
        columns = slice(low[number, 1], high[number, 1] + 1)
        if number < clicks.positives:
            mixed[rows, columns].clamp_(min=CUT + _HELD)
        else:
            mixed[rows, columns].clamp_(max=CUT - _HELD)


def _remove_pieces(mixed: Tensor, likeness: Likeness, clicks: Clicks) -> None:
    """Take away pieces that are like negative clicks and unlike the first one.

    In place, and no piece that holds a positive click.
    """
    if not likeness.negative:
        return
    values = mixed.cpu().numpy()
    names, count = ndimage.label(values >= CUT)
    rows, columns = clicks.pixels.T
    wanted = names[rows, columns][: clicks.positives]
    numbers = np.arange(count + 1)
    sizes = np.bincount(names.ravel(), minlength=count + 1)

    def mean(values: Tensor) -> NDArray[np.float64]:
        shown = values.view(mixed.shape).cpu().numpy()
        return np.asarray(ndimage.mean(shown, names, numbers))

    # One more positive click brings none of them back but what it lies on
    like = mean(likeness.positive[0])
    dislike = np.max([mean(values) for values in likeness.negative], 0)
    gone = (dislike > _ALIKE) & (dislike > _MORE_ALIKE * like)
    gone &= sizes <= _LARGEST_PIECE
    gone[wanted] = False
    gone[0] = False
    if gone.any():
        taken = torch.from_numpy(gone[names]).to(mixed.device)
        mixed[taken] = mixed[taken].clamp_max(_GONE)


def _mixture(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Average maps in [0, 1] by weight; new."""
    (weight, values), *others = parts
    total = values * weight
    for weight, values in others:
        total.add_(values, alpha=weight)
    return total


def _reach(mixed: Tensor, clicks: Clicks, kind: Kind | None) -> NDArray[np.float64]:
    """(k,) how far, in pixels, the correction of each click reaches."""
    most = (REACH if kind is None else kind.reach) * max(mixed.shape)
    if kind is None or not (kind.is_wide or kind.is_single):
        return np.full(len(clicks.pixels), most)
    # An error at a border is about as wide as a click in its middle is from the border
    share = _TO_BORDER_OF_SINGLE if kind.is_single else _TO_BORDER
    found = mixed.cpu().numpy() >= CUT
    room = math.ceil(most / share)
    # Without any border one is taken to be as far as corrections reach
    without = found.all() or not found.any()
    reaches = np.full(len(clicks.pixels), share * most if without else most)
    for number, pixel in enumerate(clicks.pixels.tolist()):
        box = tuple(slice(max(0, at - room), at + room + 1) for at in pixel)
        beyond = np.argwhere(found[box] != found[tuple(pixel)])
        if len(beyond):
            here = [at - part.start for at, part in zip(pixel, box, strict=True)]
            nearest = np.square(beyond - here).sum(1).min()
            reaches[number] = share * math.sqrt(nearest)
    return np.asarray(np.clip(reaches, _LEAST_REACH, most))


def _strengths(
    nearness: Sequence[Tensor],
    mixed: Tensor,
    clicks: Clicks,
    reach: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find what each click adds to the log odds so that all are right by a margin."""
    shape = mixed.shape
    rows, columns = torch.from_numpy(clicks.pixels.T)
    places = (rows * shape[1] + columns).to(nearness[0].device)
    before = mixed.reshape(-1)[places].clamp(_FLOOR, 1 - _FLOOR)
    now = torch.logit(before).cpu().numpy()
    signs = clicks.signs
    missing = signs * np.maximum(0, _MARGIN - signs * now)
    if not missing.any():
        return np.zeros(len(missing))
    near = torch.stack([values[places] for values in nearness], 1).cpu().numpy()
    points = clicks.pixels
    distance = np.square(points[:, None] - points[None]).sum(-1) / np.square(reach)
    kernel = np.minimum(near, 1) * np.exp(-distance / 2)
    return np.linalg.solve(kernel + _NOISE * np.eye(len(kernel)), missing)


def _correct(
    mixed: Tensor,
    nearness: Sequence[Tensor],
    clicks: Clicks,
    strengths: NDArray[np.float64],
    reach: NDArray[np.float64],
) -> None:
    """Add to the log odds around clicks, in place."""
    strong = abs(strengths) >= _LEAST_STRENGTH
    if not strong.any():
        return
    shape = mixed.shape
    extent = round(_EXTENT * float(reach[strong].max()))
    pixels = clicks.pixels[strong]
    top, left = np.maximum(pixels.min(0) - extent, 0).tolist()
    bottom, right = np.minimum(pixels.max(0) + extent + 1, shape).tolist()
    shift = mixed.new_zeros(bottom - top, right - left)
    away = torch.arange(-extent, extent + 1, device=mixed.device)
    for number in np.flatnonzero(strong).tolist():
        row, column = clicks.pixels[number].tolist()
        profile = torch.exp(-(away / float(reach[number])).square() / 2).to(mixed)
        decay = torch.outer(profile, profile)
        rows = slice(max(row - extent, 0), min(row + extent + 1, shape[0]))
        columns = slice(max(column - extent, 0), min(column + extent + 1, shape[1]))
        part = shift[_moved(rows, -top), _moved(columns, -left)]
        around = decay[_moved(rows, extent - row), _moved(columns, extent - column)]
        near = nearness[number].view(shape)[rows, columns]
        part.addcmul_(around, near, value=float(strengths[number]))
    reached = mixed[top:bottom, left:right]
    before = reached.clamp(_FLOOR, 1 - _FLOOR)
    # The odds are multiplied: no logarithm is needed
    raised = shift.exp_().mul_(before)
    rest = torch.sub(raised, before).add_(1)
    reached.add_(raised.div_(rest).sub_(before))


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
