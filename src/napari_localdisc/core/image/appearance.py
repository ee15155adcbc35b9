"""What a pixel's surroundings look like: blurred colour, edges and ridges."""

import torch
from torch import Tensor

from .contrast import gaussian_blur, network_input, without_edge

# Blurs as fractions of the working diameter: of the wide colour, before the gradient
# is taken, and before ridges are looked for, which are narrow and wide vessels
_WIDE, _EDGE, _RIDGES = 1 / 45, 1 / 180, (1 / 360, 1 / 120)


@torch.no_grad()
def picture_features(colour: Tensor, inside: Tensor) -> Tensor:
    """Describe the picture around each pixel of the working grid.

    Parameters
    ----------
    colour : Tensor
        (3, h, w) RGB in [0, 1].
    inside : Tensor
        (h, w) float32, 1 inside the field of view and 0 outside.

    Returns
    -------
    Tensor
        (14, h·w) float32, 0 outside: locally normalised colour (3), smooth colour
        relative to the image at two scales (6), the gradient's magnitude (1), and
        the curvature across ridges that are darker and brighter than their
        surroundings at two scales (4), both of the locally normalised green.
    """
    shape = colour.shape[-2:]
    diameter = max(shape)
    rgb, seen = colour.float()[None], inside[None, None]
    near = network_input(rgb, seen, diameter)
    seen = without_edge(seen, diameter)
    weight = gaussian_blur(seen, diameter * _WIDE) + 1e-3
    wide = gaussian_blur(near[:, 3:], diameter * _WIDE) / weight * seen
    green = near[:, 1:2]
    edges = gaussian_blur(green, diameter * _EDGE)[0, 0]
    planes = [torch.hypot(*torch.gradient(edges))]
    for fraction in _RIDGES:
        sigma = diameter * fraction
        planes += _curvatures(gaussian_blur(green, sigma)[0, 0], sigma)
    drawn = torch.stack(planes) * seen[0]
    return torch.cat([near[0], wide[0], drawn]).flatten(1)


def _curvatures(plane: Tensor, sigma: float) -> list[Tensor]:
    """Return the larger and the smaller eigenvalue of the Hessian, times sigma²."""
    down, right = torch.gradient(plane)
    down_down, down_right = torch.gradient(down)
    right_right = torch.gradient(right, dim=1)[0]
    mean = (down_down + right_right) / 2
    spread = torch.hypot((down_down - right_right) / 2, down_right)
    return [(mean + spread) * sigma**2, (mean - spread) * sigma**2]
