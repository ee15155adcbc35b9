"""The paper's losses (IPMI 2021, section 2), one class each.

Every loss is a mean over what it sees, in nats unless said otherwise.  ``v`` are unit
vectors, ``τ`` a temperature.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .devices import gather_with_gradient


class PairDiscrimination(nn.Module):
    r"""Pull the two views of a thing together, push everything else away.

    For 2n unit vectors of which rows i and i + n are two views of the same thing,

    .. math::
        P(j|i) = \frac{\exp(v_i \cdot v_j / τ)}{\sum_{k≠i} \exp(v_i \cdot v_k / τ)},
        \quad
        C = -\frac{1}{2n} \sum_i \Big[ \log P(i'|i)
            + \sum_{j≠i,\,j≠i'} \log(1 - P(j|i)) \Big]

    where i' is the partner of i, and the other side of each product (:math:`v_{i'}`,
    :math:`v_j` and :math:`v_k`) takes no gradient.  Section 2.1 of the paper.

    Parameters
    ----------
    temperature : float
        τ; 0.1 in the paper.

    Notes
    -----
    With several processes the negatives, and the denominator, are the vectors of all
    of them: the loss is that of the joint batch.  1 − P counts as 1e-6 at least, the
    last that float32 tells from 0.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"The temperature must be positive, not {temperature}.")
        self.temperature = temperature

    def forward(self, v: Tensor, affinity: Tensor | None = None) -> Tensor:
        """Compute the pair criterion C.

        Parameters
        ----------
        v : Tensor
            (2n, D) unit vectors; row i and row i + n are partners.
        affinity : Tensor, optional
            (2n, 2n) in [0, 1]: how surely two rows show the same structure.  Such a
            pair is no negative; its term counts 1 − affinity.  None: the paper.
            With several processes, of the rows of all of them.

        Returns
        -------
        Tensor
            Scalar.

        Raises
        ------
        ValueError
            If the number of rows is odd or less than 4.
        """
        rows = v.shape[0]
        if v.ndim != 2 or rows % 2 or rows < 4:
            raise ValueError(
                "The pair criterion needs an even number of at least 4 rows, "
                f"not a tensor of shape {tuple(v.shape)}."
            )
        first, second = v.chunk(2)
        v = torch.cat([gather_with_gradient(first), gather_with_gradient(second)])
        rows = v.shape[0]
        logits = v @ v.detach().T / self.temperature
        itself = torch.eye(rows, dtype=torch.bool, device=v.device)
        log_p = F.log_softmax(logits.masked_fill(itself, -torch.inf), dim=1)
        index = torch.arange(rows, device=v.device)
        partner = (index + rows // 2) % rows
        attraction = log_p[index, partner]
        # Weights, not a choice of elements, whose gradient would be scattered
        share = torch.ones_like(log_p) if affinity is None else 1 - affinity
        share = share.masked_fill(itself | itself.roll(rows // 2, 1), 0)
        repulsion = _log_one_minus_exp(log_p) * share
        return -(attraction + repulsion.sum(1)).mean()


def _log_one_minus_exp(log_p: Tensor) -> Tensor:
    """Return log(1 − exp(log_p)) for log_p < 0, exact near both ends."""
    log_p = log_p.clamp_max(-1e-6)
    return torch.where(
        log_p > -0.6931, torch.log(-torch.expm1(log_p)), torch.log1p(-torch.exp(log_p))
    )


class MixupDiscrimination(nn.Module):
    """Patch embeddings of a mixture must be the mixture of patch embeddings.

    An image w·I₁ + (1 − w)·I₂ is compared by the pair criterion with
    normalise(w·v₁ + (1 − w)·v₂), which takes no gradient (section 2.1).

    Parameters
    ----------
    temperature : float
        0.1 in the paper.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.criterion = PairDiscrimination(temperature)

    def forward(
        self, mixture: Tensor, first: Tensor, second: Tensor, weight: Tensor
    ) -> Tensor:
        """Compute the mix-up loss.

        Parameters
        ----------
        mixture, first, second : Tensor
            (B, D, g, g) patch embeddings of the mixture and of the mixed images.
        weight : Tensor
            (B,) weights w of the first images, in [0, 1].
        """
        w = weight.view(-1, 1, 1, 1).to(first)
        target = F.normalize(w * first + (1 - w) * second, dim=1).detach()
        loss: Tensor = self.criterion(torch.cat([_rows(mixture), _rows(target)]))
        return loss


def _rows(patches: Tensor) -> Tensor:
    return patches.permute(0, 2, 3, 1).flatten(0, 2)


class RegionDiscrimination(nn.Module):
    """Each image's region embedding belongs to its own cluster's centre.

    The centre of cluster m is normalise(mean over the batch of its region embeddings
    r); the loss is the mean of −log softmax_m(r·centre / τ) (section 2.2).  With
    several processes the centres are those of the joint batch.

    Parameters
    ----------
    temperature : float
        τ; 0.2 in the paper.
    """

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, regions: Tensor) -> Tensor:
        """Compare (B, M, D) region embeddings with their (M, D) centres.

        Raises
        ------
        ValueError
            If ``regions`` does not have three dimensions.
        """
        if regions.ndim != 3:
            raise ValueError(
                f"Region embeddings are (B, M, D), not {tuple(regions.shape)}."
            )
        regions = gather_with_gradient(regions)
        centres = F.normalize(regions.mean(0), dim=1)
        logits = regions @ centres.T / self.temperature
        target = torch.arange(regions.shape[1], device=regions.device)
        return F.cross_entropy(logits.flatten(0, 1), target.repeat(len(regions)))


class ClusterEntropy(nn.Module):
    """Mean of −p·log₂p − (1−p)·log₂(1−p): confident clusters (section 2.2)."""

    def forward(self, probability: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the entropy of (B, M, H, W) probabilities in bits.

        ``weight``, (B, 1, H, W) in [0, 1], says which pixels count.
        """
        p = probability.clamp(1e-7, 1 - 1e-7)
        bits = -p * p.log2() - (1 - p) * (1 - p).log2()
        if weight is None:
            return bits.mean()
        return (bits * weight).sum() / (weight.sum() * p.shape[1]).clamp_min(1)


class ClusterBalance(nn.Module):
    """Keep the clusters in use: log₂M minus the entropy of their mean areas, in bits.

    Not in the paper: without it a few clusters take everything in short trainings.
    """

    def forward(self, probability: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the balance loss of (B, M, H, W) probabilities."""
        if weight is None:
            weight = torch.ones_like(probability[:, :1])
        area = (probability * weight).sum((0, 2, 3)) / weight.sum().clamp_min(1)
        area = gather_with_gradient(area[None]).mean(0)
        area = area / area.sum().clamp_min(1e-7)
        entropy = -(area * area.clamp_min(1e-7).log2()).sum()
        return torch.log2(area.new_tensor(float(area.numel()))) - entropy


class ShapeDiscriminator(nn.Module):
    """Tells a prior's masks from a cluster's probability map (section 2.3).

    Five 3×3 convolutions, each followed by a max-pool, two without padding, then 1×1
    convolutions: 52,129 parameters, one answer for a map of 160 pixels, and the mean
    of several for larger maps.

    Parameters
    ----------
    slope : float
        Slope of the LeakyReLU below 0.  The released code constructs it with slope 1,
        which is no activation at all; the default here is the usual 0.2.
    """

    smallest = 160
    """Smallest height and width of a map, in pixels."""

    def __init__(self, slope: float = 0.2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (1, 16, 32, 32, 32, 32)
        for channels, out in itertools.pairwise(widths):
            layers += [nn.Conv2d(channels, out, 3, padding=1), nn.LeakyReLU(slope)]
            layers += [nn.MaxPool2d(2)]
        for size in (3, 3, 1):
            layers += [nn.Conv2d(32, 32, size), nn.LeakyReLU(slope)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(32, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the (B,) logits that (B, 1, H, W) maps in [0, 1] are masks."""
        if min(maps.shape[-2:]) < self.smallest:
            raise ValueError(
                f"The shape discriminator needs maps of at least {self.smallest} "
                f"pixels a side, not {tuple(maps.shape[-2:])}."
            )
        logits: Tensor = self.layers(maps).mean((1, 2, 3))
        return logits


class ShapePrior(nn.Module):
    """Binary cross-entropy of generator and discriminator (section 2.3)."""

    def generator(self, fake_logits: Tensor) -> Tensor:
        """Return how far cluster maps are from being taken for masks of the prior."""
        return F.binary_cross_entropy_with_logits(
            fake_logits, torch.ones_like(fake_logits)
        )

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return how badly masks of the prior and cluster maps are told apart."""
        real = self.generator(real_logits)
        fake = F.binary_cross_entropy_with_logits(
            fake_logits, torch.zeros_like(fake_logits)
        )
        return (real + fake) / 2
