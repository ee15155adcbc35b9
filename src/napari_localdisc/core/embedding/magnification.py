"""How large the network is to see an image: as large as its scale or its vessels tell.

The field of view has the working diameter in pixels whatever the camera's angle.  Where
the image's pixels have a length, it says what part of the retina is seen.  Else, where
the vessels that the network finds are narrow on the whole, the angle is wide: a second
look is taken, as much larger as makes up for it.  A narrow angle needs none: wide
vessels are found as well.  The optic disc says less: it is often taken for larger or
smaller than it is (docs/experiments.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from skimage.morphology import skeletonize

from napari_localdisc.core.image.field_of_view import find_field_of_view
from napari_localdisc.core.image.grid import FloatImage, Mask
from napari_localdisc.core.image.working import as_rgb
from napari_localdisc.core.model.card import ModelCard

WIDE_ANGLE = 4 / 3
"""The magnification for images of a wide angle, as 60° is to 45°."""

USUAL_FIELD = 13.0
"""Millimetres of retina that a field of view of 45° shows, at 0.29 mm a degree
(Drasdo and Fowler, 1974)."""

_FIELDS = 3.0, 40.0
"""Millimetres of retina that an image may show; a scanner's or printer's resolution
says other lengths."""

_CLOSEST = 2.0

_NARROW = 4.25
"""Mean calibre, in pixels of 576, below which the angle is wide."""

_REFERENCE_DIAMETER = 576
_FEWEST = 1500
"""Pixels of centre lines from which they say something."""


def magnification_by_scale(
    image: ArrayLike, card: ModelCard, millimetres: float | None
) -> float | None:
    """Return how much larger than usual an image is to be seen, by its pixels' length.

    Parameters
    ----------
    image : array_like
        As for `embed`.
    card : ModelCard
        Of the model that is to see it.
    millimetres : float or None
        Height and width of a pixel; None: not known.

    Returns
    -------
    float or None
        From 1, up to a field of view of `USUAL_FIELD`, to 2.  None where the length
        says nothing: where it is not known, of models that know no vessels, and where
        it would make the field of view anything but a part of a retina.

    Raises
    ------
    ImageError
        If the image cannot be used; the message says why.
    """
    if millimetres is None or "vessel" not in card.structures or not millimetres > 0:
        return None
    inside = find_field_of_view(as_rgb(image), card.modality)
    return magnification_by_field(inside, card, millimetres)


def magnification_by_field(
    inside: Mask, card: ModelCard, millimetres: float | None
) -> float | None:
    """Return the same as `magnification_by_scale`, of an (H, W) bool field of view."""
    if millimetres is None or "vessel" not in card.structures or not millimetres > 0:
        return None
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    field = millimetres * max(np.ptp(rows) + 1, np.ptp(columns) + 1)
    if not _FIELDS[0] <= field <= _FIELDS[1]:
        return None
    return float(np.clip(round(field / USUAL_FIELD, 2), 1, _CLOSEST))


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
