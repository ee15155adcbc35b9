"""Two graders of the same images: how well masks and measures agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.evaluation.agreement import dice
from napari_localdisc.core.measure.table import Row

Mask = NDArray[np.bool_]

LIMITS = 1.96
"""Standard deviations of the differences within which 95 % of them lie."""


class Distances(NamedTuple):
    """Between the outlines of two masks, in pixels.

    Attributes
    ----------
    mean : float
        From each pixel of either outline to the other outline, over both.
    far : float
        The 95th percentile of the same.
    """

    mean: float
    far: float


@dataclass(frozen=True)
class MaskAgreement:
    """How well two masks of a structure agree.

    Attributes
    ----------
    image, structure : str
        Of what.
    dice : float
        In [0, 1]; 1 where both are empty.
    distance, far_distance : float or None
        As of `Distances`; None where one of the masks is empty.
    first, second : int
        Pixels of each.
    """

    image: str
    structure: str
    dice: float
    distance: float | None
    far_distance: float | None
    first: int
    second: int


def compare_masks(
    image: str, first: Mapping[str, Mask], second: Mapping[str, Mask]
) -> list[MaskAgreement]:
    """Compare the masks of an image, structure by structure.

    Parameters
    ----------
    image : str
        What it is called.
    first, second : mapping of str to ndarray
        (H, W) bool by structure; a structure that one grader has not is empty there.

    Raises
    ------
    PromptError
        If masks differ in size.
    """
    shapes = {mask.shape for masks in (first, second) for mask in masks.values()}
    if len(shapes) > 1:
        sizes = " and ".join(sorted("×".join(map(str, shape)) for shape in shapes))
        raise PromptError(
            f"The masks of {image!r} differ in size ({sizes}): both graders must look "
            "at the same picture."
        )
    found = []
    for name in dict.fromkeys((*first, *second)):
        nothing = np.zeros(next(iter(shapes)), bool)
        one, other = first.get(name, nothing), second.get(name, nothing)
        apart = surface_distances(one, other)
        found.append(
            MaskAgreement(
                image,
                name,
                dice(one, other),
                None if apart is None else apart.mean,
                None if apart is None else apart.far,
                int(np.count_nonzero(one)),
                int(np.count_nonzero(other)),
            )
        )
    return found


def surface_distances(first: Mask, second: Mask) -> Distances | None:
    """Measure how far two outlines are apart.

    The outline of a mask are its pixels that touch, by a side, one outside it; the
    border of the image is outside.

    Parameters
    ----------
    first, second : ndarray
        (H, W) bool, of one shape.

    Returns
    -------
    Distances or None
        In pixels, between their centres; None where one is empty.
    """
    (box,) = ndimage.find_objects((first | second).view(np.uint8), 1) or [None]
    if box is None or not first.any() or not second.any():
        return None
    one, other = (_outline(mask[box]) for mask in (first, second))
    steps = np.concatenate(
        [
            ndimage.distance_transform_edt(~other)[one],
            ndimage.distance_transform_edt(~one)[other],
        ]
    )
    return Distances(float(steps.mean()), float(np.percentile(steps, 95)))


def _outline(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


class Pair(NamedTuple):
    """One value as two graders have it."""

    image: str
    first: float
    second: float


@dataclass(frozen=True)
class BlandAltman:
    """Two graders' values of one measure.

    Attributes
    ----------
    structure, region, measure, unit : str
        What was measured.
    pairs : tuple of Pair
        Of the images that both have a value of.
    """

    structure: str
    region: str
    measure: str
    unit: str
    pairs: tuple[Pair, ...]

    @property
    def title(self) -> str:
        """What was measured, in words."""
        where = f", {self.region}" if self.region else ""
        return f"{self.structure}: {self.measure}{where}"

    @property
    def means(self) -> NDArray[np.float64]:
        """(n,) mean of both."""
        return np.array([(pair.first + pair.second) / 2 for pair in self.pairs])

    @property
    def differences(self) -> NDArray[np.float64]:
        """(n,) first minus second."""
        return np.array([pair.first - pair.second for pair in self.pairs])

    @property
    def bias(self) -> float:
        """Mean of the differences."""
        return float(self.differences.mean())

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the differences; None of fewer than two."""
        if len(self.pairs) < 2:
            return None
        return float(self.differences.std(ddof=1))

    @property
    def limits(self) -> tuple[float, float] | None:
        """Limits of agreement: bias ± 1.96 standard deviations (Bland, Altman 1986)."""
        if self.deviation is None:
            return None
        reach = LIMITS * self.deviation
        return self.bias - reach, self.bias + reach


def compare_measures(first: Iterable[Row], second: Iterable[Row]) -> list[BlandAltman]:
    """Pair two graders' values of each measure that both have.

    Pieces are left out: no two graders number them alike.

    Parameters
    ----------
    first, second : iterable of Row
        From `measure`, of any number of images.

    Returns
    -------
    list of BlandAltman
        In the order of the first table.
    """
    known = {_key(row): row.value for row in second if _counts(row)}
    pairs: dict[tuple[str, str, str, str], list[Pair]] = {}
    for row in first:
        value = known.get(_key(row))
        if _counts(row) and value is not None and row.value is not None:
            measure = row.structure, row.region, row.measure, row.unit
            pairs.setdefault(measure, []).append(Pair(row.image, row.value, value))
    return [BlandAltman(*key, tuple(own)) for key, own in pairs.items()]


def _key(row: Row) -> tuple[str, ...]:
    return row.image, row.structure, row.region, row.measure, row.unit


def _counts(row: Row) -> bool:
    return row.piece is None and row.value is not None
