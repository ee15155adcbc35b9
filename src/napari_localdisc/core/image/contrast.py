"""What the network sees: local contrast beside smooth colour.

A camera's brightness and colour cast are not anatomy.  Local contrast normalisation
takes them away, the smooth colour relative to the whole image keeps what tells an
optic disc from a fovea, and pixels outside the field of view are 0, the mean.
"""

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import FloatImage, Mask
from .mirrored import surrounded

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

CONTRAST_FRACTION = 1 / 36
"""Blur of the local contrast normalisation, as a fraction of the working diameter."""

COLOUR_FRACTION = 1 / 180
"""Blur of the smooth colour, as a fraction of the working diameter."""

EDGE_FRACTION = 1 / 200
"""Outermost part of the field of view, as a fraction of the working diameter, that the
network does not see: light falls off there, which looks like a vessel."""

COLOUR_CHANNELS, CONTRAST_CHANNELS = 3, 6
"""Input channels of the paper's network, and of one that also sees local contrast."""


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Blur (B, C, H, W) images with a Gaussian of ``sigma`` pixels, zeros outside.

    Wide Gaussians are computed on averages of up to 4×4 pixels: same result to the
    eye, a fraction of the time.
    """
    step = max(1, min(4, int(sigma / 1.5)))
    if step > 1:
        height, width = x.shape[-2:]
        padding = (0, -width % step, 0, -height % step)
        small = _block_mean(F.pad(x, padding) if any(padding) else x, step)
        blurred = _separable_blur(small, sigma / step)
        full = (blurred.shape[-2] * step, blurred.shape[-1] * step)
        large = F.interpolate(blurred, size=full, mode="bilinear")
        return large[..., :height, :width]
    return _separable_blur(x, sigma)


def _block_mean(x: Tensor, step: int) -> Tensor:
    """Average over step×step blocks; by slices: much faster than pooling."""
    rows = x[..., ::step, :] + x[..., 1::step, :]
    for start in range(2, step):
        rows += x[..., start::step, :]
    columns = rows[..., ::step] + rows[..., 1::step]
    for start in range(2, step):
        columns += rows[..., start::step]
    return columns.mul_(1 / step**2)


def _separable_blur(x: Tensor, sigma: float) -> Tensor:
    rows = _blur_matrix(x.shape[-2], sigma).to(x)
    columns = _blur_matrix(x.shape[-1], sigma).to(x)
    return rows @ x @ columns.T


@functools.lru_cache(maxsize=16)
def _blur_matrix(size: int, sigma: float) -> Tensor:
    """Return the (size, size) matrix that blurs a column; matrix products are fast."""
    positions = torch.arange(size, dtype=torch.float32)
    distance = positions[:, None] - positions[None, :]
    kernel = torch.exp(-0.5 * (distance / sigma).square())
    return kernel / (sigma * math.sqrt(2 * math.pi))


def local_contrast(rgb: Tensor, inside: Tensor, sigma: float) -> Tensor:
    """Subtract the local mean and divide by the local deviation.

    Of (B, 3, H, W) colours over a neighbourhood of ``sigma`` pixels; the result has
    about unit variance inside the (B, 1, H, W) field of view and is 0 outside.
    """
    mean, weight = _local_mean(rgb, inside, sigma)
    deviation = (rgb - mean) * inside
    variance = gaussian_blur(deviation.square(), sigma) / weight
    return deviation / (variance.clamp_min(0).sqrt() + 0.01)


def _local_mean(rgb: Tensor, inside: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Mean over the neighbourhood's part of the field of view, and that part."""
    blurred = gaussian_blur(torch.cat([rgb * inside, inside], 1), sigma)
    weight = blurred[:, 3:] + 1e-3
    return blurred[:, :3] / weight, weight


def without_edge(inside: Tensor, working_diameter: int) -> Tensor:
    """Take the edge off a (B, 1, H, W) field of view; borders of the array stay."""
    reach = round(working_diameter * EDGE_FRACTION)
    if not reach:
        return inside
    least = F.pad(inside, (reach,) * 4, value=math.inf)
    for dim in (2, 3):
        least = _least_of(least, 2 * reach + 1, dim)
    return least


def _least_of(x: Tensor, window: int, dim: int) -> Tensor:
    """Minimum over windows along an axis, in log2(window) passes."""
    size = 1
    while size < window:
        shift = min(size, window - size)
        length = x.shape[dim] - shift
        x = torch.minimum(x.narrow(dim, 0, length), x.narrow(dim, shift, length))
        size += shift
    return x


def colour_statistics(rgb: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel inside the field of view: two (B, 3, 1, 1)."""
    count = inside.sum((2, 3), keepdim=True).clamp_min(1)
    mean = (rgb * inside).sum((2, 3), keepdim=True) / count
    variance = ((rgb - mean).square() * inside).sum((2, 3), keepdim=True) / count
    return mean, variance.sqrt()


def as_batch(
    rgb: FloatImage, inside: Mask, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Bring (h, w, 3) colours and an (h, w) field of view to a device, as batches."""
    return (
        torch.from_numpy(rgb).permute(2, 0, 1)[None].to(device),
        torch.from_numpy(inside)[None, None].to(device, torch.float32),
    )


def network_input(
    rgb: Tensor,
    inside: Tensor,
    working_diameter: int,
    in_channels: int = CONTRAST_CHANNELS,
    statistics: tuple[Tensor, Tensor] | None = None,
    surround: int = 0,
    margin: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Tensor:
    """Turn images on the working grid into the network's input channels.

    Parameters
    ----------
    rgb : Tensor
        (B, 3, H, W) float32 in [0, 1].
    inside : Tensor
        (B, 1, H, W) float32, 1 inside the field of view and 0 outside; its edge is
        left out.
    working_diameter : int
        Diameter of the field of view in pixels of the working grid.
    in_channels : int
        6: local contrast and smooth colour.  3: colour as in the paper, with
        ImageNet's mean and deviation.
    statistics : tuple of Tensor, optional
        ``colour_statistics`` of the whole image, where ``rgb`` is a crop of it.
    surround : int
        Pixels around the field of view that are filled from inside, see `surrounded`.
    margin : tuple of int
        Pixels outside of the field of view that are added left, right, above and below.

    Returns
    -------
    Tensor
        (B, in_channels, H, W) float32, larger by the margin.

    Raises
    ------
    ValueError
        If ``in_channels`` is neither 3 nor 6.
    """
    inside = without_edge(inside, working_diameter)
    if in_channels == CONTRAST_CHANNELS:
        statistics = statistics or colour_statistics(rgb, inside)
    if any(margin):
        rgb, inside = F.pad(rgb, margin), F.pad(inside, margin)
    rgb, inside = surrounded(rgb, inside, surround)
    if in_channels == COLOUR_CHANNELS:
        mean = rgb.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        std = rgb.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
        return (rgb - mean) / std * inside
    if statistics is None:
        raise ValueError(f"The network sees 3 or 6 channels, not {in_channels}.")
    mean, std = statistics
    contrast = local_contrast(rgb, inside, working_diameter * CONTRAST_FRACTION)
    sigma = working_diameter * COLOUR_FRACTION
    colour, _ = _local_mean(rgb, inside, sigma)
    colour = (colour - mean) / (std + 0.02) * inside
    return torch.cat([contrast, colour.clamp(-6, 6)], 1)
