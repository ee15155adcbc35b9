"""The total loss of a step: the paper's terms, the priors, and what ties branches.

Stage 1 discriminates patches, pixels and mixtures; stage 2 adds everything about
clusters.  Priors act in both.  Only pixels inside the field of view count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_localdisc.core.model.network import (
    cluster_probability,
    patch_embedding,
    region_embedding,
)

from .augment import rescaled, undo_turn
from .devices import gather_with_gradient, process_count
from .losses import (
    ClusterBalance,
    ClusterEntropy,
    MixupDiscrimination,
    PairDiscrimination,
    RegionDiscrimination,
)
from .settings import TrainingSettings

if TYPE_CHECKING:
    from .batches import Batch

STRIDE = 2
"""Of the pixels whose embeddings are compared: every other row and column."""

RARE = 0.03
"""Share of the cross-entropy's weight that the pixels of a structure have at least.
Where fewer than 1 in 1,000 are, the mean over all pixels gives the structure a
probability near 0 before its look is learnt, and then no loss moves it."""

LINES = 2.0
"""Weight of each drawn line beside that of other drawn structures: vessels are what is
asked for most, and what is hardest to draw to a pixel."""


class Objective(nn.Module):
    """Computes every term of the loss.

    Parameters
    ----------
    settings : TrainingSettings
        Weights, temperatures and grids.
    drawn, fitted : tuple of int
        Channels of the clustering branch that drawn and fitted priors steer.
    lines : tuple of bool
        Which of the drawn priors are lines.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        drawn: tuple[int, ...] = (),
        fitted: tuple[int, ...] = (),
        lines: tuple[bool, ...] = (),
    ) -> None:
        super().__init__()
        self.settings, self.drawn, self.fitted = settings, list(drawn), list(fitted)
        self.lines = [k for k, is_line in enumerate(lines) if is_line]
        self.shares = [LINES if is_line else 1.0 for is_line in lines]
        self.pixel = PairDiscrimination(settings.pixel_temperature)
        self.patch = PairDiscrimination(settings.patch_temperature)
        self.mixup = MixupDiscrimination(settings.patch_temperature)
        self.region = RegionDiscrimination(settings.region_temperature)
        self.entropy = ClusterEntropy()
        self.balance = ClusterBalance()

    def forward(
        self,
        raw_vectors: Tensor,
        logits: Tensor,
        batch: Batch,
        progress: float,
        generator: torch.Generator,
        teacher: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Return each term, weighted; their sum is the loss.

        Parameters
        ----------
        raw_vectors, logits : Tensor
            Outputs of `LocalDiscriminationNet.raw` on ``batch.images``, the vectors
            at a stride of `STRIDE`.
        batch : Batch
            What the network saw.
        progress : float
            Share of the training that is done, in [0, 1].
        generator : torch.Generator
            Chooses the pixels and patches that are compared.
        teacher : tuple of Tensor, optional
            `believed` of the drawn structures on the first views, by the averaged
            network.
        """
        weights, b = self.settings.weights, batch.pairs
        # Every other pixel says the same of regions at a quarter of the cost.
        coarse = raw_vectors.float()
        inside = batch.inside[..., ::STRIDE, ::STRIDE]
        vectors = F.normalize(coarse, dim=1)
        probability = cluster_probability(logits[..., ::STRIDE, ::STRIDE])
        maps = rescaled(batch.maps, 1 / STRIDE)
        second_maps = rescaled(batch.second_maps, 1 / STRIDE)
        terms: dict[str, Tensor] = {}
        second = slice(b, 2 * b)
        values = torch.cat([coarse[second], probability[second], inside[second]], 1)
        back = undo_turn(values, maps, second_maps)
        seen_twice = inside[:b] * (back[:, -1:] > 0.99)
        dim = raw_vectors.shape[1]
        vectors_back = F.normalize(back[:, :dim], dim=1)
        probability_back = back[:, dim:-1]
        staged = progress >= self.settings.stage1_share
        terms["pixel"] = weights.pixel * self._pixels(
            vectors[:b], vectors_back, probability[:b], seen_twice, staged, generator
        )
        terms["patch"] = weights.patch * self._patches(
            vectors[:b], vectors_back, seen_twice, generator
        )
        terms["mixup"] = weights.mixup * self._mixtures(vectors, inside, batch)
        if staged:
            real = slice(0, 2 * b)
            regions = region_embedding(vectors[real], probability[real], inside[real])
            terms["region"] = weights.region * self.region(regions)
            terms["entropy"] = weights.entropy * self.entropy(
                probability[real], inside[real]
            )
            terms["balance"] = weights.balance * self.balance(
                probability[real], inside[real]
            )
            together = (probability[:b] * probability_back).sum(1, keepdim=True)
            agreement = -(together.clamp_min(1e-4).log() * seen_twice).sum()
            terms["view_agreement"] = (
                weights.view_agreement * agreement / seen_twice.sum().clamp_min(1)
            )
            terms["branch_agreement"] = weights.branch_agreement * self._branches(
                vectors, probability, regions, inside
            )
        if self.fitted:
            terms["fitted"] = weights.fitted * mask_loss(
                logits[: 2 * b, self.fitted].float(),
                batch.fitted,
                batch.fitted_known,
            )
        if self.drawn and batch.drawn.numel():
            terms["drawn"] = weights.drawn * mask_loss(
                logits[-len(batch.drawn) :, self.drawn].float(),
                batch.drawn,
                batch.drawn_known,
                self.shares,
            )
        if teacher is not None:
            terms["self_training"] = weights.self_training * self._self_training(
                logits[: 2 * b, self.drawn].float(), *teacher, batch
            )
        return terms

    def _pixels(
        self,
        first: Tensor,
        second: Tensor,
        probability: Tensor,
        seen: Tensor,
        staged: bool,
        generator: torch.Generator,
    ) -> Tensor:
        count = self.settings.pixel_pairs // len(first)
        index = _choose(seen, count, generator)
        rows = torch.cat([_take(first, index), _take(second, index)])
        affinity = None
        if staged:
            # Pixels of one cluster are no negatives: the branches help each other.
            p = gather_with_gradient(_take(probability, index).detach())
            p = F.normalize(p, dim=1)
            affinity = (p @ p.T).clamp(0, 1).repeat(2, 2)
        loss: Tensor = self.pixel(rows, affinity)
        return loss / math.sqrt(process_count() * len(rows))

    def _patches(
        self, first: Tensor, second: Tensor, seen: Tensor, generator: torch.Generator
    ) -> Tensor:
        grid = self.settings.patch_grid
        share = F.adaptive_avg_pool2d(seen, grid)
        index = _choose(share, grid * grid // 2, generator)
        rows = [_take(patch_embedding(v * seen, grid), index) for v in (first, second)]
        loss: Tensor = self.patch(torch.cat(rows))
        return loss

    def _mixtures(self, vectors: Tensor, inside: Tensor, batch: Batch) -> Tensor:
        grid, half = self.settings.patch_grid // 2, len(batch.mix_weight)
        first = vectors[:half] * inside[:half]
        second = vectors[half : 2 * half] * inside[half : 2 * half]
        start = 2 * batch.pairs
        mixture = vectors[start : start + half]
        loss: Tensor = self.mixup(
            patch_embedding(mixture, grid),
            patch_embedding(first, grid),
            patch_embedding(second, grid),
            batch.mix_weight,
        )
        return loss

    def _branches(
        self, vectors: Tensor, probability: Tensor, regions: Tensor, inside: Tensor
    ) -> Tensor:
        """Each pixel's embedding belongs to the centre of its cluster."""
        centres = F.normalize(gather_with_gradient(regions.detach()).mean(0), dim=1)
        cosines = torch.einsum("bdhw,md->bmhw", vectors, centres)
        log_share = F.log_softmax(cosines / self.settings.region_temperature, dim=1)
        target = probability.detach().square()
        target = target / target.sum(1, keepdim=True)
        # Small structures count as much as large ones do, up to a square root.
        area = (target * inside).sum((0, 2, 3)) / inside.sum().clamp_min(1)
        rarity = (target / (area + 0.003).sqrt().view(1, -1, 1, 1)).sum(1, keepdim=True)
        weight = rarity * inside
        loss = -(target * log_share).sum(1, keepdim=True) * weight
        return loss.sum() / weight.sum().clamp_min(1e-3)

    def _self_training(
        self, logits: Tensor, masks: Tensor, known: Tensor, batch: Batch
    ) -> Tensor:
        """Find on both views what the averaged network is sure of in the photograph."""
        both = undo_turn(torch.cat([masks, known], 1), batch.second_maps, batch.maps)
        turned, turned_known = both.chunk(2, dim=1)
        target = torch.cat([masks, (turned > 0.5).float()])
        sure = torch.cat([known, (turned_known > 0.99).float()])
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        total = (loss * sure).sum() / sure.sum().clamp_min(1)
        if self.lines:
            lines = self.lines
            total = total + mask_loss(
                logits[:, lines], target[:, lines], sure[:, lines]
            )
        return total


def mask_loss(
    logits: Tensor,
    target: Tensor,
    known: Tensor,
    shares: Sequence[float] | None = None,
) -> Tensor:
    """Binary cross-entropy and Dice loss of (B, P, H, W) logits, for each structure.

    ``known`` says which pixels count, ``shares`` how much each structure does in the
    mean over them.  In the cross-entropy a rare structure's own pixels count as if
    they were `RARE` of all.
    """
    own = target * known
    own_count = own.sum((0, 2, 3))
    others_count = known.sum((0, 2, 3)) - own_count
    as_if_rare = others_count * RARE / (1 - RARE) / own_count.clamp_min(1e-3)
    boost = as_if_rare.clamp_min(1)[:, None, None]
    weight = known + (boost - 1) * own
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    cross_entropy = (cross_entropy * weight).sum((0, 2, 3))
    cross_entropy = cross_entropy / weight.sum((0, 2, 3)).clamp_min(1)
    probability = torch.sigmoid(logits) * known
    overlap = (probability * target).sum((0, 2, 3))
    total = (probability + target * known).sum((0, 2, 3))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    each = cross_entropy + dice
    if shares is None:
        return each.mean()
    weights = each.new_tensor(shares)
    return (each * weights).sum() / weights.sum()


def _choose(share: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Choose ``count`` places of each (B, 1, h, w) map, inside ones first."""
    order = torch.rand(share.shape, generator=generator).to(share)
    ranked = (order + (share > 0.9)).flatten(1)
    return ranked.topk(count, dim=1).indices


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Return the (B·count, C) vectors at (B, count) places of (B, C, h, w) values."""
    flat = values.flatten(2)
    picked = flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1))
    return picked.transpose(1, 2).flatten(0, 1)
