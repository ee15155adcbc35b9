"""How radiographs differ from each other: tone curves, shutters and film edges.

Detectors and their software map dose to grey by curves of their own: the lungs of one
set are nearly black, those of another as bright as the heart of the first.  And the
border shows what is no patient: black shutters, white film edges, lettering.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .views import ColourJitter, uniform

if TYPE_CHECKING:
    from .views import Augmentation

_LOG_GAMMA = (-1.4, 0.5)
_LEAST_CONTRAST = 0.6
_STRIP_SHARE, _WIDEST_STRIP = 0.2, 0.07
_BOX_SHARE, _LARGEST_BOX = 0.2, (0.08, 0.25)


class RadiographJitter(ColourJitter):
    """One random tone curve, blur, noise and border for each image of a batch.

    Grey stays grey.  Parameters are those of `ColourJitter`.
    """

    def __init__(self, count: int, strength: float, generator: torch.Generator) -> None:
        super().__init__(count, strength, generator)
        shape = (count, 1, 1, 1)
        self.tone = (uniform(*_LOG_GAMMA, shape, generator) * strength).exp()
        self.contrast = 1 - uniform(0, 1 - _LEAST_CONTRAST, shape, generator) * strength
        share = uniform(0, 1, shape, generator)
        self.lift = share * (1 - self.contrast)

    def colours(self, rgb: Tensor) -> Tensor:
        """Change tones: (B, 3, H, W) float32 in [0, 1] in and out."""
        curved = rgb.clamp(1e-4, 1) ** self.tone.to(rgb)
        return curved * self.contrast.to(rgb) + self.lift.to(rgb)

    def optics(self, rgb: Tensor) -> Tensor:
        """Lay strips and boxes over the border, then blur and add noise."""
        grey = super().optics(self._bordered(rgb)).mean(1, keepdim=True)
        return grey.expand_as(rgb)

    def _bordered(self, rgb: Tensor) -> Tensor:
        rgb = rgb.clone()
        for image in rgb:
            chance = uniform(0, 1, (4, 2, 4), self.generator).tolist()
            for side, (strip, box) in enumerate(chance):
                turned = torch.rot90(image, side, (1, 2)).clone()
                rows, columns = turned.shape[1:]
                if strip[0] < _STRIP_SHARE:
                    deep = 1 + int(strip[1] * _WIDEST_STRIP * rows)
                    turned[:, :deep] = round(strip[2])
                if box[0] < _BOX_SHARE:
                    deep = 1 + int(box[1] * _LARGEST_BOX[0] * rows)
                    long = 1 + int((0.3 + 0.7 * box[2]) * _LARGEST_BOX[1] * columns)
                    start = int(box[3] * (columns - long))
                    turned[:, :deep, start : start + long] = float(strip[3] > 0.7)
                image.copy_(torch.rot90(turned, -side, (1, 2)))
        return rgb


def view_jitter(
    count: int, augmentation: Augmentation, generator: torch.Generator
) -> ColourJitter:
    """Return the change of colours or of tones that an augmentation asks for."""
    kind = RadiographJitter if augmentation.radiographs else ColourJitter
    return kind(count, augmentation.jitter, generator)
