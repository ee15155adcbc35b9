"""What a classifier sees of each pixel: its unit vector, and the picture around it.

The embedding tells structures apart; what it was taught to ignore, such as the colour
of a lesion, is in the picture still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from .contrast import gaussian_blur, network_input, without_edge
from .errors import ModelError, PromptError

if TYPE_CHECKING:
    from torch import Tensor

    from .pixel_embedding import Embedding

VECTORS = "vectors"
WITH_PICTURE = "vectors, picture 1"
FEATURES = (VECTORS, WITH_PICTURE)
"""Names of the features there are, kept with what was learned from them."""

PICTURE_WEIGHT = 0.5
"""Of a picture's feature beside a vector's component, both standardised."""

WIDE_FRACTION = 1 / 45
"""Blur of the wide colour, as a fraction of the working diameter."""

EDGE_FRACTION = 1 / 180
"""Blur before the gradient is taken, likewise."""

RIDGE_FRACTIONS = (1 / 360, 1 / 120)
"""Blurs before ridges are looked for, likewise: narrow and wide vessels."""


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


@torch.no_grad()
def picture_features(colour: Tensor, inside: Tensor) -> Tensor:
    """Describe the picture around each pixel of the working grid.

    Parameters
    ----------
    colour : Tensor
        (3, h, w) RGB in [0, 1].
    inside : Tensor
        (h, w) float32, 1 inside the field of view and 0 outside.

    Returns
    -------
    Tensor
        (14, h·w) float32, 0 outside: locally normalised colour (3), smooth colour
        relative to the image at two scales (6), the gradient's magnitude (1), and
        the curvature across ridges that are darker and brighter than their
        surroundings at two scales (4), both of the locally normalised green.
    """
    shape = colour.shape[-2:]
    diameter = max(shape)
    rgb, seen = colour.float()[None], inside[None, None]
    near = network_input(rgb, seen, diameter)
    seen = without_edge(seen, diameter)
    weight = gaussian_blur(seen, diameter * WIDE_FRACTION) + 1e-3
    wide = gaussian_blur(near[:, 3:], diameter * WIDE_FRACTION) / weight * seen
    green = near[0, 1]
    planes = [_gradient(_blur(green, diameter * EDGE_FRACTION))]
    for fraction in RIDGE_FRACTIONS:
        planes += _curvatures(_blur(green, diameter * fraction), diameter * fraction)
    drawn = torch.stack(planes) * seen[0]
    return torch.cat([near[0], wide[0], drawn]).flatten(1)


def _blur(plane: Tensor, sigma: float) -> Tensor:
    return gaussian_blur(plane[None, None], sigma)[0, 0]


def _gradient(plane: Tensor) -> Tensor:
    down, right = torch.gradient(plane)
    return torch.hypot(down, right)


def _curvatures(plane: Tensor, sigma: float) -> list[Tensor]:
    """Return the larger and the smaller eigenvalue of the Hessian, times sigma²."""
    down, right = torch.gradient(plane)
    down_down, down_right = torch.gradient(down)
    right_right = torch.gradient(right, dim=1)[0]
    mean = (down_down + right_right) / 2
    spread = torch.hypot((down_down - right_right) / 2, down_right)
    return [(mean + spread) * sigma**2, (mean - spread) * sigma**2]


def on_grid(embedding: Embedding, points: NDArray[np.intp]) -> NDArray[np.intp]:
    """Map (k, 2) pixels of the image to indices of the nearest working pixels."""
    shape = embedding.grid.shape
    nearest = np.rint(embedding.grid.points_to_working(points)).astype(np.intp)
    nearest = np.clip(nearest, 0, np.array(shape) - 1)
    return np.asarray(nearest[:, 0] * shape[1] + nearest[:, 1])
