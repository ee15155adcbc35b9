"""What a classifier sees of each pixel: its unit vector, and the picture around it.

The embedding tells structures apart; what it was taught to ignore, such as the colour
of a lesion, is in the picture still.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.errors import ModelError, PromptError

VECTORS = "vectors"
WITH_PICTURE = "vectors, picture 1"
FEATURES = (VECTORS, WITH_PICTURE)
"""Names of the features there are, kept with what was learned from them."""

PICTURE_WEIGHT = 0.5
"""Of a picture's feature beside a vector's component, both standardised."""


def best_features(embedding: Embedding) -> str:
    """Return the name of the features that an embedding has."""
    return VECTORS if embedding.colour is None else WITH_PICTURE


def pixel_features(embedding: Embedding, name: str) -> tuple[Tensor, ...]:
    """Return the blocks, each (F, h·w) float32, of what a classifier sees.

    Named structures' presence was tried beside them and left out: a classifier that
    leans on it says what the model says already, and learns other structures worse.

    Raises
    ------
    ModelError
        If the embedding was made without the picture that the features need.
    PromptError
        If there are no features of this name.
    """
    if name not in FEATURES:
        raise PromptError(f"There are no features {name!r}: give one of {FEATURES}.")
    if name == VECTORS:
        return (embedding.matrix,)
    appearance = embedding.appearance
    if appearance is None:
        raise ModelError(
            "These classes were learned from the picture too, and this embedding was "
            "made without one: embed the image again."
        )
    return embedding.matrix, appearance.float()


def weights_of(name: str, components: int, count: int) -> NDArray[np.float64]:
    """Return what each of ``count`` features weighs; ``components`` are a vector's."""
    weights = np.ones(count)
    if name == WITH_PICTURE:
        weights[components:] = PICTURE_WEIGHT
    return weights
