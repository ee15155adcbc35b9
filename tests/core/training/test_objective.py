from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from napari_localdisc.core.training.objective import RARE, mask_loss

SHAPE = (2, 1, 40, 50)


def shown(share):
    """A structure on that share of the pixels, and logits that do not know it."""
    target = (torch.arange(4000) < round(share * 4000)).float().view(SHAPE)
    logits = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) - 3
    return logits, target, torch.ones(SHAPE)


def dice_loss(logits, target, known):
    found = torch.sigmoid(logits) * known
    both = (found * target).sum()
    return 1 - (2 * both + 1) / (found.sum() + (target * known).sum() + 1)


@pytest.mark.parametrize("share", [0, 0.03, 0.2, 1])
def test_what_is_not_rare_is_weighed_pixel_by_pixel(share):
    logits, target, known = shown(share)
    mean = F.binary_cross_entropy_with_logits(logits, target)
    expected = mean + dice_loss(logits, target, known)
    assert float(mask_loss(logits, target, known)) == pytest.approx(
        float(expected), rel=1e-5
    )


@pytest.mark.parametrize("share", [0.00025, 0.001, 0.01])
def test_the_rare_counts_as_if_it_were_less_rare(share):
    logits, target, known = shown(share)
    own, others = (
        F.binary_cross_entropy_with_logits(
            logits[target == side], target[target == side]
        )
        for side in (1, 0)
    )
    expected = RARE * own + (1 - RARE) * others + dice_loss(logits, target, known)
    assert float(mask_loss(logits, target, known)) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_pixels_that_are_not_known_do_not_count():
    logits, target, known = shown(0.001)
    known[:, :, 20:] = 0
    other = torch.where(known > 0, logits, 5.0)
    assert mask_loss(other, target, known) == mask_loss(logits, target, known)
    assert mask_loss(other, 1 - target * known, known) > 1


def test_structures_count_by_their_shares():
    rare, common = shown(0.001), shown(0.2)
    both = (torch.cat(pair, 1) for pair in zip(rare, common, strict=True))
    first, second = float(mask_loss(*rare)), float(mask_loss(*common))
    together = float(mask_loss(*both, shares=[2.0, 1.0]))
    assert together == pytest.approx((2 * first + second) / 3, rel=1e-5)
