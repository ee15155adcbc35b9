"""The convolution that a batch norm follows."""

import pytest
import torch
from torch import nn

from napari_localdisc.core.model.network import (
    LocalDiscriminationNet,
    NormalisedConvolution,
)


@pytest.fixture
def pair():
    """The same layer twice, ours and torch's, in double precision."""
    torch.manual_seed(1)
    ours = nn.Sequential(NormalisedConvolution(3, 5), nn.BatchNorm2d(5)).double()
    theirs = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5)).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def gradients(layers, x, weight):
    x = x.clone().requires_grad_()
    (layers(x) * weight).sum().backward()
    return [x.grad, *(p.grad for p in layers.parameters())]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_torch(pair, layout):
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64).contiguous(memory_format=layout)
    weight = torch.randn(2, 5, 8, 6, dtype=torch.float64)
    ours, theirs = (gradients(layers, x, weight) for layers in pair)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)
    assert (ours[2] == 0).all()


def test_a_bias_without_a_norm_in_training_has_its_gradient(pair):
    ours, theirs = (layers.eval() for layers in pair)
    x, weight = torch.randn(1, 3, 6, 6).double(), torch.randn(1, 5, 6, 6).double()
    mine, other = (gradients(layers, x, weight)[2] for layers in (ours, theirs))
    torch.testing.assert_close(mine, other)
    assert (mine != 0).any()


def test_autocast_is_followed(pair):
    layer = pair[0][0].float()
    with torch.autocast("cpu", torch.bfloat16):
        result = layer(torch.randn(1, 3, 8, 8))
    assert result.dtype == torch.bfloat16
    result.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_strided_embeddings_are_every_other_one():
    torch.manual_seed(0)
    net = LocalDiscriminationNet(embedding_dim=6, clusters=4, width=2)
    x = torch.randn(2, 3, 32, 48)
    with torch.no_grad():
        vectors, logits = net.raw(x)
        strided, same = net.raw(x, vector_stride=2)
        alone = net.logits(x)
    torch.testing.assert_close(strided, vectors[..., ::2, ::2])
    torch.testing.assert_close(same, logits)
    torch.testing.assert_close(alone, logits)
