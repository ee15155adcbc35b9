"""What is done to a mask before it becomes labels: pieces chosen, outline rounded."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.image.grid import Mask

from .prompts import MaskOptions
from .similarity import connected_to

SMOOTHING = 0.75
"""Standard deviation of the Gaussian that rounds outlines, in working pixels: what is
narrower than the network can see goes, and thin vessels stay."""


def refine(
    mask: Mask, points: ArrayLike, options: MaskOptions, scale: tuple[float, float]
) -> Mask:
    """Round the outline of a mask and choose among its pieces, in this order.

    Pieces are 8-connected; connected ones hold one of (k, 2) points in pixels of the
    mask, each of which is ``scale`` pixels of the working grid.

    Raises
    ------
    PromptError
        If the minimum size is negative.
    """
    smallest = options.minimum_size
    if smallest < 0:
        raise PromptError(f"A piece cannot have {smallest} pixels: 0 keeps all.")
    if options.smooth:
        mask = smooth(mask, [SMOOTHING / side for side in scale])
    if options.connected:
        mask = connected_to(mask, points)
    return without_small(mask, smallest) if smallest > 1 else mask


def smooth(mask: Mask, sigma: Sequence[float]) -> Mask:
    """Round an outline: the mask is blurred by a Gaussian and cut at a half.

    Straight edges stay where they are; corners, spurs and holes that are small against
    ``sigma`` (rows, columns; in pixels) go.
    """
    result = np.zeros_like(mask)
    (found,) = ndimage.find_objects(mask.view(np.uint8), 1)
    if found is not None:
        rooms = [int(np.ceil(4 * side)) + 1 for side in sigma]
        box = tuple(
            slice(max(0, part.start - room), part.stop + room)
            for part, room in zip(found, rooms, strict=True)
        )
        blurred = ndimage.gaussian_filter(
            mask[box].astype(np.float32), sigma, mode="nearest"
        )
        result[box] = blurred >= 0.5
    return result


def without_small(mask: Mask, minimum_size: int) -> Mask:
    """Leave out 8-connected pieces of fewer pixels than ``minimum_size``."""
    names, _ = ndimage.label(mask, np.ones((3, 3), dtype=bool))
    large = np.bincount(names.ravel()) >= minimum_size
    large[0] = False
    return np.asarray(large[names])
