"""Write random_reference.npz: what the network and the losses gave when it was made.

The network's weights and inputs are random and small; they were computed in float64
when the implementation agreed with the paper's released code, so that a later change
of either is seen where the released code's own figures are not at hand.

Run from the repository's root: ``python tests/data/make_random_reference.py``
"""

from pathlib import Path

import numpy as np
import torch

from napari_localdisc.core.model.network import LocalDiscriminationNet
from napari_localdisc.core.training.losses import (
    ClusterEntropy,
    PairDiscrimination,
    RegionDiscrimination,
)

if __name__ == "__main__":
    torch.manual_seed(20210623)
    net = LocalDiscriminationNet(embedding_dim=6, clusters=4, width=2).double()
    x = torch.randn(2, 3, 32, 48, dtype=torch.float64)
    stored = {f"weights/{k}": v.numpy().copy() for k, v in net.state_dict().items()}
    net.eval()
    vectors, probability = net(x)
    stored |= {"x": x.numpy(), "eval/vectors": vectors.detach().numpy()}
    stored["eval/probability"] = probability.detach().numpy()
    net.train()
    vectors, probability = net(x)
    stored["train/vectors"] = vectors.detach().numpy()
    stored["train/probability"] = probability.detach().numpy()
    v = torch.nn.functional.normalize(torch.randn(12, 6, dtype=torch.float64), dim=1)
    v.requires_grad_()
    loss = PairDiscrimination()(v)
    loss.backward()
    stored |= {"pair/v": v.detach().numpy(), "pair/loss": loss.item()}
    stored["pair/grad"] = v.grad.numpy()
    r = torch.nn.functional.normalize(torch.randn(3, 4, 6, dtype=torch.float64), dim=2)
    r.requires_grad_()
    loss = RegionDiscrimination()(r)
    loss.backward()
    stored |= {"region/r": r.detach().numpy(), "region/loss": loss.item()}
    stored["region/grad"] = r.grad.numpy()
    stored["entropy/loss"] = ClusterEntropy()(probability).item()
    np.savez_compressed(Path(__file__).parent / "random_reference.npz", **stored)
