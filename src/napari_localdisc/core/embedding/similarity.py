"""Prompts → similarity → mask, at the cost of one pass over the embedding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from torch import Tensor

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.image.grid import FloatImage, Mask

_BINS = 256
_LEAST_CUT, _HALF = 0.01, 0.5

_AS_NEAR = 0.45
"""Likeness, with negative prompts, that stays whatever the threshold is: a little less
than that of what equals both kinds."""

_EVERYWHERE = slice(None)


def check_points(points: ArrayLike, field_of_view: Mask) -> NDArray[np.float64]:
    """Return points as (k, 2) float64.

    Parameters
    ----------
    points : array_like
        (k, 2) (row, column) in the image's pixels, or one (row, column), or nothing.
    field_of_view : ndarray
        (H, W) bool.

    Raises
    ------
    PromptError
        If they are no such points, or one lies outside the image or field of view.
    """
    try:
        checked = np.atleast_2d(np.asarray(points, float))
    except (TypeError, ValueError):
        checked = np.zeros((1, 0))
        if not _is_empty(points):
            raise PromptError(_not_points(points)) from None
    if checked.size == 0:
        return np.zeros((0, 2))
    if checked.ndim != 2 or checked.shape[1] != 2 or not np.isfinite(checked).all():
        raise PromptError(_not_points(points))
    pixels = np.rint(checked)
    height, width = field_of_view.shape
    for (y, x), (row, column) in zip(checked, pixels, strict=True):
        place = f"The point (y={y:g}, x={x:g}) lies outside the"
        if not (0 <= row < height and 0 <= column < width):
            raise PromptError(
                f"{place} image of {height}×{width} pixels: choose one inside it."
            )
        if not field_of_view[int(row), int(column)]:
            raise PromptError(f"{place} field of view: choose one inside it.")
    return checked


def check_prompts(
    positive: ArrayLike, negative: ArrayLike, field_of_view: Mask
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positive and negative points, each checked by `check_points`.

    Raises
    ------
    PromptError
        As `check_points`, or if there is no positive point.
    """
    require_positive(positive)
    return check_points(positive, field_of_view), check_points(negative, field_of_view)


def _not_points(points: ArrayLike) -> str:
    return f"Points are (row, column) pairs of finite numbers, not {points!r:.80}."


def _is_empty(points: ArrayLike) -> bool:
    return np.size(np.asarray(points, object)) == 0


def require_positive(points: ArrayLike) -> None:
    """Raise a PromptError where there is no positive prompt."""
    if _is_empty(points):
        raise PromptError("Give at least one positive point to compare the image with.")


def sample_vectors(
    matrix: Tensor, shape: tuple[int, int], points: NDArray[np.float64]
) -> FloatImage:
    """Interpolate (D, h·w) unit vectors at (k, 2) points of the (h, w) working grid.

    Points are clamped to its outermost pixels.  The result is (k, D) float32 unit
    vectors.
    """
    limits = np.array(shape) - 1
    clamped = np.clip(points, 0, limits)
    low = clamped.astype(np.intp)
    high = np.minimum(low + 1, limits)
    fraction = clamped - low
    rows, row_shares = (low, high), (1 - fraction, fraction)
    corners = [(a, b) for a in (0, 1) for b in (0, 1)]
    index = np.stack([rows[a][:, 0] * shape[1] + rows[b][:, 1] for a, b in corners])
    share = np.stack([row_shares[a][:, 0] * row_shares[b][:, 1] for a, b in corners])
    vectors = matrix[:, torch.from_numpy(index.ravel())].cpu().numpy()
    total = (vectors.reshape(len(matrix), *index.shape) * share).sum(1).T
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-12), np.float32)


@dataclass(frozen=True)
class Likeness:
    """Similarity to prompts: near a positive one, and nearer than the negative ones.

    With a the largest cosine to a positive and b the largest to a negative prompt, the
    similarity is exp((a - 1) / 0.2), without negative prompts, and that times
    sigmoid((a - b) / 0.1) with them.  So a pixel equal to a positive prompt has
    similarity 1, and a negative prompt takes away what is nearer to it and leaves
    what is far from it as it was.

    Attributes
    ----------
    positive, negative : sequence of Tensor
        (N,) float32, how near every pixel is to each prompt, see `nearness`; at least
        one positive.
    """

    positive: Sequence[Tensor]
    negative: Sequence[Tensor] = ()

    @torch.no_grad()
    def at(self, pixels: slice | Tensor = _EVERYWHERE) -> Tensor:
        """Compute it for a slice of the N pixels, or for chosen ones.

        It is float32, in [0, 1] but for rounding, and not to be changed.
        """
        likes = _largest(self.positive, pixels)
        if not self.negative:
            return likes
        # With p = exp((a - 1) / 0.2) and n likewise of b, 0.1 being half of 0.2, the
        # sigmoid is p² / (p² + n²)
        squared = likes * likes
        against = _largest(self.negative, pixels)
        total = torch.addcmul(squared, against, against)
        return squared.mul_(likes).div_(total)


def _largest(nearness: Sequence[Tensor], pixels: slice | Tensor) -> Tensor:
    first, *others = (values[pixels] for values in nearness)
    if not others:
        return first
    best = torch.maximum(first, others[0])
    for other in others[1:]:
        torch.maximum(best, other, out=best)
    return best


def cut_at_half(values: Tensor, cut: float) -> Tensor:
    """Bring values in [0, 1] that are cut somewhere to a scale where it is at 0.5."""
    cut = min(max(cut, _LEAST_CUT), 1 - _LEAST_CUT)
    odds = torch.add(
        values.new_tensor(cut / (1 - cut)), values, alpha=(1 - 2 * cut) / (1 - cut)
    )
    return torch.div(values, odds, out=odds)


@torch.no_grad()
def alike_by_prompts(likeness: Likeness, few: Tensor) -> Tensor:
    """Compute what is like prompts, to be cut at a half, so that each is obeyed.

    A pixel is alike if its likeness to one positive and all negative clicks passes this
    positive click's own threshold.  So a negative click adds nothing, and a positive
    one on something that looks like half the picture does not find half the picture.

    Parameters
    ----------
    likeness : Likeness
        To the prompts, positive ones in the order in which they were made.
    few : Tensor
        Numbers of some ten thousand of the N pixels, which tell the thresholds: Otsu's
        of nearness to the click, or of that to all positive ones where it is higher.  A
        click after the first adds at most as much as was alike before it, as it
        corrects that.

    Returns
    -------
    Tensor
        (N,) float32 in [0, 1].
    """
    against = _largest(likeness.negative, _EVERYWHERE) if likeness.negative else None
    common = otsu_threshold(_largest(likeness.positive, few).cpu().numpy())
    found, alike = None, None
    for near in likeness.positive:
        seen = near[few].cpu().numpy()
        cut = max(otsu_threshold(seen), common)
        if alike is not None:
            most = max(1, int(alike.sum()))
            cut = max(cut, float(np.partition(seen, -most)[-most]))
        values = cut_at_half(near, cut)
        if against is not None:
            # Where all looks alike, as to a network that has learned little, what is as
            # near to both stays
            left = cut_at_half(_less(near, against), min(cut, _AS_NEAR))
            values = torch.minimum(values, left)
        here = values[few].cpu().numpy() >= _HALF
        alike = here if alike is None else alike | here
        found = values if found is None else torch.maximum(found, values, out=found)
    assert found is not None
    return found


def _less(near: Tensor, against: Tensor) -> Tensor:
    """Take from nearness to one vector what is nearer to others; see `Likeness`."""
    squared = near.square()
    total = torch.addcmul(squared, against, against)
    return squared.mul_(near).div_(total)


def as_rows(vectors: ArrayLike, dim: int) -> FloatImage:
    """Return vectors as (k, D) float32.

    Raises
    ------
    PromptError
        If they are not of dimension ``dim``.
    """
    rows = np.atleast_2d(np.asarray(vectors, np.float32))
    if rows.size == 0:
        return np.zeros((0, dim), np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise PromptError(
            f"These vectors have {rows.shape[-1]} components and the image's have "
            f"{dim}: they come from another model."
        )
    return np.ascontiguousarray(rows)


def values_at(values: NDArray[Any], points: ArrayLike) -> NDArray[Any]:
    """Return an (H, W) map's values at the pixels that hold (k, 2) points."""
    if _is_empty(points):
        return np.zeros(0, values.dtype)
    pixels = np.rint(np.atleast_2d(np.asarray(points, float))).astype(np.intp)
    return np.asarray(values[pixels[:, 0], pixels[:, 1]])


def moved_threshold(
    threshold: float, values: FloatImage, positive: ArrayLike, negative: ArrayLike
) -> float:
    """Move a threshold as little as needed for the prompts to come out right.

    Given are an (H, W) map of similarities and (k, 2) positive and negative prompts.
    Where a negative prompt is more similar than a positive one, the positive ones
    decide.
    """
    unwanted, wanted = values_at(values, negative), values_at(values, positive)
    if unwanted.size:
        threshold = max(threshold, float(np.nextafter(unwanted.max(), np.float32(2))))
    if wanted.size:
        threshold = min(threshold, float(wanted.min()))
    return threshold


def otsu_threshold(values: FloatImage) -> float:
    """Split values where the variance between the two parts is largest."""
    bins = np.minimum(values * np.float32(_BINS), _BINS - 1).astype(np.uint8)
    counts = np.bincount(bins, minlength=_BINS)
    filled = np.flatnonzero(counts)
    if len(filled) < 2:
        return float(values.min(initial=1))
    last_below = threshold_otsu(hist=(counts, np.arange(_BINS)))
    first_above = filled[np.searchsorted(filled, last_below, side="right")]
    # In the middle of the gap, where there is one
    return float(last_below + 1 + first_above) / 2 / _BINS


def connected_to(mask: Mask, points: ArrayLike) -> Mask:
    """Keep the 8-connected components of a mask that hold one of (k, 2) points."""
    names, _ = ndimage.label(mask, np.ones((3, 3), dtype=bool))
    wanted = np.unique(values_at(names, points))
    return np.asarray(np.isin(names, wanted[wanted > 0]))


SPREAD = 0.2
"""A pixel whose cosine to a vector is c is as near to it as exp((c - 1) / this).
The temperature of region discrimination."""

_BLOCK = 4096
"""Columns a matrix product handles at once: libraries read tall, thin matrices at the
speed of memory when they come in a batch of such blocks, and at half of it whole."""

_BLOCKS_IN_CACHE = 16
"""Blocks that several vectors are compared with before the next are read."""

_REMEMBERED = 12
"""Maps kept: one has as many numbers as the embedding has pixels."""


@torch.no_grad()
def nearness(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Compare every pixel of (D, N) unit vectors with (k, D) others.

    The result is (k, N) float32: exp((cosine - 1) / 0.2), in (0, 1] but for rounding.
    """
    count, pixels = len(vectors), matrix.shape[1]
    result = matrix.new_empty(count, pixels)
    queries = vectors / SPREAD
    whole = pixels // _BLOCK * _BLOCK if count else 0
    # One vector's cosines need not be copied to their places
    step = whole if count == 1 else _BLOCKS_IN_CACHE * _BLOCK
    for start in range(0, whole, step or 1):
        stop = min(start + step, whole)
        blocks = (stop - start) // _BLOCK
        part = matrix[:, start:stop].view(-1, blocks, _BLOCK).transpose(0, 1)
        batch = queries.expand(blocks, *queries.shape)
        out = result[:, start:stop].view(count, blocks, _BLOCK).transpose(0, 1)
        if count == 1:
            torch.bmm(batch, part, out=out)
        else:
            out.copy_(torch.bmm(batch, part).sub_(1 / SPREAD).exp_())
    if whole < pixels:
        torch.mm(queries, matrix[:, whole:], out=result[:, whole:])
    left = result if count == 1 else result[:, whole:]
    left.sub_(1 / SPREAD).exp_()
    return result


class RememberedNearness:
    """`nearness` that remembers the last few vectors.

    One more prompt costs one more pass, however many there are, and so does the one
    that follows the pointer beside prompts that stay.

    Parameters
    ----------
    matrix : Tensor
        (D, N) float32 unit vectors; must not change.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        # Replaced as a whole, never changed: threads may ask at the same time
        self._known: dict[bytes, Tensor] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the maps that it remembers."""
        return sum(values.nbytes for values in self._known.values())

    def __call__(self, vectors: FloatImage) -> list[Tensor]:
        """Return (N,) maps, one for each of (k, D) float32 vectors; not to be changed.

        Where a vector is given twice, so is its map.
        """
        keys = [row.tobytes() for row in vectors]
        known = dict(self._known)
        missing = {
            key: row for key, row in zip(keys, vectors, strict=True) if key not in known
        }
        if missing:
            queries = torch.from_numpy(np.stack(list(missing.values())))
            found = nearness(self.matrix, queries.to(self.matrix))
            known |= zip(missing, found, strict=True)
        # The latest last
        latest = {key: known.pop(key) for key in dict.fromkeys(keys)}
        kept = list((known | latest).items())[-_REMEMBERED:]
        self._known = dict(kept)
        return [latest[key] for key in keys]
