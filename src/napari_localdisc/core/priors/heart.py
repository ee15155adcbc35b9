"""The heart said by the lungs: it fills what they leave free above the diaphragm.

Its sides are the lungs' inner borders, from a row between apex and diaphragm down to
the corners in which these borders meet the diaphragm; between the corners it sags a
little onto the diaphragm, where a radiograph shows no border.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from .lung_pair import Floats, LungPair, Mask, lung_pair
from .lungs import fit_lungs
from .masks import UNKNOWN, fitted_map

_TOP = 0.6
"""Where the heart begins below the apex, as a fraction of the lungs' height."""
_SAG, _ARCH = 0.12, 0.05
"""How far its lower border sags below the line between the corners and its upper one
arches above, as fractions of these borders' lengths."""


def heart_map(rgb: NDArray[np.float32], inside: Mask) -> NDArray[np.uint8]:
    """Return where the fitted lungs say that the heart is.

    Parameters and result are those of `lungs_map`.
    """
    fit = fit_lungs(rgb, inside)
    heart = heart_between(fit.mask)
    if heart is None:
        return np.full(inside.shape, UNKNOWN, np.uint8)
    return fitted_map(heart & inside, fit.is_doubtful)


def heart_between(lungs: Mask) -> Mask | None:
    """Return the heart between two lungs.

    Parameters
    ----------
    lungs : ndarray
        (h, w) bool, both lungs of a frontal radiograph.

    Returns
    -------
    ndarray or None
        (h, w) bool, nothing of it lung; None where there is no pair of lungs.
    """
    pair = lung_pair(lungs)
    if pair is None:
        return None
    top = pair.apex + _TOP * pair.height
    sides = _side(pair, 0, top), _side(pair, 1, top)
    if any(len(side) < 2 for side in sides):
        return None
    left, right = sides
    outline = np.concatenate(
        [
            left,
            _arc(pair.corners[0], pair.corners[1], _SAG),
            right[::-1],
            _arc(right[0], left[0], -_ARCH),
        ]
    )
    return np.asarray(polygon2mask(lungs.shape, outline) & ~lungs)


def _side(pair: LungPair, number: int, top: float) -> Floats:
    """Return (K, 2) places of a lung's inner border, from above to its corner."""
    lung = (pair.left, pair.right)[number]
    rows = np.arange(int(top), int(pair.corners[number, 0]) + 1)
    rows = rows[lung[rows].any(1)]
    if number:
        columns = lung[rows].argmax(1)
    else:
        columns = lung.shape[1] - 1 - lung[rows, ::-1].argmax(1)
    return np.stack([rows, columns], 1).astype(np.float64)


def _arc(start: Floats, end: Floats, sag: float) -> Floats:
    """Return (K, 2) places from start to end, so far below the line between them."""
    along = np.linspace(0, 1, 30)[:, None]
    line = start + (end - start) * along
    line[:, 0] += sag * np.hypot(*(end - start)) * 4 * (along * (1 - along))[:, 0]
    return np.asarray(line)
