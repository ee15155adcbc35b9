"""A loss of a batch that one process has whole, or that two processes share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from napari_localdisc.core.model.network import (
    LocalDiscriminationNet,
    cluster_probability,
    patch_embedding,
    region_embedding,
)
from napari_localdisc.core.training.losses import (
    ClusterBalance,
    PairDiscrimination,
    RegionDiscrimination,
)
from napari_localdisc.core.training.trainer import BothBranches

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def joint_batch() -> tuple[torch.Tensor, torch.Tensor]:
    """First and second views of four images, (4, 3, 32, 32) each."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(4, 3, 32, 32, generator=generator)
    return first, first + 0.1 * torch.randn(4, 3, 32, 32, generator=generator)


def fresh_network() -> BothBranches:
    torch.manual_seed(3)
    net = LocalDiscriminationNet(embedding_dim=6, clusters=4, width=2)
    # Batch statistics are each process's own; running ones are the same for all.
    return BothBranches(net).eval()


def total_loss(network, first, second):
    vectors, logits = network(torch.cat([first, second]))
    vectors = F.normalize(vectors, dim=1)
    probability = cluster_probability(logits)
    patches = patch_embedding(vectors, 2)
    rows = patches.permute(0, 2, 3, 1).flatten(0, 2)
    regions = region_embedding(vectors, probability)
    return (
        PairDiscrimination()(rows)
        + RegionDiscrimination()(regions)
        + ClusterBalance()(probability)
    )


def train_on_a_share(fabric: Fabric, folder: Path) -> None:
    """Save what the first process makes of its share, and what it got of the others."""
    net = fresh_network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    wrapped, optimizer = fabric.setup(net, optimizer)
    share = slice(fabric.global_rank * 2, fabric.global_rank * 2 + 2)
    first, second = joint_batch()
    loss = total_loss(wrapped, first[share], second[share])
    fabric.backward(loss)
    assert fabric.broadcast(fabric.global_rank) == 0
    if fabric.global_rank == 0:
        gradients = {k: p.grad.numpy() for k, p in net.named_parameters()}
        np.savez(folder / "rank0.npz", loss=loss.detach().numpy(), **gradients)
