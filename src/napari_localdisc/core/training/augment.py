"""Augmented views of photographs, and what undoes their turn.

Every view is cut out of its photograph by one affine map, so that two views, or a view
and its masks, can be laid over each other exactly.  Warps and colour changes are
kornia's.
"""

import io
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from kornia.enhance import adjust_hue, adjust_saturation
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import warp_affine
from PIL import Image
from torch import Tensor

from napari_localdisc.core.image.contrast import colour_statistics


def uniform(
    low: float, high: float, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Draw float32 numbers between ``low`` and ``high``, on the CPU."""
    return low + (high - low) * torch.rand(shape, generator=generator)


@dataclass(frozen=True)
class Augmentation:
    """How far views differ from their photographs.

    Attributes
    ----------
    smallest_scale, largest_scale : float
        Range of magnification, log-uniform.
    jitter : float
        Strength of the change of colours; 1 covers what cameras differ by.
    turn_jitter : float
        Largest rotation in degrees between the two views of a photograph, beside
        multiples of 90° where photographs turn freely.
    largest_turn : float
        Largest rotation in degrees; from 180 photographs turn freely.
    mirror : bool
        Whether photographs may be mirrored.
    roughness : float
        Strength of what spoils pictures: wide blur, JPEG's blocks, steep tone curves.
    radiographs : bool
        Whether tones and borders change, as between radiographs, instead of colours.
    """

    smallest_scale: float = 0.75
    largest_scale: float = 1.35
    jitter: float = 1.0
    turn_jitter: float = 2.0
    largest_turn: float = 180.0
    mirror: bool = True
    radiographs: bool = False
    roughness: float = 0.0

    @property
    def turns_freely(self) -> bool:
        """Whether up is as good as down, as in a retina and unlike in a chest."""
        return self.largest_turn >= 180


def crop_maps(
    centres: Tensor,
    size: int,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> Tensor:
    """Draw affine maps from a photograph's pixels to those of a crop.

    Parameters
    ----------
    centres : Tensor
        (B, 2) x, y of the crops' centres in pixels of the photograph.
    size : int
        Side of the crops in pixels.
    augmentation : Augmentation
        Ranges of scale and rotation, and whether to mirror.
    generator : torch.Generator
        Source of all randomness.

    Returns
    -------
    Tensor
        (B, 3, 3) float32.
    """
    count = len(centres)
    scales = torch.tensor([augmentation.smallest_scale, augmentation.largest_scale])
    low, high = scales.log().tolist()
    scale = uniform(low, high, (count,), generator).exp()
    limit = torch.pi * min(augmentation.largest_turn, 180) / 180
    angle = uniform(0, 2 * limit, (count,), generator)
    mirror = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1
    if not augmentation.turns_freely:
        angle = angle - limit
    if not augmentation.mirror:
        mirror = torch.ones_like(mirror)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    maps = torch.zeros(count, 3, 3)
    maps[:, 0, 0], maps[:, 0, 1] = mirror * cos, -mirror * sin
    maps[:, 1, 0], maps[:, 1, 1] = sin, cos
    maps[:, 2, 2] = 1
    middle = (size - 1) / 2
    offset = (maps[:, :2, :2] @ centres[:, :, None])[:, :, 0]
    maps[:, :2, 2] = middle - offset
    return maps


def second_view_maps(
    maps: Tensor,
    size: int,
    augmentation: Augmentation,
    generator: torch.Generator,
) -> Tensor:
    """Turn crops by a little, by multiples of 90°, and by 180° with p = 0.5.

    The second views of the paper (section 3): (B, 3, 3) maps in, (B, 3, 3) maps out.
    Photographs that do not turn freely are only turned by a little.
    """
    count = len(maps)
    quarter = torch.randint(0, 4, (count,), generator=generator)
    half = torch.randint(0, 2, (count,), generator=generator) * 2
    limit = augmentation.turn_jitter / 180 * torch.pi
    angle = (quarter + half) * (torch.pi / 2) * augmentation.turns_freely
    angle = angle + uniform(-limit, limit, (count,), generator)
    middle = (size - 1) / 2
    turn = torch.zeros(count, 3, 3)
    turn[:, 0, 0], turn[:, 0, 1] = angle.cos(), -angle.sin()
    turn[:, 1, 0], turn[:, 1, 1] = angle.sin(), angle.cos()
    turn[:, 2, 2] = 1
    centre = torch.full((2, 1), middle)
    turn[:, :2, 2:] = centre - turn[:, :2, :2] @ centre
    return turn @ maps


def warp(images: Tensor, maps: Tensor, size: int) -> Tensor:
    """Cut (B, C, size, size) crops out of (B, C, H, W) images; zeros outside."""
    return warp_affine(images, maps[:, :2].to(images), (size, size))


def undo_turn(second: Tensor, maps1: Tensor, maps2: Tensor) -> Tensor:
    """Lay (B, C, S, S) values of the second views over the first views."""
    back = maps1 @ torch.linalg.inv(maps2)
    return warp(second, back, second.shape[-1])


def rescaled(maps: Tensor, factor: float) -> Tensor:
    """Return (B, 3, 3) maps for images whose pixel (r, c) is the old (r, c)/factor."""
    scaled = maps.clone()
    scaled[:, :2, 2] *= factor
    return scaled


class ColourJitter:
    """One random change of colours, blur and noise for each image of a batch.

    Parameters
    ----------
    count : int
        Images in the batch.
    strength : float
        1 covers what cameras differ by; 0 changes nothing.
    generator : torch.Generator
        Source of all randomness.
    roughness : float
        As of `Augmentation`.
    """

    def __init__(
        self,
        count: int,
        strength: float,
        generator: torch.Generator,
        roughness: float = 0.0,
    ) -> None:
        def around(spread: float, channels: int = 1) -> Tensor:
            values = uniform(-spread, spread, (count, channels, 1, 1), generator)
            return values * strength

        self.gain = around(0.25).exp() * around(0.12, 3).exp()
        self.gamma = around(0.35).exp()
        self.saturation = around(0.35).exp().flatten()
        self.hue = around(0.1).flatten()
        blurred = torch.rand(count, 1, generator=generator) < 0.5
        self.blur = uniform(0.3, 1.0, (count, 1), generator) * strength * blurred
        sharpened = torch.rand(count, generator=generator) < 0.3
        self.sharpness = uniform(0.2, 1.2, (count,), generator) * strength * sharpened
        self.noise = uniform(0, 0.014, (count, 1, 1, 1), generator) * strength
        self.coarse_noise = uniform(0, 0.01, (count, 1, 1, 1), generator) * strength
        self.generator = generator
        self.qualities: list[int] = []
        if roughness:
            self._roughen(count, roughness, generator)

    def _roughen(self, count: int, strength: float, generator: torch.Generator) -> None:
        """Make some blurs wide and some tone curves steep; choose JPEG's qualities."""
        chance = torch.rand(3, count, generator=generator)
        wide = uniform(0.8, 1.8, (count, 1), generator) * strength
        self.blur = torch.where(chance[0, :, None] < 0.25, wide, self.blur)
        tone = uniform(-0.5, 0.5, (count, 1, 1, 1), generator) * strength
        steep = chance[1].view(-1, 1, 1, 1) < 0.3
        self.gamma = torch.where(steep, self.gamma * tone.exp(), self.gamma)
        quality = uniform(25, 90, (count,), generator).round()
        quality = torch.where(chance[2] < 0.35 * strength, quality, 0)
        self.qualities = quality.int().tolist()

    def colours(self, rgb: Tensor) -> Tensor:
        """Change each pixel's colour: (B, 3, H, W) float32 in [0, 1] in and out."""
        rgb = (rgb.clamp_min(1e-4) ** self.gamma.to(rgb)) * self.gain.to(rgb)
        rgb = adjust_saturation(rgb.clamp(0, 1), self.saturation.to(rgb))
        return adjust_hue(rgb, self.hue.to(rgb)).clamp(0, 1)

    def optics(self, rgb: Tensor) -> Tensor:
        """Blur or sharpen, then add fine and coarse noise."""
        sigma = self.blur.clamp_min(0.05).expand(-1, 2).to(rgb)
        smooth = gaussian_blur2d(rgb, (9, 9), sigma)
        soft = gaussian_blur2d(rgb, (9, 9), (1.5, 1.5))
        sharper = self.sharpness.view(-1, 1, 1, 1).to(rgb) * (rgb - soft)
        shape = rgb.shape
        fine = torch.randn(shape, generator=self.generator).to(rgb)
        half = (shape[0], 3, -(-shape[2] // 2), -(-shape[3] // 2))
        coarse = torch.randn(half, generator=self.generator).to(rgb)
        coarse = F.interpolate(coarse, size=shape[2:], mode="bilinear")
        noise = self.noise.to(rgb) * fine + self.coarse_noise.to(rgb) * coarse
        spoilt = (smooth + sharper + noise).clamp(0, 1)
        for k, quality in enumerate(self.qualities):
            if quality:
                spoilt[k] = compressed(spoilt[k], quality)
        return spoilt

    def statistics(self, thumbnail: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """Colour statistics of the whole photographs after the change of colours."""
        return colour_statistics(self.colours(thumbnail), inside)


def compressed(rgb: Tensor, quality: int) -> Tensor:
    """Return a (3, H, W) picture in [0, 1] as JPEG of a quality gives it back."""
    pixels = (rgb.permute(1, 2, 0) * 255).round().byte().cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as picture:
        decoded = torch.from_numpy(np.array(picture))
    return decoded.permute(2, 0, 1).to(rgb) / 255


_LOG_GAMMA = (-1.4, 0.5)
_LEAST_CONTRAST = 0.6
_STRIP_SHARE, _WIDEST_STRIP = 0.2, 0.07
_BOX_SHARE, _LARGEST_BOX = 0.2, (0.08, 0.25)


class RadiographJitter(ColourJitter):
    """One random tone curve, blur, noise and border for each image of a batch.

    Grey stays grey.  Parameters are those of `ColourJitter`.
    """

    def __init__(
        self,
        count: int,
        strength: float,
        generator: torch.Generator,
        roughness: float = 0.0,
    ) -> None:
        super().__init__(count, strength, generator, roughness)
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
    return kind(count, augmentation.jitter, generator, augmentation.roughness)
