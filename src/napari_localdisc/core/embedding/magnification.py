"""How large the network is to see an image: as large as its vessels tell.

The field of view has the working diameter in pixels whatever the camera's angle.  Where
the vessels that the network finds are narrow on the whole, the angle is wide: a second
look is taken, as much larger as makes up for it.  A narrow angle needs none: wide
vessels are found as well.  The optic disc says less: it is often taken for larger or
smaller than it is (docs/experiments.md).
"""

from __future__ import annotations

import numpy as np
from skimage.morphology import skeletonize

from napari_localdisc.core.image.grid import FloatImage, Mask

WIDE_ANGLE = 4 / 3
"""The magnification for images of a wide angle, as 60° is to 45°."""

_NARROW = 4.25
"""Mean calibre, in pixels of 576, below which the angle is wide."""

_REFERENCE_DIAMETER = 576
_FEWEST = 1500
"""Pixels of centre lines from which they say something."""


def suggested(vessel: FloatImage, inside: Mask) -> float:
    """Return how much larger than it was an image is to be seen.

    Parameters
    ----------
    vessel : ndarray
        (h, w) float32 in [0, 1], the presence of vessels on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.

    Returns
    -------
    float
        1 or `WIDE_ANGLE`.
    """
    width = calibre(vessel, inside)
    return WIDE_ANGLE if width is not None and width < _NARROW else 1.0


def calibre(vessel: FloatImage, inside: Mask) -> float | None:
    """Return the mean width of vessels in pixels of 576; None where too few are seen.

    It is their presence by the length of their centre lines; parameters are as of
    `suggested`.
    """
    found = (vessel >= 0.5) & inside
    scale = _REFERENCE_DIAMETER / max(inside.shape)
    length = int(np.count_nonzero(skeletonize(found))) * scale
    if length < _FEWEST:
        return None
    return float(vessel[inside].sum() * scale**2 / length)
