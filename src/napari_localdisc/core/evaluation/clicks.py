"""A simulated user who clicks where the mask is most wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .agreement import dice, largest_region, most_interior_pixel

MOST_CLICKS = 10
REPORTED_CLICKS = (1, 3, 5, 10)

Mask = NDArray[np.bool_]
Point = tuple[int, int]


class Segmenter(Protocol):
    """What turns clicks into a mask: an `Embedding`, or a baseline."""

    def mask(self, positive: Sequence[Point], negative: Sequence[Point] = ()) -> Mask:
        """Return the (H, W) bool mask of clicks (row, column) in image pixels."""
        ...


@dataclass(frozen=True)
class Click:
    """One click of the simulated user.

    Attributes
    ----------
    point : tuple of int
        (row, column) in the image's pixels.
    is_positive : bool
        Whether the structure was missed there, not over-marked.
    dice : float
        Within the field of view, after this click.
    """

    point: Point
    is_positive: bool
    dice: float


def click_through(
    segmenter: Segmenter,
    reference: Mask,
    field_of_view: Mask,
    clicks: int = MOST_CLICKS,
) -> list[Click]:
    """Click a structure the way the protocol says and measure after each click.

    The first click is the reference's most interior pixel.  Each further click is the
    most interior pixel of the largest connected region that is wrong: positive where
    the structure was missed, negative where it was over-marked.

    Parameters
    ----------
    segmenter : Segmenter
        Asked for a mask with its automatic threshold after each click.
    reference : ndarray
        (H, W) bool: the structure.
    field_of_view : ndarray
        (H, W) bool: pixels that count, and that can be clicked.
    clicks : int
        At most so many.

    Returns
    -------
    list of Click
        ``clicks`` of them, fewer if the mask became perfect or a place was asked for
        twice (the mask did not follow the click, so more clicks change nothing).

    Raises
    ------
    ValueError
        If nothing of the reference is in the field of view.
    """
    wanted = reference & field_of_view
    point, is_positive = most_interior_pixel(wanted), True
    points: dict[bool, list[Point]] = {True: [], False: []}
    made: list[Click] = []
    while len(made) < clicks:
        points[is_positive].append(point)
        mask = segmenter.mask(points[True], points[False])
        score = dice(mask[field_of_view], wanted[field_of_view])
        made.append(Click(point, is_positive, score))
        wrong = _next_click(mask & field_of_view, wanted)
        if wrong is None:
            break
        point, is_positive = wrong
        if point in points[is_positive]:
            break
    return made


def _next_click(mask: Mask, wanted: Mask) -> tuple[Point, bool] | None:
    missed = largest_region(wanted & ~mask)
    extra = largest_region(mask & ~wanted)
    areas = [0 if r is None else np.count_nonzero(r) for r in (missed, extra)]
    region, is_positive = (missed, True) if areas[0] >= areas[1] else (extra, False)
    if region is None:
        return None
    return most_interior_pixel(region), is_positive


def dice_after(
    made: Sequence[Click], counts: Sequence[int] = REPORTED_CLICKS
) -> dict[int, float]:
    """Dice after so many clicks; the last one's where the user had stopped before."""
    return {count: made[min(count, len(made)) - 1].dice for count in counts}
