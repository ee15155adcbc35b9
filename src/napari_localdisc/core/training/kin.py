"""Structures that a training never finds, and what they begin again as.

Rare, small structures may stay silent: once their probability is near 0, no loss moves
it.  Cards say what is found of what is drawn, and the next training lets silent ones
begin as their nearest kin.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from napari_localdisc.core.model.card import ModelCard
from napari_localdisc.core.model.network import LocalDiscriminationNet
from napari_localdisc.core.priors.derived import DERIVED

from .batches import Batch

FOUND = "found_when_drawn"
"""Field of a card's details: the Dice at 0.5 of each structure that is drawn, in
renderings of photographs that were held out."""

_SILENT = 0.05
"""Of a structure whose Dice when drawn is lower the model knows nothing."""


def known_to(card: ModelCard) -> dict[str, int]:
    """Return a model's structures and channels without those that it never finds."""
    found = card.details.get(FOUND)
    said = found if isinstance(found, dict) else {}  # details are what a file says
    silent = {
        name
        for name, dice in said.items()
        if isinstance(dice, int | float) and dice < _SILENT
    }
    return {name: k for name, k in card.structures.items() if name not in silent}


@torch.no_grad()
def begin_from_kin(
    network: LocalDiscriminationNet,
    wanted: Mapping[str, int],
    known: Mapping[str, int],
) -> None:
    """Let a structure that a network does not know begin as the nearest that it knows.

    A haemorrhage begins as a dark lesion, their union; a microaneurysm, where no union
    is known, as a haemorrhage, another part of it.  ``wanted`` and ``known`` are
    structures and their channels, after and before.
    """
    last = network.clustering_branch[-1]
    assert isinstance(last, nn.Conv2d)
    before = copy.deepcopy(last)
    for name, channel in wanted.items():
        unions = [row for row in DERIVED.values() if name in row.of]
        kin = [row.name for row in unions] + [k for row in unions for k in row.of]
        nearest = next((known[each] for each in kin if each in known), None)
        if name not in known and nearest is not None:
            last.weight[channel] = before.weight[nearest]
            if last.bias is not None and before.bias is not None:
                last.bias[channel] = before.bias[nearest]


@torch.no_grad()
def found_when_drawn(
    batches: list[Batch],
    drawn: list[int],
    forward: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> dict[int, float]:
    """Return the Dice at 0.5 of the drawn structures, by channel, over all batches.

    Structures that no batch shows are left out.
    """
    both, total, shown = (torch.zeros(len(drawn)) for _ in range(3))
    for batch in batches:
        if batch.drawn.numel():
            count = len(batch.drawn)
            _, logits = forward(batch.images[-count:])
            known = batch.drawn_known > 0
            truth = (batch.drawn > 0.5) & known
            found = (logits[:, drawn] > 0) & known
            both += (found & truth).sum((0, 2, 3)).cpu()
            total += (found.sum((0, 2, 3)) + truth.sum((0, 2, 3))).cpu()
            shown += truth.sum((0, 2, 3)).cpu()
    dice = 2 * both / total.clamp_min(1)
    return {
        k: float(value)
        for k, value, pixels in zip(drawn, dice, shown, strict=True)
        if pixels
    }
