"""The released code's formulation: float32, contiguous, the region tensor in full."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_localdisc.core.model.network import LocalDiscriminationNet


class ReleasedNet(LocalDiscriminationNet):
    """The network with plain convolutions, all of whose gradients are computed."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        for module in self.modules():
            if isinstance(module, nn.Sequential):
                for index, layer in enumerate(module):
                    if isinstance(layer, nn.Conv2d):
                        shape = layer.in_channels, layer.out_channels, 3
                        module[index] = nn.Conv2d(*shape, padding=1)

    def raw(self, x: Tensor, vector_stride: int = 1) -> tuple[Tensor, Tensor]:
        """Return both branches' last convolutions at full size."""
        assert vector_stride == 1
        features = self.decoder(self.encoder(x))
        return self.embedding_branch(features), self.clustering_branch(features)


def region_embedding(vectors: Tensor, probability: Tensor) -> Tensor:
    """Return region embeddings by way of the (B, M, D, H, W) product."""
    product = vectors[:, None] * probability[:, :, None]
    return F.normalize(product.mean((3, 4)), dim=2)


@torch.no_grad()
def embed(network: ReleasedNet, image: Tensor) -> tuple[Tensor, Tensor]:
    """Embed a whole (1, C, H, W) image; sides are padded to multiples of 16."""
    bottom, right = (-side % 16 for side in image.shape[-2:])
    result: tuple[Tensor, Tensor] = network(F.pad(image, (0, right, 0, bottom)))
    return result
