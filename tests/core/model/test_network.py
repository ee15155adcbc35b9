from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.reference import paper_code, random_reference

from napari_localdisc.core.model.network import (
    LocalDiscriminationNet,
    blend,
    freeze_statistics,
    patch_embedding,
    region_embedding,
)


@pytest.fixture(scope="module")
def released():
    """The network with the released code's weights, and the released figures."""
    figures = paper_code()
    net = LocalDiscriminationNet()
    values = [v for k, v in figures.items() if k.startswith(("encoder/", "decoder/"))]
    names = [k for k in net.state_dict() if "num_batches" not in k]
    assert len(values) == len(names)
    state = {k: torch.from_numpy(v) for k, v in zip(names, values, strict=True)}
    net.load_state_dict(state, strict=False)
    return net, figures


def test_parameters_are_as_many_as_in_the_released_code():
    net = LocalDiscriminationNet(embedding_dim=32, clusters=16, width=16)
    encoder = sum(p.numel() for p in net.encoder.parameters())
    total = sum(p.numel() for p in net.parameters())
    assert (encoder, total - encoder) == (922_896, 510_384)


@torch.no_grad()
def test_equals_the_released_code_in_evaluation(released):
    net, figures = released
    vectors, probability = net.eval()(torch.from_numpy(figures["x"][:1]))
    np.testing.assert_allclose(vectors, figures["eval/embedding"], atol=1e-4)
    expected = figures["eval/cluster_probability"]
    np.testing.assert_allclose(probability, expected, atol=1e-4)


@torch.no_grad()
def test_equals_the_released_code_in_training(released):
    net, figures = released
    vectors, probability = net.train()(torch.from_numpy(figures["x"]))
    patches = patch_embedding(vectors, int(figures["grid"][0]))
    np.testing.assert_allclose(patches, figures["train/patch_embedding"], atol=1e-4)
    regions = region_embedding(vectors, probability)
    np.testing.assert_allclose(regions, figures["train/region_embedding"], atol=1e-4)
    area = probability.mean((2, 3))
    np.testing.assert_allclose(area, figures["train/cluster_area"], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_equals_the_committed_reference(mode):
    figures = random_reference()
    net = LocalDiscriminationNet(embedding_dim=6, clusters=4, width=2).double()
    prefix = "weights/"
    net.load_state_dict(
        {
            k.removeprefix(prefix): torch.from_numpy(np.asarray(v))
            for k, v in figures.items()
            if k.startswith(prefix)
        }
    )
    vectors, probability = net.train(mode == "train")(torch.from_numpy(figures["x"]))
    np.testing.assert_allclose(vectors, figures[f"{mode}/vectors"], atol=1e-5)
    np.testing.assert_allclose(probability, figures[f"{mode}/probability"], atol=1e-5)


@torch.no_grad()
@settings(max_examples=10, deadline=None)
@given(
    dim=st.integers(1, 9),
    clusters=st.integers(1, 6),
    width=st.integers(1, 3),
    channels=st.integers(1, 6),
    sides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_outputs_lie_on_sphere_and_simplex(dim, clusters, width, channels, sides):
    net = LocalDiscriminationNet(channels, dim, clusters, width).eval()
    height, width_ = (16 * side for side in sides)
    vectors, probability = net(torch.randn(1, channels, height, width_))
    assert vectors.shape == (1, dim, height, width_)
    assert probability.shape == (1, clusters, height, width_)
    np.testing.assert_allclose(probability.sum(1), 1, atol=1e-5)
    norms = vectors.norm(dim=1)
    np.testing.assert_allclose(norms[norms > 0.5], 1, atol=1e-5)


@torch.no_grad()
def test_region_embedding_is_the_weighted_mean_of_the_released_code():
    vectors = torch.nn.functional.normalize(torch.randn(2, 5, 8, 8), dim=1)
    probability = torch.rand(2, 3, 8, 8)
    weight = (torch.rand(2, 1, 8, 8) > 0.3).float()
    product = vectors[:, None] * (probability * weight)[:, :, None]
    expected = torch.nn.functional.normalize(product.mean((3, 4)), dim=2)
    np.testing.assert_allclose(
        region_embedding(vectors, probability, weight), expected, atol=1e-5
    )


def test_refuses_sizes_that_do_not_pool():
    with pytest.raises(ValueError, match="multiples of 16"):
        LocalDiscriminationNet(width=1)(torch.zeros(1, 3, 30, 32))


@pytest.mark.parametrize("name", ["in_channels", "embedding_dim", "clusters", "width"])
def test_refuses_empty_networks(name):
    with pytest.raises(ValueError, match=name):
        LocalDiscriminationNet(**{name: 0})


def test_frozen_statistics_stay_while_weights_learn():
    net = LocalDiscriminationNet(width=1).train()
    before = {k: v.clone() for k, v in net.state_dict().items() if "running" in k}
    freeze_statistics(net)
    vectors, _ = net(torch.rand(2, 3, 32, 32))
    vectors[0].sum().backward()
    assert next(net.parameters()).grad is not None
    for name, value in before.items():
        assert torch.equal(net.state_dict()[name], value)


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_blended_weights_lie_on_the_way(share):
    torch.manual_seed(0)
    first, second = (LocalDiscriminationNet(width=1) for _ in "12")
    a, b = (next(net.parameters()).detach().clone() for net in (first, second))
    blend(first, second, share)
    torch.testing.assert_close(next(first.parameters()), a + share * (b - a))
    assert torch.equal(next(second.parameters()), b)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_window_is_cut_out_of_the_whole(data):
    network = LocalDiscriminationNet(in_channels=2, clusters=3, width=2).eval()
    window = []
    for side in (32, 48):
        start = data.draw(st.integers(0, side - 1))
        window.append(slice(start, data.draw(st.integers(start + 1, side))))
    x = torch.randn(1, 2, 32, 48)
    with torch.no_grad():
        whole = network.raw(x)
        parts = network.raw(x, window=tuple(window))
        alone = network.logits(x, tuple(window))
    for part, expected in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, expected[:, :, *window])
    torch.testing.assert_close(alone, parts[1])
