from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.reference import paper_code, random_reference

from napari_localdisc.core.model.network import LocalDiscriminationNet
from napari_localdisc.core.training.losses import (
    ClusterBalance,
    ClusterEntropy,
    MixupDiscrimination,
    PairDiscrimination,
    RegionDiscrimination,
    ShapeDiscriminator,
    ShapePrior,
)


def assert_close(found, expected, relative=1e-4):
    found, expected = np.asarray(found), np.asarray(expected)
    assert np.abs(found - expected).max() <= relative * np.abs(expected).max()


def turned_back(patches, flips, turns):
    """Undo the turn of second views: the flip of both axes first, then the rot90."""
    return torch.stack(
        [
            torch.rot90(p.flip(1, 2) if flip else p, -int(k), (1, 2))
            for p, flip, k in zip(patches, flips, turns, strict=True)
        ]
    )


def test_pair_criterion_equals_the_released_code():
    figures = paper_code()
    x = torch.from_numpy(figures["criterion/x"]).requires_grad_()
    loss = PairDiscrimination()(x)
    loss.backward()
    assert_close(loss.detach(), figures["criterion/loss"])
    assert_close(x.grad, figures["criterion/grad"])


def test_patch_discrimination_equals_the_released_code():
    figures = paper_code()
    patches = torch.from_numpy(figures["train/patch_embedding"]).requires_grad_()
    first1, first2, second1, second2, _ = patches.chunk(5)
    second1 = turned_back(second1, figures["flip1"], figures["rot1"])
    second2 = turned_back(second2, figures["flip2"], figures["rot2"])
    first, second = torch.cat([first1, first2]), torch.cat([second1, second2])
    rows = [patches.permute(0, 2, 3, 1).flatten(0, 2) for patches in (first, second)]
    loss = PairDiscrimination()(torch.cat(rows))
    loss.backward()
    assert_close(loss.detach(), figures["loss/patch"])
    assert_close(patches.grad, figures["grad/patch"])


def test_mixup_equals_the_released_code():
    figures = paper_code()
    patches = torch.from_numpy(figures["train/patch_embedding"]).requires_grad_()
    first1, first2, _, _, mixture = patches.chunk(5)
    weight = torch.from_numpy(figures["mix_weight"])
    loss = MixupDiscrimination()(mixture, first1, first2, weight)
    loss.backward()
    assert_close(loss.detach(), figures["loss/mixup"])
    assert_close(patches.grad, figures["grad/mixup"])


def test_region_discrimination_equals_the_released_code():
    figures = paper_code()
    views = 4 * int(figures["batch"])
    regions = torch.from_numpy(figures["train/region_embedding"][:views])
    regions.requires_grad_()
    loss = RegionDiscrimination()(regions)
    loss.backward()
    assert_close(loss.detach(), figures["loss/region"])
    assert_close(regions.grad, figures["grad/region"])


@torch.no_grad()
def test_entropy_equals_the_released_code():
    figures = paper_code()
    net = LocalDiscriminationNet().train()
    values = [v for k, v in figures.items() if k.startswith(("encoder/", "decoder/"))]
    names = [k for k in net.state_dict() if "num_batches" not in k]
    state = {k: torch.from_numpy(v) for k, v in zip(names, values, strict=True)}
    net.load_state_dict(state, strict=False)
    _, probability = net(torch.from_numpy(figures["x"]))
    views = 4 * int(figures["batch"])
    assert_close(ClusterEntropy()(probability[:views]), figures["loss/entropy"])


@torch.no_grad()
def test_discriminator_equals_the_released_code():
    figures = paper_code()
    discriminator = ShapeDiscriminator(slope=1.0)
    values = [v for k, v in figures.items() if k.startswith("discriminator/0")]
    names = list(discriminator.state_dict())
    state = {k: torch.from_numpy(v) for k, v in zip(names, values, strict=True)}
    discriminator.load_state_dict(state)
    maps = torch.from_numpy(figures["discriminator/input"])
    found = torch.sigmoid(discriminator(maps))
    assert_close(found, figures["discriminator/output"])


def test_discriminator_has_the_released_number_of_parameters():
    assert sum(p.numel() for p in ShapeDiscriminator().parameters()) == 52_129


def test_losses_equal_the_committed_reference():
    figures = random_reference()
    v = torch.from_numpy(figures["pair/v"]).requires_grad_()
    loss = PairDiscrimination()(v)
    loss.backward()
    assert_close(loss.detach(), figures["pair/loss"])
    assert_close(v.grad, figures["pair/grad"])
    r = torch.from_numpy(figures["region/r"]).requires_grad_()
    loss = RegionDiscrimination()(r)
    loss.backward()
    assert_close(loss.detach(), figures["region/loss"])
    assert_close(r.grad, figures["region/grad"])
    probability = torch.from_numpy(figures["train/probability"])
    assert_close(ClusterEntropy()(probability), figures["entropy/loss"])


def literal_pair_criterion(v, temperature):
    """The formula of the paper, term by term."""
    rows = len(v)
    total = 0.0
    for i in range(rows):
        weights = np.exp(v @ v[i] / temperature)
        share = weights / (weights.sum() - weights[i])
        partner = (i + rows // 2) % rows
        total += np.log(share[partner])
        others = [j for j in range(rows) if j not in (i, partner)]
        total += np.log(np.maximum(1 - share[others], 1e-6)).sum()
    return -total / rows


@settings(max_examples=25, deadline=None)
@given(
    pairs=st.integers(2, 7),
    dim=st.integers(2, 8),
    temperature=st.floats(0.1, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_pair_criterion_is_the_formula(pairs, dim, temperature, seed):
    v = np.random.default_rng(seed).normal(size=(2 * pairs, dim))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    found = PairDiscrimination(temperature)(torch.from_numpy(v)).item()
    assert found == pytest.approx(literal_pair_criterion(v, temperature), rel=1e-4)


def test_affinity_takes_negatives_away():
    v = F.normalize(torch.randn(12, 4), dim=1)
    same = torch.ones(12, 12)
    only_attraction = PairDiscrimination()(v, same)
    assert only_attraction < PairDiscrimination()(v)
    assert PairDiscrimination()(v, torch.zeros(12, 12)) == PairDiscrimination()(v)


@pytest.mark.parametrize("shape", [(3, 4), (2, 4), (4, 2, 2)])
def test_pair_criterion_refuses_what_has_no_pairs(shape):
    with pytest.raises(ValueError, match="even number"):
        PairDiscrimination()(torch.zeros(shape))


def test_pair_criterion_refuses_a_negative_temperature():
    with pytest.raises(ValueError, match="positive"):
        PairDiscrimination(-1)


def test_region_discrimination_prefers_regions_alike_in_all_images():
    one = F.normalize(torch.randn(1, 5, 16), dim=2)
    alike = one.repeat(4, 1, 1)
    mixed = F.normalize(torch.randn(4, 5, 16), dim=2)
    assert RegionDiscrimination()(alike) < RegionDiscrimination()(mixed)
    with pytest.raises(ValueError, match="B, M, D"):
        RegionDiscrimination()(torch.zeros(5, 16))


def test_entropy_of_certainty_and_of_doubt():
    certain = F.one_hot(torch.randint(4, (2, 8, 8))).permute(0, 3, 1, 2).float()
    assert ClusterEntropy()(certain) < 1e-4
    assert ClusterEntropy()(torch.full((1, 2, 4, 4), 0.5)) == pytest.approx(1)


def test_entropy_counts_only_weighted_pixels():
    probability = torch.full((1, 2, 4, 4), 0.5)
    probability[..., :2] = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    weight = torch.zeros(1, 1, 4, 4)
    weight[..., 2:] = 1
    assert ClusterEntropy()(probability, weight) == pytest.approx(1)


def test_balance_is_zero_for_equal_areas_and_high_for_one_cluster():
    equal = torch.full((1, 8, 4, 4), 1 / 8)
    single = torch.zeros(1, 8, 4, 4)
    single[:, 0] = 1
    assert ClusterBalance()(equal) == pytest.approx(0, abs=1e-5)
    assert ClusterBalance()(single) == pytest.approx(3, abs=1e-3)


def test_shape_prior_loss_falls_as_masks_are_told_apart():
    sure, unsure = torch.full((4,), 5.0), torch.zeros(4)
    assert ShapePrior().discriminator(sure, -sure) < ShapePrior().discriminator(
        unsure, unsure
    )
    assert ShapePrior().generator(sure) < ShapePrior().generator(-sure)


def test_discriminator_refuses_small_maps():
    with pytest.raises(ValueError, match="160"):
        ShapeDiscriminator()(torch.zeros(1, 1, 96, 200))
