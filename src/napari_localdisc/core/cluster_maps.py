"""What the clustering branch says of an image: clusters and named structures."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from . import clustering, structures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from .grid import FloatImage, Mask, WorkingGrid
    from .models import ModelCard


class ClusterMaps:
    """M cluster probabilities per pixel of the working grid, and what follows of them.

    Made by `map_clusters`, which runs the clustering branch alone; part of every
    `Embedding`.

    Parameters
    ----------
    probability : Tensor
        (M, h, w) float32, summing to 1 over M.  May be on a GPU.
    field_of_view : ndarray
        (H, W) bool, on the image's grid.
    grid : WorkingGrid
        Between the image's pixels and the working grid.
    card : ModelCard
        The model's card.
    centres : ndarray
        (M, D) float32 unit vectors: the model's clusters.
    presence : mapping of str to Tensor
        (h, w) float32 for each structure that the card names: the sigmoid of its
        channel, before the normalisation over clusters.
    """

    def __init__(
        self,
        probability: Tensor,
        field_of_view: Mask,
        grid: WorkingGrid,
        card: ModelCard,
        centres: FloatImage,
        presence: Mapping[str, Tensor],
    ) -> None:
        self.probability = probability
        self.field_of_view = field_of_view
        self.grid = grid
        self.card = card
        self.centres = centres
        self.presence = presence

    def clusters(self, n: int) -> NDArray[np.uint8]:
        """Label every pixel with one of ``n`` clusters; see `Embedding.clusters`."""
        table = clustering.merge_table(self.centres, n, self.card.structures)
        return np.take(np.concatenate([[0], table]).astype(np.uint8), self._dominant)

    def structure(
        self, name: str, readout: Literal["presence", "probability"] = "presence"
    ) -> FloatImage:
        """How likely each pixel is of a structure; see `Embedding.structure`."""
        channel = structures.channel(self.card, name)
        if readout == "presence" and name in self.presence:
            return self.on_image(self.presence[name], self.interior)
        return self.on_image(self.probability[channel], self.interior)

    def on_image(self, on_grid: Tensor, inside: Tensor) -> FloatImage:
        """Bring an (h, w) map in [0, 1] to the image's pixels; 0 where not inside."""
        # Interpolation weights may sum to a rounding error more than 1
        spread = self.grid.spread(on_grid, inside).clamp_(max=1)
        return np.asarray(spread.cpu().numpy())

    @cached_property
    def visible(self) -> Tensor:
        """(H, W) bool: the field of view, on the maps' device."""
        return torch.from_numpy(self.field_of_view).to(self.probability.device)

    @cached_property
    def interior(self) -> Tensor:
        """(H, W) bool: where structures are looked for."""
        if self.card.modality == "frame":
            return self.visible
        inside = self.grid.to_working(self.field_of_view) >= 0.5
        return structures.interior(inside, self.grid, self.visible)

    @cached_property
    def _dominant(self) -> NDArray[np.uint8]:
        return clustering.dominant_cluster(
            self.probability, self.grid, self.field_of_view
        )
