"""The dual-branch network of Chen et al. (IPMI 2021), section 2."""

import itertools
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from napari_localdisc.core.image.grid import Window

STRIDE = 16
"""Height and width of the network's input are multiples of this."""

BRANCH_REACH = 2
"""Pixels that a branch's two convolutions see on each side."""

Inner = tuple[Any, ...]

_BLOCKS_PER_GROUP = (2, 2, 3, 3, 3)
_GROUP_WIDTHS = (1, 2, 4, 8, 8)


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        NormalisedConvolution(channels_in, channels_out),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _blocks(channels: Iterable[int]) -> nn.Sequential:
    channels = list(channels)
    pairs = itertools.pairwise(channels)
    return nn.Sequential(*(_block(a, b) for a, b in pairs))


class Encoder(nn.Module):
    """VGG-16's convolutions at a fraction of its width, with batch norm.

    Parameters
    ----------
    in_channels : int
        Channels of the input image.
    width : int
        Channels of the first group; the paper uses 16, a quarter of VGG-16's.
    """

    def __init__(self, in_channels: int = 3, width: int = 16) -> None:
        super().__init__()
        self.widths = [width * factor for factor in _GROUP_WIDTHS]
        self.groups = nn.ModuleList()
        for depth, channels in zip(_BLOCKS_PER_GROUP, self.widths, strict=True):
            self.groups.append(_blocks([in_channels, *[channels] * depth]))
            in_channels = channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the five groups, at strides 1, 2, 4, 8 and 16."""
        skips = []
        for index, group in enumerate(self.groups):
            x = group(F.max_pool2d(x, 2) if index else x)
            skips.append(x)
        return skips


class Decoder(nn.Module):
    """Nearest upsampling and skips, down to ``2 * width`` channels at stride 1."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.groups = nn.ModuleList()
        channels = widths[-1]
        for skip in reversed(widths[1:-1]):
            out = skip // 2
            self.groups.append(_blocks([channels + skip, skip, out]))
            channels = out
        self.out_channels = channels + widths[0]

    def forward(self, skips: list[Tensor], window: Window | None = None) -> Tensor:
        """Return the (B, ``out_channels``, H, W) features both branches share.

        With a ``window``, whose ends are even, only those rows and columns.
        """
        *shallow, x = skips
        for group, skip in zip(self.groups, reversed(shallow[1:]), strict=True):
            x = group(torch.cat([_double(x), skip], 1))
        finest = shallow[0]
        if window is not None:
            rows, columns = (slice(part.start // 2, part.stop // 2) for part in window)
            x, finest = x[..., rows, columns], finest[(..., *window)]
        return torch.cat([_double(x), finest], 1)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class LocalDiscriminationNet(nn.Module):
    """Embedding branch and clustering branch on one U-Net.

    Parameters
    ----------
    in_channels : int
        Channels of the input; 3 in the paper.
    embedding_dim : int
        Dimension D of the hypersphere that pixels are embedded on.
    clusters : int
        Number M of clusters.
    width : int
        Channels of the first encoder group; 16 in the paper.

    Notes
    -----
    With the default arguments the encoder has 922,896 parameters and the decoder
    with both branches 510,384, as the paper's released code has.  The order of
    ``state_dict`` is that of the released code: encoder, decoder, embedding branch,
    clustering branch.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embedding_dim: int = 32,
        clusters: int = 16,
        width: int = 16,
    ) -> None:
        super().__init__()
        for name, value in (
            ("in_channels", in_channels),
            ("embedding_dim", embedding_dim),
            ("clusters", clusters),
            ("width", width),
        ):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}.")
        self.encoder = Encoder(in_channels, width)
        self.decoder = Decoder(self.encoder.widths)
        shared = self.decoder.out_channels
        self.embedding_branch = nn.Sequential(
            _block(shared, embedding_dim),
            nn.Conv2d(embedding_dim, embedding_dim, 3, padding=1),
        )
        self.clustering_branch = nn.Sequential(
            _block(shared, clusters),
            nn.Conv2d(clusters, clusters, 3, padding=1),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Embed and cluster every pixel.

        Parameters
        ----------
        x : Tensor
            (B, in_channels, H, W) float; H and W multiples of 16.

        Returns
        -------
        vectors : Tensor
            (B, D, H, W) float32 unit vectors.
        probability : Tensor
            (B, M, H, W) float32 cluster probabilities, summing to 1 over M.

        Raises
        ------
        ValueError
            If H or W is not a multiple of 16.
        """
        vectors, logits = self.raw(x)
        return F.normalize(vectors.float(), dim=1), cluster_probability(logits)

    def raw(
        self, x: Tensor, vector_stride: int = 1, window: Window | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return both branches' last convolutions, before any normalisation.

        With a ``vector_stride`` of 2 the embeddings are those of every other row and
        column, at a quarter of the cost of their last convolution.  With a ``window``
        only these rows and columns are returned, and the branches, which are half of
        the work, run on little more.
        """
        features, inner = self._features(x, window)
        block, last = self.embedding_branch
        assert isinstance(last, nn.Conv2d)
        vectors = F.conv2d(block(features), last.weight, last.bias, vector_stride, 1)
        logits = self.clustering_branch(features)
        return (vectors, logits) if window is None else (vectors[inner], logits[inner])

    def logits(self, x: Tensor, window: Window | None = None) -> Tensor:
        """Return the clustering branch's last convolution alone; see `raw`."""
        features, inner = self._features(x, window)
        logits: Tensor = self.clustering_branch(features)
        return logits[inner]

    def _features(self, x: Tensor, window: Window | None) -> tuple[Tensor, Inner]:
        if x.shape[-1] % STRIDE or x.shape[-2] % STRIDE:
            raise ValueError(
                f"Height and width must be multiples of {STRIDE}, "
                f"not {tuple(x.shape[-2:])}; pad the image first."
            )
        if window is None:
            features: Tensor = self.decoder(self.encoder(x))
            return features, (...,)
        sides = list(zip(window, x.shape[-2:], strict=True))
        rows, columns = (
            slice(
                max(0, part.start - BRANCH_REACH) // 2 * 2,
                min(side, -(-(part.stop + BRANCH_REACH) // 2) * 2),
            )
            for part, side in sides
        )
        features = self.decoder(self.encoder(x), (rows, columns))
        top, left = window[0].start - rows.start, window[1].start - columns.start
        height, width = (part.stop - part.start for part in window)
        return features, (..., slice(top, top + height), slice(left, left + width))


def cluster_probability(logits: Tensor) -> Tensor:
    """Turn (B, M, H, W) logits into probabilities: a sigmoid, then L1-normalised."""
    return F.normalize(torch.sigmoid(logits.float()), p=1, dim=1)


def patch_embedding(vectors: Tensor, grid: int) -> Tensor:
    """Average pixel embeddings over a grid of patches, back onto the hypersphere.

    (B, D, H, W) unit vectors become (B, D, grid, grid); ``grid`` is 8 in the paper.
    """
    return F.normalize(F.adaptive_avg_pool2d(vectors, grid), dim=1)


def region_embedding(
    vectors: Tensor, probability: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Mean of probability × embedding over each image's pixels, normalised.

    The released code materialises a (B, M, D, H, W) tensor; this is the same as one
    matrix product.

    Parameters
    ----------
    vectors : Tensor
        (B, D, H, W) unit vectors.
    probability : Tensor
        (B, M, H, W) cluster probabilities.
    weight : Tensor, optional
        (B, 1, H, W) in [0, 1]: pixels that count, for instance the field of view.

    Returns
    -------
    Tensor
        (B, M, D) unit vectors.
    """
    if weight is not None:
        probability = probability * weight
    pixels = vectors.shape[-2] * vectors.shape[-1]
    summed = probability.flatten(2) @ vectors.flatten(2).transpose(1, 2)
    return F.normalize(summed / pixels, dim=2)


def channels_last(network: LocalDiscriminationNet) -> LocalDiscriminationNet:
    """Lay the weights out as processors convolve fastest; returns the network."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def freeze_statistics(network: nn.Module) -> None:
    """Let every batch norm use the statistics it has and leave them as they are."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@torch.no_grad()
def blend(network: nn.Module, other: nn.Module, share: float) -> None:
    """Move a network's weights towards those of another one, by a share of the way."""
    others = other.state_dict()
    for name, values in network.state_dict().items():
        if values.is_floating_point():
            values.lerp_(others[name].to(values), share)


class NormalisedConvolution(nn.Conv2d):
    """A 3×3 convolution that a batch norm follows directly.

    In training mode the norm subtracts the mean, and with it whatever the bias added:
    the bias has no gradient.  Processors spend up to a third of the backward pass on
    it all the same, and rounding errors let Adam push it about; here it is zero.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Convolve (B, C, H, W)."""
        assert self.bias is not None
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(input)
        values = input, self.weight, self.bias
        kind = input.device.type
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            values = input.to(dtype), self.weight.to(dtype), self.bias.to(dtype)
        result: Tensor = _BiasWithoutGradient.apply(*values)  # type: ignore[no-untyped-call]
        return result


class _BiasWithoutGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        wanted = [*ctx.needs_input_grad[:2], False]
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
        )
        of_bias = torch.zeros_like(bias) if ctx.needs_input_grad[2] else None
        return of_x, of_weight, of_bias
