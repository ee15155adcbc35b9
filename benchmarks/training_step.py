"""Claim: training is at least 5 times as fast as the released code's formulation.

In images a second; and preparing the images is never the bottleneck.

Both take whole steps of Adam on ten crops of 192 pixels (two views of four photographs
and two mixtures) with the paper's four losses.  The released formulation is float32,
contiguous, computes every gradient, also of biases that a batch norm cancels, and
materialises the product of probabilities and embeddings, a (batch, M, D, H, W) tensor;
its crops lie ready, and like ours it may use freed memory again.  Ours is a step of
`Trainer`: it cuts and recolours its crops, keeps the moving average of the weights,
computes terms that the paper has not (at weight 0) and compares every other pixel's
embedding.  The third row says what there is to be had on this processor: the operations
of our step at the speed of a large matrix product.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from napari_localdisc.core.model.inference import choose_precision
from napari_localdisc.core.model.network import patch_embedding
from napari_localdisc.core.training.batches import WindowDataset, make_batch
from napari_localdisc.core.training.losses import (
    ClusterEntropy,
    MixupDiscrimination,
    PairDiscrimination,
    RegionDiscrimination,
)
from napari_localdisc.core.training.photographs import prepare_photographs
from napari_localdisc.core.training.settings import LossWeights, TrainingSettings
from napari_localdisc.core.training.trainer import Trainer
from napari_localdisc.core.work import reused_memory

from .machine import interleaved, matrix_product, retina, table, verdict
from .released import ReleasedNet, region_embedding

NEEDS_DATA = False
PHOTOGRAPHS, SIDE, GRID = 4, 192, 8
IMAGES = PHOTOGRAPHS * 5 // 2
PAPER = LossWeights(1, 0, 1, 10, 0.1, 0, 0, 0, 0, 0, 0)


class ReleasedStep:
    """A step of stage 2 as the released code takes it."""

    def __init__(self, side: int) -> None:
        torch.manual_seed(0)
        self.network = ReleasedNet()
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3)
        self.x = torch.randn(IMAGES, 3, side, side)
        self.patch, self.mixup = PairDiscrimination(), MixupDiscrimination()
        self.region, self.entropy = RegionDiscrimination(), ClusterEntropy()

    def __call__(self) -> Tensor:
        """Take the step; return the loss."""
        half, views = PHOTOGRAPHS // 2, 2 * PHOTOGRAPHS
        vectors, probability = self.network(self.x)
        patches = patch_embedding(vectors, GRID)
        regions = region_embedding(vectors, probability)
        first, second, third = (
            patches[start : start + half] for start in (0, half, views)
        )
        rows = patches[:views].permute(0, 2, 3, 1).flatten(0, 2)
        weight = torch.full((half,), 0.5)
        loss = (
            self.patch(rows)
            + self.mixup(third, first, second, weight)
            + 10 * self.region(regions[:views])
            + 0.1 * self.entropy(probability[:views])
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def our_trainer(cache: Path) -> Trainer:
    """Return a trainer of stage 2 with the paper's losses, on turned retinas."""
    settings = TrainingSettings(
        steps=100_000,
        in_channels=3,
        crop_size=SIDE,
        images_per_step=PHOTOGRAPHS,
        rendered_per_step=0,
        stage1_share=0.0,
        patch_grid=GRID,
        held_out=0,
        validate_every=10**9,
        weights=PAPER,
    )
    image = retina()
    photographs = prepare_photographs(
        [np.ascontiguousarray(np.rot90(image, k)) for k in range(4)],
        working_diameter=settings.working_diameter,
        cache=cache,
    )
    fabric = Fabric(accelerator="cpu", precision=_precision())
    return Trainer(settings, photographs, [], fabric)


def _precision() -> str:
    fast = choose_precision(torch.device("cpu")) is torch.bfloat16
    return "bf16-mixed" if fast else "32-true"


def run() -> str:
    """Measure steps of both in turn, and what the data cost."""
    released = ReleasedStep(SIDE)
    with tempfile.TemporaryDirectory() as folder:
        trainer = our_trainer(Path(folder))
        steps = trainer.run()
        dataset = WindowDataset(trainer.training, trainer.settings)

        def prepare() -> object:
            windows = dataset[trainer.step]
            return make_batch(windows, trainer.settings, None)

        def ours() -> object:
            return next(steps)

        with reused_memory():
            seconds = interleaved(
                {
                    "released": released,
                    "ours": ours,
                    "data": prepare,
                    "peak": matrix_product(choose_precision(torch.device("cpu"))),
                }
            )
            with FlopCounterMode(display=False) as counter:
                ours()
    peak = 2 * 2048**3 / seconds["peak"]
    least = counter.get_total_flops() / peak
    ratio = seconds["released"] / seconds["ours"]
    share = seconds["data"] / seconds["ours"]
    return table(
        "what | images a second | value | claim | holds",
        [
            (
                "released formulation",
                f"{IMAGES / seconds['released']:.2f}",
                1,
                "–",
                "–",
            ),
            (
                "ours, times as fast",
                f"{IMAGES / seconds['ours']:.2f}",
                f"{ratio:.1f}",
                "≥ 5",
                verdict(ratio, 5, at_least=True),
            ),
            (
                "ours, were all of it at the matrix peak, times as fast",
                f"{IMAGES / least:.2f}",
                f"{seconds['released'] / least:.1f}",
                "–",
                "–",
            ),
            (
                "preparing the crops, share of our step",
                f"{IMAGES / seconds['data']:.1f}",
                f"{share:.0%}",
                "< 50 %",
                verdict(share, 0.5),
            ),
        ],
    )
