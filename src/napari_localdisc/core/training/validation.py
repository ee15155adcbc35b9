"""How good the averaged network is, told without labels.

Held-out photographs are rendered with held-out drawings, always the same ones; what
the priors steer must be found in them, and two views of a photograph must be clustered
alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_localdisc.core.network import (
    LocalDiscriminationNet,
    cluster_probability,
    region_embedding,
)
from napari_localdisc.core.views import undo_turn

if TYPE_CHECKING:
    from .batches import Batch


@torch.no_grad()
def validate(
    network: LocalDiscriminationNet,
    batches: list[Batch],
    drawn: list[int],
    fitted: list[int],
    forward: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> dict[str, float]:
    """Measure a network in evaluation mode on fixed batches.

    Returns
    -------
    dict of str to float
        ``drawn`` and ``fitted``: Dice of the priors' structures at 0.5; ``agreement``:
        share of pixels that both views put in one cluster; ``score``: their mean, by
        which models are chosen.
    """
    network.eval()
    dice: dict[str, list[float]] = {"drawn": [], "fitted": []}
    agreement = []
    for batch in batches:
        _, logits = forward(batch.images)
        logits, b = logits.float(), batch.pairs
        probability = cluster_probability(logits)
        if batch.drawn.numel():
            found = logits[-len(batch.drawn) :, drawn] > 0
            dice["drawn"] += _dice(found, batch.drawn > 0.5)
        if batch.fitted.numel():
            known = batch.fitted_known > 0
            found = (logits[: 2 * b, fitted] > 0) & known
            dice["fitted"] += _dice(found, (batch.fitted > 0.5) & known)
        back = undo_turn(probability[b : 2 * b], batch.maps, batch.second_maps)
        seen = batch.inside[:b] * (back.sum(1, keepdim=True) > 0.99)
        alike = probability[:b].argmax(1) == back.argmax(1)
        agreement.append(float((alike * seen[:, 0]).sum() / seen.sum().clamp_min(1)))
    result = {k: sum(v) / len(v) for k, v in dice.items() if v}
    result["agreement"] = sum(agreement) / len(agreement)
    result["score"] = sum(result.values()) / len(result)
    return result


def _dice(found: Tensor, truth: Tensor) -> list[float]:
    """Dice of each structure over the batch, where the truth holds any."""
    both = (found & truth).sum((0, 2, 3)).float()
    total = (found.sum((0, 2, 3)) + truth.sum((0, 2, 3))).float()
    present = truth.sum((0, 2, 3)) > 20
    return [float(v) for v in (2 * both / total.clamp_min(1))[present]]


@torch.no_grad()
def cluster_centres(
    batches: list[Batch], forward: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> Tensor:
    """Return the clusters' mean region embeddings over batches: (M, D) unit vectors."""
    total: Tensor | None = None
    for batch in batches:
        vectors, logits = forward(batch.images)
        real = slice(0, 2 * batch.pairs)
        vectors = torch.nn.functional.normalize(vectors.float(), dim=1)
        regions = region_embedding(
            vectors[real], cluster_probability(logits)[real], batch.inside[real]
        )
        summed = regions.sum(0)
        total = summed if total is None else total + summed
    if total is None:
        raise ValueError("There is no batch to compute the centres of.")
    return torch.nn.functional.normalize(total, dim=1)
