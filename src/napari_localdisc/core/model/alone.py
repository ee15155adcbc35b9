"""The network with what comes before it, as one module that asks for colours alone.

What other programs run: see ``io/bioimageio.py``, which makes one file of this module
and of those that it is built on.  Nothing else here uses it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_localdisc.core.image.contrast import network_input

from .network import STRIDE, LocalDiscriminationNet, cluster_probability

BLACK = 5 / 255
"""Pixels of a photograph that are no brighter in any channel lie outside of its field
of view."""


class PictureNetwork(LocalDiscriminationNet):
    """A trained network from colours to unit vectors, clusters and structures.

    Parameters
    ----------
    in_channels, embedding_dim, clusters, width
        As of `LocalDiscriminationNet`.
    working_diameter : int
        Pixels that the field of view's diameter, or the longer side of an image that
        has no dark frame, must have.
    surround : int
        Pixels around a round field of view that are filled from inside.
    margin : int
        Pixels that are added on all sides of the array.
    is_round : bool
        Whether images have a round field of view in a dark frame.
    structures : sequence of int
        Channels of the clustering branch that show named structures.
    """

    def __init__(
        self,
        in_channels: int = 6,
        embedding_dim: int = 32,
        clusters: int = 16,
        width: int = 16,
        working_diameter: int = 540,
        surround: int = 0,
        margin: int = 0,
        is_round: bool = True,
        structures: Sequence[int] = (),
    ) -> None:
        super().__init__(in_channels, embedding_dim, clusters, width)
        self.in_channels = in_channels
        self.working_diameter = working_diameter
        self.surround = surround
        self.margin = margin
        self.is_round = is_round
        self.structures = list(structures)

    @torch.no_grad()
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """Embed every pixel of pictures.

        Parameters
        ----------
        x : Tensor
            (B, 3, H, W) float32 in [0, 1]: red, green, blue.

        Returns
        -------
        vectors : Tensor
            (B, D, H, W) unit vectors.
        probability : Tensor
            (B, M, H, W) cluster probabilities, summing to 1 over M.
        structures : Tensor
            (B, K, H, W) in [0, 1], how likely each named structure is there; only
            where there are any.
        """
        rows, columns = x.shape[-2:]
        inside = torch.ones_like(x[:, :1])
        if self.is_round:
            inside = (x.amax(1, keepdim=True) > BLACK).to(x)
        before = self.margin if self.surround else 0
        seen = network_input(
            (x * inside).contiguous(),
            inside,
            self.working_diameter,
            self.in_channels,
            surround=self.surround,
            margin=(before,) * 4,
        )
        first = self.margin - before
        right, below = (
            -(side + 2 * self.margin) % STRIDE + first for side in (columns, rows)
        )
        padded = F.pad(seen, (first, right, first, below))
        raw, logits = self.raw(padded)
        kept = (
            ...,
            slice(self.margin, self.margin + rows),
            slice(self.margin, self.margin + columns),
        )
        vectors = F.normalize(raw[kept].float(), dim=1)
        logits = logits[kept].float()
        found = vectors, cluster_probability(logits)
        if not self.structures:
            return found
        return *found, torch.sigmoid(logits[:, self.structures])
