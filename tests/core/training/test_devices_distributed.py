"""Two processes that share a batch compute what one process does with all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric

from napari_localdisc.core.model.network import (
    LocalDiscriminationNet,
    cluster_probability,
    patch_embedding,
    region_embedding,
)
from napari_localdisc.core.training.devices import (
    gather_with_gradient,
    group_ended_after,
    process_count,
)
from napari_localdisc.core.training.losses import (
    ClusterBalance,
    PairDiscrimination,
    RegionDiscrimination,
)
from napari_localdisc.core.training.trainer import BothBranches


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


def _shard(fabric: Fabric, folder: str) -> None:
    torch.set_num_threads(1)
    with group_ended_after(fabric, inside=True):
        _train_on_a_share(fabric, Path(folder))


def _train_on_a_share(fabric: Fabric, folder: Path) -> None:
    net = fresh_network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    wrapped, optimizer = fabric.setup(net, optimizer)
    share = slice(fabric.global_rank * 2, fabric.global_rank * 2 + 2)
    first, second = joint_batch()
    loss = total_loss(wrapped, first[share], second[share])
    fabric.backward(loss)
    if fabric.global_rank == 0:
        gradients = {k: p.grad.numpy() for k, p in net.named_parameters()}
        np.savez(folder / "rank0.npz", loss=loss.detach().numpy(), **gradients)


def test_two_processes_equal_one_with_the_joint_batch(tmp_path):
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp_spawn")
    fabric.launch(_shard, str(tmp_path))
    net = fresh_network()
    loss = total_loss(net, *joint_batch())
    loss.backward()
    with np.load(tmp_path / "rank0.npz") as found:
        np.testing.assert_allclose(found["loss"], loss.detach(), rtol=1e-4)
        for name, parameter in net.named_parameters():
            scale = max(1e-6, float(parameter.grad.abs().max()))
            difference = np.abs(found[name] - parameter.grad.numpy()).max()
            assert difference <= 1e-4 * scale + 1e-7, name


def test_alone_everything_is_as_it_was():
    x = torch.randn(3, 2, requires_grad=True)
    assert gather_with_gradient(x) is x
    with group_ended_after(Fabric(accelerator="cpu", devices=1)):
        assert process_count() == 1
