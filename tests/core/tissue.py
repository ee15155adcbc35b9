"""An embedding whose tissue is known: a bar and two squares on a background."""

import numpy as np
import torch

from napari_localdisc.core.embedding.embedding import Embedding
from napari_localdisc.core.image.grid import WorkingGrid
from napari_localdisc.core.model.model import Model

D = 8
SHAPE = (120, 150)


def unit(vectors, axis=-1):
    return vectors / np.linalg.norm(vectors, axis=axis, keepdims=True)


def make_embedding() -> Embedding:
    """Three kinds of tissue: background, a bar of kind 1 and two squares of kind 2."""
    model = Model.random(embedding_dim=D, structures={"bar": 1, "square": 2})
    field_of_view = np.zeros(SHAPE, bool)
    field_of_view[10:110, 15:135] = True
    grid = WorkingGrid.around(field_of_view, 60)
    kind = np.zeros(grid.shape, int)
    kind[10:14, 5:55] = 1
    kind[25:35, 10:20] = 2
    kind[25:35, 40:50] = 2
    means = unit(np.random.default_rng(4).normal(size=(3, D)))
    noise = np.random.default_rng(5).normal(scale=0.05, size=(*grid.shape, D))
    vectors = unit(means[kind] + noise).astype(np.float32)
    matrix = torch.from_numpy(np.ascontiguousarray(vectors.reshape(-1, D).T))
    probability = torch.full((16, *grid.shape), 0.01)
    for channel in range(3):
        probability[channel][torch.from_numpy(kind == channel)] = 0.86
    return Embedding(
        matrix,
        probability,
        field_of_view,
        grid,
        model.card,
        model.centres,
        model.hash,
    )


def kind_mask(rows, columns):
    """The rectangle of working pixels, on the image's grid (2 image pixels each)."""
    mask = np.zeros(SHAPE, bool)
    mask[10 + 2 * rows.start : 10 + 2 * rows.stop][
        :, 15 + 2 * columns.start : 15 + 2 * columns.stop
    ] = True
    return mask


BAR = kind_mask(slice(10, 14), slice(5, 55))
LEFT = kind_mask(slice(25, 35), slice(10, 20))
RIGHT = kind_mask(slice(25, 35), slice(40, 50))
ON_BAR, ON_LEFT, ON_RIGHT = (33.6, 70.2), (70, 45), (70, 105)
BACKGROUND = (100, 20)
