"""A named structure's probability → its mask, as tuned by hand."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.image.grid import FloatImage, Mask

STRUCTURE_THRESHOLD = 0.5
"""A structure's probability from which a pixel belongs to its mask (IPMI 2021)."""

_EVERY_SIDE = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class StructureOptions:
    """How a structure's probability becomes a mask; applied in this order.

    Attributes
    ----------
    threshold : float
        Probability from which a pixel belongs to it.
    bridge_gaps : int
        Pixels of the image: pieces that are no farther apart are joined, by a bridge
        as wide as the narrower of the two ends.
    fill_holes : bool
        Holes belong to it.
    minimum_size : int
        Pixels of the image below which a connected piece is left out.
    largest_only : bool
        Only the largest connected piece.
    """

    threshold: float = STRUCTURE_THRESHOLD
    bridge_gaps: int = 0
    fill_holes: bool = False
    minimum_size: int = 0
    largest_only: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not as by default, by name."""
        usual = vars(StructureOptions())
        mine = {name: vars(self)[name] for name in usual}
        return {name: value for name, value in mine.items() if value != usual[name]}

    def __str__(self) -> str:
        """Say what is not as by default, in words; empty if all is."""
        names = {name: name.replace("_", " ") for name in self.given}
        return ", ".join(
            words if self.given[name] is True else f"{words} {self.given[name]:g}"
            for name, words in names.items()
        )

    def check(self) -> None:
        """Raise a PromptError where they are impossible."""
        if not 0 <= self.threshold <= 1:
            raise PromptError(
                f"A threshold is between 0 and 1, not {self.threshold:g}."
            )
        if self.minimum_size < 0:
            raise PromptError(
                f"A piece cannot have {self.minimum_size} pixels: 0 keeps all."
            )
        if self.bridge_gaps < 0:
            raise PromptError(
                f"A gap cannot be {self.bridge_gaps} pixels wide: 0 bridges none."
            )


def structure_mask(probability: FloatImage, options: StructureOptions) -> Mask:
    """Make a mask of (H, W) probability; pieces are 8-connected.

    Raises
    ------
    PromptError
        If the options are impossible.
    """
    from .masks import without_small  # brings torch

    options.check()
    mask = np.asarray(probability >= options.threshold)
    if options.bridge_gaps:
        mask = bridge(mask, options.bridge_gaps)
    if options.fill_holes:
        mask = np.asarray(ndimage.binary_fill_holes(mask))
    if options.minimum_size > 1:
        mask = without_small(mask, options.minimum_size)
    return largest_piece(mask) if options.largest_only else mask


def largest_piece(mask: Mask) -> Mask:
    """Keep the largest 8-connected piece; of equal ones the first."""
    names, count = ndimage.label(mask, _EVERY_SIDE)
    if count < 2:
        return mask
    sizes = np.bincount(names.ravel())
    return np.asarray(names == 1 + sizes[1:].argmax())


def bridge(mask: Mask, gap: int) -> Mask:
    """Join pieces between which at most ``gap`` pixels are missing.

    Two pieces are joined once, where they are nearest to each other: by discs along the
    straight line, as wide as the narrower of the two ends.
    """
    result = mask.copy()
    names, count = ndimage.label(mask, _EVERY_SIDE)
    if count < 2:
        return result
    distance, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
    owner = names[nearest[0], nearest[1]]
    width = ndimage.distance_transform_edt(mask)
    for first, second in _nearest_ends(owner, nearest, distance, gap):
        radius = max(0.0, min(_radius(width, first), _radius(width, second)) - 0.5)
        steps = int(np.abs(np.subtract(second, first)).max())
        for share in np.linspace(0, 1, steps + 1):
            _disc(result, np.add(first, share * np.subtract(second, first)), radius)
    return result


def _nearest_ends(
    owner: NDArray[Any], nearest: NDArray[Any], distance: NDArray[Any], gap: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return, of every two pieces that are near enough, the nearest two pixels."""
    found = []
    near = distance <= gap / 2 + 1
    for axis in (0, 1):
        one = tuple(slice(None, -1) if at == axis else slice(None) for at in (0, 1))
        two = tuple(slice(1, None) if at == axis else slice(None) for at in (0, 1))
        at = (owner[one] != owner[two]) & near[one] & near[two]
        pairs = np.sort(np.stack([owner[one][at], owner[two][at]], 1), axis=1)
        ends = np.stack([nearest[:, *one][:, at].T, nearest[:, *two][:, at].T], 1)
        found.append(np.concatenate([pairs, ends.reshape(-1, 4)], 1))
    rows = np.concatenate(found).astype(np.int64)
    apart = np.hypot(rows[:, 2] - rows[:, 4], rows[:, 3] - rows[:, 5])
    rows, apart = rows[apart <= gap + 1], apart[apart <= gap + 1]
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    rows, apart = rows[order], apart[order]
    starts = np.flatnonzero(np.diff(rows[:, :2], axis=0, prepend=-1).any(1))
    chosen = []
    for pair in np.split(np.arange(len(rows)), starts[1:]):
        if not len(pair):
            continue  # there is no pair at all
        ends = rows[pair][apart[pair] < apart[pair].min() + 0.5, 2:]
        # Where two sides run along each other, in the middle
        middle = np.square(ends - ends.mean(0)).sum(1).argmin()
        a, b, c, d = ends[middle].tolist()
        chosen.append(((a, b), (c, d)))
    return chosen


_END = 3
"""Pixels around the end of a piece among which it is as wide as it is there."""


def _radius(width: NDArray[Any], end: tuple[int, int]) -> float:
    row, column = end
    rows = slice(max(0, row - _END), row + _END + 1)
    columns = slice(max(0, column - _END), column + _END + 1)
    return float(width[rows, columns].max())


def _disc(mask: Mask, middle: NDArray[Any], radius: float) -> None:
    row, column = np.rint(middle).astype(int).tolist()
    reach = int(radius)
    top, left = max(0, row - reach), max(0, column - reach)
    part = mask[top : row + reach + 1, left : column + reach + 1]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    part |= np.hypot(rows + top - row, columns + left - column) <= radius
