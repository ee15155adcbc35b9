"""Structures that a model's card names: the two read-outs of the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from .errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from .grid import FloatImage, Mask, WorkingGrid
    from .models import ModelCard

MARGIN = 6 / 540
"""Outermost part of the field of view's diameter that structures leave out: there the
network sees the edge itself."""

TEMPERATURE = 0.2
"""Of the softmax over cosines to region embeddings, as in region discrimination."""

_CHUNK = 1 << 16


def channel(card: ModelCard, name: str) -> int:
    """Return the cluster that shows a structure.

    Raises
    ------
    ModelError
        If the card does not name the structure.
    """
    if name not in card.structures:
        known = ", ".join(repr(known) for known in card.structures) or "no structure"
        raise ModelError(
            f"The model {card.name!r} knows no structure {name!r}; its card names "
            f"{known}."
        )
    return card.structures[name]


@torch.no_grad()
def nearest_region(matrix: Tensor, regions: FloatImage, channel: int) -> Tensor:
    """Softmax over cosines / 0.2 to the region embeddings (IPMI 2021, section 2.3).

    Parameters
    ----------
    matrix : Tensor
        (D, N) float32 unit vectors.
    regions : ndarray
        (M, D) float32 unit vectors.
    channel : int
        The region asked for.

    Returns
    -------
    Tensor
        (N,) float32 in [0, 1].
    """
    queries = torch.from_numpy(regions).to(matrix)
    pieces = [
        (queries @ matrix[:, start : start + _CHUNK])
        .div_(TEMPERATURE)
        .softmax(0)[channel]
        for start in range(0, matrix.shape[1], _CHUNK)
    ]
    return torch.cat(pieces)


def interior(inside: Mask, grid: WorkingGrid, visible: Tensor) -> Tensor:
    """Leave out the outermost 6/540 of the field of view's diameter.

    Parameters
    ----------
    inside : ndarray
        (h, w) bool: the field of view on the working grid.
    grid : WorkingGrid
        To the image's grid.
    visible : Tensor
        (H, W) bool: the field of view on the image's grid.

    Returns
    -------
    Tensor
        (H, W) bool.
    """
    return (grid.spread(deep_inside(inside)).to(visible.device) >= 0.5) & visible


def deep_inside(inside: Mask) -> Tensor:
    """(h, w) field of view on a working grid → (h, w) float32, 0 near its edge."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return torch.from_numpy((depth > MARGIN * max(inside.shape)).astype(np.float32))
