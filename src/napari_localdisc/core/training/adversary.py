"""The adversarial shape prior of the paper (section 2.3), for scripts that want it.

`LossWeights.adversarial` switches it on; neither panel nor command offers it.

A discriminator learns to tell a cluster's probability map from masks of the prior; the
network learns to be taken for them.  Noise that fades out keeps the game open at the
start, when any smooth map is told from a binary mask at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from .losses import ShapeDiscriminator, ShapePrior

if TYPE_CHECKING:
    from .rendering import Renderer

_RATE_SHARE = 1 / 20
_NOISE = 0.3


class Adversary:
    """Discriminator, its optimizer, and both sides of the game.

    Parameters
    ----------
    fabric : Fabric
        Device and processes.
    renderer : Renderer
        Holds the stocks of drawn masks that are the prior.
    learning_rate : float
        Of the network; the discriminator's is a twentieth of it.
    """

    def __init__(
        self, fabric: Fabric, renderer: Renderer, learning_rate: float
    ) -> None:
        discriminator = ShapeDiscriminator()
        optimizer = torch.optim.Adam(
            discriminator.parameters(), learning_rate * _RATE_SHARE
        )
        self.discriminator: Any
        self.optimizer: Any
        self.discriminator, self.optimizer = fabric.setup(discriminator, optimizer)
        self.fabric, self.renderer = fabric, renderer
        self.loss = ShapePrior()

    def generator_loss(
        self, maps: Tensor, progress: float, generator: torch.Generator
    ) -> Tensor:
        """How far (B, 1, S, S) probability maps are from passing for masks."""
        self.discriminator.requires_grad_(False)
        with self.fabric.autocast():  # not through DDP: nothing of it learns here
            logits = self.discriminator.module(_noisy(maps, progress, generator))
        self.discriminator.requires_grad_(True)
        return self.loss.generator(logits.float())

    def train_discriminator(
        self, maps: Tensor, progress: float, generator: torch.Generator
    ) -> float:
        """Let the discriminator learn from maps and as many masks; return its loss."""
        masks = self.renderer.masks(0, maps, generator)
        real = self.discriminator(_noisy(masks, progress, generator))
        fake = self.discriminator(_noisy(maps.detach(), progress, generator))
        loss = self.loss.discriminator(real.float(), fake.float())
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.optimizer.step()
        return float(loss.detach())


def _noisy(maps: Tensor, progress: float, generator: torch.Generator) -> Tensor:
    noise = torch.randn(maps.shape, generator=generator).to(maps)
    return maps + _NOISE * (1 - progress) * noise
