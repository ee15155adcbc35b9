"""How large the network is to see an image: as large as its scale or its vessels tell.

The field of view has the working diameter in pixels whatever the camera's angle.  Where
the image's pixels have a length, it says what part of the retina is seen.  Else narrow
vessels tell a wide angle, which is looked at as much larger as makes up for it: how
narrow dark ridges are says at once how large the first look is to be, and the vessels
that the network finds there, whether another one is needed.  A narrow angle needs
none: wide vessels are found as well.  The optic disc says less: it is often taken for
larger or smaller than it is (docs/experiments.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
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

_NARROW, _NARROW_SEEN_CLOSER = 4.08, 3.71
"""Mean calibre, in pixels of 576, below which the angle is wide; the second of a look
at `WIDE_ANGLE`, which finds narrower ones."""

_FINE, _BROAD, _RIDGES, _NARROW_RIDGES = 1.5, 3.0, 0.05, 1.5
"""Widths of ridges in pixels of 576, the share of pixels that are the strongest broad
ones, and how many times as strong as fine ones they are, from which on the angle is
the usual one."""
_RIM = 16
"""Pixels of 576 next to the field of view's edge, which is a ridge itself."""

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


def first_look(colour: FloatImage, inside: Mask) -> float:
    """Return how large to see an image first: by how narrow its dark ridges are.

    Parameters
    ----------
    colour : ndarray
        (h, w, 3) float32 in [0, 1] on the working grid, at the usual size.
    inside : ndarray
        (h, w) bool, the field of view.

    Returns
    -------
    float
        1 or `WIDE_ANGLE`.
    """
    unit = max(inside.shape) / _REFERENCE_DIAMETER
    edge = ndimage.distance_transform_cdt(np.pad(inside, 1))[1:-1, 1:-1]
    deep = edge > _RIM * unit
    if not deep.any():
        return 1.0
    fine, broad = (_ridges(colour[..., 1], w * unit)[deep] for w in (_FINE, _BROAD))
    strongest = broad >= np.quantile(broad, 1 - _RIDGES)
    times = np.median(broad[strongest] / fine[strongest].clip(1e-5))
    return WIDE_ANGLE if times < _NARROW_RIDGES else 1.0


def _ridges(green: FloatImage, width: float) -> FloatImage:
    """Return how strong dark ridges are: the larger curvature, whatever the width."""
    hessian = hessian_matrix(green, width, use_gaussian_derivatives=False)
    larger: FloatImage = width**2 * hessian_matrix_eigvals(hessian)[0]
    return larger


def suggested(vessel: FloatImage, inside: Mask, seen_at: float = 1.0) -> float:
    """Return how large an image is to be seen, after a first look.

    Parameters
    ----------
    vessel : ndarray
        (h, w) float32 in [0, 1], the presence of vessels on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.
    seen_at : float
        Of the first look: 1 or `WIDE_ANGLE`.

    Returns
    -------
    float
        1 or `WIDE_ANGLE`.
    """
    width = calibre(vessel, inside)
    narrow = _NARROW if seen_at == 1 else _NARROW_SEEN_CLOSER
    return WIDE_ANGLE if width is not None and width < narrow else 1.0


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
