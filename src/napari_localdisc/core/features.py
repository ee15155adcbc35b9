"""What a classifier sees of each pixel of the working grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from .pixel_embedding import Embedding

FEATURES = "vectors"
"""Name of the features, kept with what was learned from them."""


def pixel_features(embedding: Embedding) -> Tensor:
    """Return (F, h·w) float32 features, one column a pixel: the unit vectors.

    Named structures' presence was tried beside them and left out: a classifier that
    leans on it says what the model says already, and learns other structures worse.
    """
    return embedding.matrix


def on_grid(embedding: Embedding, points: NDArray[np.intp]) -> NDArray[np.intp]:
    """Map (k, 2) pixels of the image to indices of the nearest working pixels."""
    shape = embedding.grid.shape
    nearest = np.rint(embedding.grid.points_to_working(points)).astype(np.intp)
    nearest = np.clip(nearest, 0, np.array(shape) - 1)
    return np.asarray(nearest[:, 0] * shape[1] + nearest[:, 1])
