"""Lesions as whole pieces of the picture, of which the network is sure of a part.

It is surest in a lesion's middle.  Pieces that stand out from their background say how
far one goes: how much, how sure, and how far is chosen for each kind
(docs/experiments.md).  Exudates that a network found without labels are told in another
way: see ``exudates``.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_localdisc.core.image.grid import FloatImage, Mask
from napari_localdisc.core.names import brightness

from .spots import Contrast


@dataclass(frozen=True)
class Completion:
    """How lesions are shown as whole pieces of the picture; see `whole`.

    Attributes
    ----------
    is_bright : bool
        Whether they are brighter than what surrounds them.
    stands_out : float
        Deviations of noise that a piece stands out by.
    presence : float
        What confirms a piece.
    near : int
        Pixels from there that count.
    """

    is_bright: bool
    stands_out: float
    presence: float
    near: int


_COMPLETIONS = {
    "hard exudate": Completion(True, 1.5, 0.5, 4),
    "microaneurysm": Completion(False, 1.0, 0.03, 2),
}
_BRIGHT, _DARK = Completion(True, 2.0, 0.05, 8), Completion(False, 1.0, 0.03, 4)


def completion(name: str) -> Completion | None:
    """Return how a structure is completed by the picture; None: it is no lesion."""
    is_bright = brightness(name)
    if is_bright is None:
        return None
    return _COMPLETIONS.get(name, _BRIGHT if is_bright else _DARK)


def whole(contrast: Contrast, presence: FloatImage, how: Completion) -> FloatImage:
    """Return the presence of lesions, completed by the picture.

    Of a piece of the picture that stands out, and that the network believes to be one
    somewhere, all that is near counts: presence there is half of what it was, plus a
    half.

    Parameters
    ----------
    contrast : Contrast
        Of the picture, on the working grid.
    presence : ndarray
        (h, w) float32 in [0, 1].
    how : Completion
        Of the kind of lesion.

    Returns
    -------
    ndarray
        (h, w) float32 in [0, 1].
    """
    stands_out = (contrast.raw if how.is_bright else -contrast.smooth) > how.stands_out
    if not how.is_bright:  # what is thin is a vessel
        stands_out = ndimage.binary_opening(stands_out)
    found = _confirmed(stands_out, presence, how.presence, how.near) & contrast.inside
    return np.where(found, 0.5 + presence / 2, presence).astype(np.float32)


def _confirmed(pieces: Mask, presence: FloatImage, least: float, near: int) -> Mask:
    """Keep of pieces what lies so near to where presence exceeds ``least`` in them."""
    names, count = ndimage.label(pieces)
    most = ndimage.maximum(presence, names, np.arange(count + 1))
    confirmed = np.asarray(most) > least
    confirmed[0] = False
    around = ndimage.binary_dilation(presence > least, iterations=near)
    return np.asarray(confirmed[names] & around)
