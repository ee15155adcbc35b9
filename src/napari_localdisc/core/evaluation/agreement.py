"""How well a map or a mask agrees with a reference mask."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import rankdata

Mask = NDArray[np.bool_]


def dice(predicted: Mask, reference: Mask) -> float:
    """Dice coefficient 2|A∩B| / (|A| + |B|) of two masks of one shape.

    Parameters
    ----------
    predicted, reference : ndarray
        bool, of one shape; for the Dice within a field of view pass only its pixels.

    Returns
    -------
    float
        In [0, 1]; 1 where both are empty.
    """
    total = np.count_nonzero(predicted) + np.count_nonzero(reference)
    if total == 0:
        return 1.0
    return 2 * np.count_nonzero(predicted & reference) / total


def area_under_curve(score: NDArray[np.floating], reference: Mask) -> float:
    """Area under the ROC curve: chance that a pixel inside scores above one outside.

    Computed from ranks (Mann–Whitney), so that ties count a half.

    Parameters
    ----------
    score : ndarray
        Real values, higher where the structure is thought to be.
    reference : ndarray
        bool, same shape.

    Returns
    -------
    float
        In [0, 1]; NaN where the reference is all true or all false.
    """
    inside = np.count_nonzero(reference)
    outside = reference.size - inside
    if inside == 0 or outside == 0:
        return float("nan")
    ranks = rankdata(score.ravel())
    above = float(ranks[reference.ravel()].sum()) - inside * (inside + 1) / 2
    return above / (inside * outside)


def area_under_precision(score: NDArray[np.floating], reference: Mask) -> float:
    """Area under the curve of precision over recall, as average precision.

    Parameters are as of `area_under_curve`; NaN where the reference is all false.
    """
    from sklearn.metrics import average_precision_score  # takes a second to import

    if not reference.any():
        return float("nan")
    return float(average_precision_score(reference.ravel(), score.ravel()))


def dice_by_threshold(
    score: NDArray[np.floating],
    reference: Mask,
    thresholds: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Dice of ``score >= t`` for every t of ``thresholds`` (ascending).

    Parameters
    ----------
    score : ndarray
        Real values.
    reference : ndarray
        bool, same shape.
    thresholds : ndarray
        (T,) ascending.

    Returns
    -------
    ndarray
        (T,) float64.
    """
    passed = np.searchsorted(thresholds, score.ravel(), side="right")
    flat = reference.ravel()
    bins = len(thresholds) + 1
    marked = _at_least(np.bincount(passed, minlength=bins))
    hit = _at_least(np.bincount(passed[flat], minlength=bins))
    total = marked + np.count_nonzero(flat)
    return _dice(hit, total)


def _dice(hit: NDArray[Any], total: NDArray[Any]) -> NDArray[np.float64]:
    values = np.ones(hit.shape)
    np.divide(2 * hit, total, out=values, where=total > 0)
    return values


def _at_least(counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """Pixels that pass the first, second, … threshold, from counts per bin."""
    passing: NDArray[np.intp] = counts[::-1].cumsum()[::-1][1:]
    return passing


def pair_dice(labels: NDArray[np.integer], reference: Mask, n: int) -> NDArray:  # type: ignore[type-arg]
    """Dice of every union of two of ``n`` labels with the reference.

    Parameters
    ----------
    labels : ndarray
        int, 1..n; pixels labelled 0 are in no cluster.
    reference : ndarray
        bool, same shape.
    n : int
        Number of labels.

    Returns
    -------
    ndarray
        (n, n) float64, symmetric: entry (i, j) for the labels i+1 and j+1; on the
        diagonal the Dice of one label.
    """
    flat = labels.ravel()
    area = np.bincount(flat, minlength=n + 1)[1 : n + 1].astype(float)
    hit = np.bincount(flat[reference.ravel()], minlength=n + 1)[1 : n + 1].astype(float)
    union_area = area[:, None] + area[None, :]
    union_hit = hit[:, None] + hit[None, :]
    np.fill_diagonal(union_area, area)
    np.fill_diagonal(union_hit, hit)
    total = union_area + np.count_nonzero(reference)
    return _dice(union_hit, total)


def most_interior_pixel(region: Mask) -> tuple[int, int]:
    """Pixel of a region that is farthest from everything outside it.

    The border of the image counts as outside.  Of equally interior pixels the one
    nearest to the region's centre of mass is taken.

    Parameters
    ----------
    region : ndarray
        (H, W) bool with at least one true pixel.

    Returns
    -------
    tuple of int
        (row, column).

    Raises
    ------
    ValueError
        If the region is empty.
    """
    (box,) = ndimage.find_objects(region.view(np.uint8), 1)
    if box is None:
        raise ValueError("An empty region has no interior pixel.")
    cropped = region[box]
    depth = ndimage.distance_transform_edt(np.pad(cropped, 1))[1:-1, 1:-1]
    deepest = np.argwhere(depth == depth.max())
    centre = np.argwhere(cropped).mean(axis=0)
    row, column = deepest[np.square(deepest - centre).sum(axis=1).argmin()]
    return int(row) + box[0].start, int(column) + box[1].start


def largest_region(wrong: Mask) -> Mask | None:
    """Largest connected region (8 neighbours) of a mask; None where it is empty."""
    names, count = ndimage.label(wrong, structure=np.ones((3, 3), dtype=bool))
    if count == 0:
        return None
    areas = np.bincount(names.ravel())
    areas[0] = 0
    largest: Mask = names == areas.argmax()
    return largest
