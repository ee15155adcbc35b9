"""The connected pieces of a mask: found, cut in two, joined."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.image.grid import FloatImage, Mask

from .tuning import bridge

_EVERY_SIDE = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Piece:
    """An 8-connected piece of a mask.

    Attributes
    ----------
    number : int
        In the (H, W) array of pieces; from 1 on, the largest first.
    pixels : int
        Its size.
    point : tuple of float
        (row, column) of the pixel of it that is nearest to its middle.
    similarity : float or None
        Mean over it of what it was found by, in [0, 1]; None: not known.
    """

    number: int
    pixels: int
    point: tuple[float, float]
    similarity: float | None = None


def find_pieces(
    mask: Mask, similarity: FloatImage | None = None, most: int | None = None
) -> tuple[NDArray[np.int32], list[Piece]]:
    """Find the pieces of an (H, W) mask, the largest first.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool.
    similarity : ndarray, optional
        (H, W) in [0, 1]: what the mask was cut out of.
    most : int, optional
        How many to find; smaller ones are left out.

    Returns
    -------
    numbers : ndarray
        (H, W) int32: the number of the piece, 0 where there is none.
    pieces : list of Piece
        In the order of their numbers.
    """
    found, count = ndimage.label(mask, _EVERY_SIDE)
    sizes = np.bincount(found.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable")[:most]
    renumbered = np.zeros(count + 1, np.int32)
    renumbered[1 + order] = np.arange(1, len(order) + 1)
    numbers = renumbered[found]
    pieces = []
    for number, box in enumerate(ndimage.find_objects(numbers), 1):
        inside = numbers[box] == number
        points = np.argwhere(inside)
        middle = points[np.square(points - points.mean(0)).sum(1).argmin()]
        row, column = np.add(middle, [box[0].start, box[1].start]).tolist()
        mean = None if similarity is None else float(similarity[box][inside].mean())
        point = float(row), float(column)
        pieces.append(Piece(number, len(points), point, mean))
    return numbers, pieces


def cut_in_two(piece: Mask) -> Mask:
    """Return the pixels to take away so that a piece falls apart where it is narrow.

    Raises
    ------
    PromptError
        If it is narrow nowhere.
    """
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    (box,) = ndimage.find_objects(np.pad(piece, 1).view(np.uint8), 1)
    part = np.pad(piece, 1)[box[0].start - 1 : box[0].stop + 1, :]
    part = part[:, box[1].start - 1 : box[1].stop + 1]
    depth = ndimage.distance_transform_edt(part)
    smooth = ndimage.gaussian_filter(depth, 1) * part
    peaks = peak_local_max(smooth, labels=part.astype(int), exclude_border=False)
    cut = np.zeros_like(piece)
    if len(peaks) < 2:
        raise PromptError("This piece is narrow nowhere: rub out where it is to part.")
    markers = np.zeros(part.shape, int)
    markers[tuple(peaks.T)] = 1 + np.arange(len(peaks))
    areas = watershed(-smooth, markers, np.ones((3, 3)), mask=part)
    first, second = _narrowest(areas, smooth)
    apart = watershed(
        -smooth,
        _two_sides(areas, first, second),
        np.ones((3, 3)),
        mask=part,
        watershed_line=True,
    )
    line = part & (apart == 0)
    if ndimage.label(part & ~line, _EVERY_SIDE)[1] < 2:
        raise PromptError("This piece is narrow nowhere: rub out where it is to part.")
    top, left = box[0].start - 1, box[1].start - 1
    rows, columns = np.nonzero(line)
    cut[rows + top - 1, columns + left - 1] = True
    return cut


def _narrowest(areas: NDArray[np.int_], depth: FloatImage) -> tuple[int, int]:
    """Return two neighbouring areas with the narrowest neck for their own width."""
    best, chosen = np.inf, (1, 2)
    widths = ndimage.maximum(depth, areas, np.arange(1, areas.max() + 1))
    for axis in (0, 1):
        one = tuple(slice(None, -1) if at == axis else slice(None) for at in (0, 1))
        two = tuple(slice(1, None) if at == axis else slice(None) for at in (0, 1))
        meet = (areas[one] != areas[two]) & (areas[one] > 0) & (areas[two] > 0)
        pairs = np.sort(np.stack([areas[one][meet], areas[two][meet]], 1), axis=1)
        necks = np.minimum(depth[one][meet], depth[two][meet])
        for pair in np.unique(pairs, axis=0):
            neck = necks[(pairs == pair).all(1)].max()
            share = neck / min(widths[pair[0] - 1], widths[pair[1] - 1])
            if share < best:
                best, chosen = float(share), (int(pair[0]), int(pair[1]))
    return chosen


def _two_sides(areas: NDArray[np.int_], first: int, second: int) -> NDArray[np.int_]:
    """Return markers of the two sides of the neck between two areas."""
    markers = np.zeros_like(areas)
    for side, area in enumerate((first, second), 1):
        inner = ndimage.binary_erosion(areas == area, iterations=1)
        markers[inner if inner.any() else areas == area] = side
    return markers


def join(mask: Mask) -> Mask:
    """Join all pieces of a mask; see `bridge`."""
    return bridge(mask, int(np.hypot(*mask.shape)))
