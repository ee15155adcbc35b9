"""What a model that was trained before says of lesions: a student learns it.

A photograph alone says little of faint lesions: candidates are rarely sure of them.
A model that learnt from candidates finds more, and its closer look most.  What that is
sure of becomes a mask to learn from, what it is not is unknown (noisy student, Xie et
al., CVPR 2020: the student sees the photographs changed, and smaller).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_localdisc.core.embedding.embed import map_clusters
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.priors.masks import UNKNOWN

_REACH = 3
"""Side of the square in which nothing is said to be none beside what may be one."""


@dataclass(frozen=True)
class _Belief:
    """From which probability on a lesion is sure, and below which there is none.

    Where ``alone`` the teacher says what is none; otherwise the candidates must, too.
    """

    sure: float
    none: float
    alone: bool = False


_BELIEFS = {
    "hard exudate": _Belief(0.7, 0.1, alone=True),
    "cotton wool spot": _Belief(0.6, 0.01),
    "haemorrhage": _Belief(0.6, 0.01),
    "microaneurysm": _Belief(0.7, 0.01),
}
"""Chosen by how many of what is found people call lesions, on odd images of IDRiD."""


class Teacher:
    """A model that says of photographs where lesions are.

    Parameters
    ----------
    model : Model
        One that knows some of the four kinds; it knows them without labels, too.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.kinds = tuple(k for k in _BELIEFS if k in model.card.structures)

    def looks_at(self, image: ArrayLike) -> dict[str, NDArray[np.float32]]:
        """Return the (h, w) probability of each kind on the usual working grid."""
        maps = map_clusters(image, self.model, magnification=1.0)
        return {k: maps.grid.to_working(maps.structure(k)) for k in self.kinds}


def taught(
    kind: str, candidates: NDArray[np.uint8], probability: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Say where lesions of a kind are, by candidates and by a teacher's map.

    Parameters
    ----------
    kind : str
        One of a teacher's.
    candidates : ndarray
        (h, w) uint8 as `candidate_map` returns it.
    probability : ndarray
        (h, w) float32 in [0, 1]: the teacher's.

    Returns
    -------
    ndarray
        (h, w) uint8: 255 the lesion, 0 not, 127 unknown.
    """
    belief = _BELIEFS[kind]
    none = ndimage.maximum_filter(probability, _REACH) < belief.none
    if not belief.alone:
        none &= candidates == 0
    said = np.where(none, 0, UNKNOWN).astype(np.uint8)
    said[probability >= belief.sure] = 255
    return said
