"""From prepared photographs to what the network sees in one step.

Everything random in step n follows from the seed and n alone: a training that goes on
from a checkpoint sees exactly what it would have seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from napari_localdisc.core.image.contrast import colour_statistics, network_input

from .augment import crop_maps, second_view_maps, uniform, view_jitter, warp
from .photographs import FITTED, INSIDE, PHOTOGRAPH, Photographs
from .rendering import Renderer
from .settings import TrainingSettings

_THUMBNAIL_STEP = 12
_CENTRED_SHARE = 0.5
"""Share of crops that are centred on a fitted structure."""
_FIRST_SHARE = 0.5
"""Share of these that are centred on the first; the others on any."""
_WHOLE_SHARE = 0.75
"""Crops from this share of a photograph's side hold its structures wherever they are.
"""


@dataclass
class Windows:
    """Square cut-outs of photographs that hold the step's crops.

    Attributes
    ----------
    pixels : Tensor
        (N, C, W, W) uint8, the photographs' channels.
    thumbnails : Tensor
        (N, 4, t, t) uint8: the whole photographs and fields of view, small.
    maps : Tensor
        (N, 3, 3) float32 from a window's pixels to those of its crop.
    second_maps : Tensor
        The same to the second view's.
    step : int
        Which step they are for.
    """

    pixels: Tensor
    thumbnails: Tensor
    maps: Tensor
    second_maps: Tensor
    step: int

    def to(self, device: torch.device) -> Windows:
        """Copy everything large to a device."""
        pixels = self.pixels.to(device, non_blocking=True)
        thumbnails = self.thumbnails.to(device, non_blocking=True)
        return replace(self, pixels=pixels, thumbnails=thumbnails)


class WindowDataset(Dataset[Windows]):
    """Item n is what step n needs of the photographs.

    Parameters
    ----------
    photographs : Photographs
        Prepared photographs.
    settings : TrainingSettings
        Sizes, augmentation and seed.
    rank : int
        Number of this process; each sees photographs of its own.
    """

    def __init__(
        self, photographs: Photographs, settings: TrainingSettings, rank: int = 0
    ) -> None:
        self.photographs, self.settings, self.rank = photographs, settings, rank
        reach = settings.crop_size / settings.augmentation.smallest_scale
        self.window = min(photographs.size, math.ceil(reach * math.sqrt(2)) + 8)

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, step: int) -> Windows:
        settings = self.settings
        generator = step_generator(settings.seed, step, self.rank, purpose=0)
        count = settings.images_per_step + settings.rendered_per_step
        index = torch.randint(len(self.photographs), (count,), generator=generator)
        pixels, thumbnails, centres = [], [], []
        for k in index.tolist():
            array = self.photographs.arrays[k]
            centre = self._centre(array, generator)
            corner = (centre - self.window / 2).round()
            corner = corner.clamp(0, self.photographs.size - self.window)
            left, top = (int(c) for c in corner.tolist())
            window = np.s_[:, top : top + self.window, left : left + self.window]
            pixels.append(torch.from_numpy(array[window].copy()))
            small = array[:4, ::_THUMBNAIL_STEP, ::_THUMBNAIL_STEP].copy()
            thumbnails.append(torch.from_numpy(small))
            centres.append(centre - corner)
        maps = crop_maps(
            torch.stack(centres), settings.crop_size, settings.augmentation, generator
        )
        second = second_view_maps(
            maps, settings.crop_size, settings.augmentation, generator
        )
        return Windows(torch.stack(pixels), torch.stack(thumbnails), maps, second, step)

    @staticmethod
    def _kind(count: int, generator: torch.Generator) -> int:
        """Choose among fitted maps: every other time the first, as there is but one."""
        if float(torch.rand((), generator=generator)) < _FIRST_SHARE:
            return FITTED
        return int(torch.randint(FITTED, count, (), generator=generator))

    def _centre(self, array: NDArray[np.uint8], generator: torch.Generator) -> Tensor:
        """Choose x, y of a crop's centre, so that most of it is inside."""
        size = self.photographs.size
        centred = float(torch.rand((), generator=generator)) < _CENTRED_SHARE
        offset = uniform(-1, 1, (2,), generator)
        whole = self.settings.crop_size >= _WHOLE_SHARE * size
        if centred and not whole and len(array) > FITTED:
            kind = self._kind(len(array), generator)
            rows, columns = np.nonzero(array[kind, ::4, ::4] == 255)
            if len(rows):
                pick = int(torch.randint(len(rows), (), generator=generator))
                found = torch.tensor([columns[pick], rows[pick]]).float() * 4
                return found + offset * self.settings.crop_size * 0.35
        free = size * 0.1 if whole else (size - self.settings.crop_size * 0.6) / 2
        if self.settings.modality == "fundus":
            # Uniform over a disc: the corners of the square are outside.
            radius = uniform(0, 1, (), generator).sqrt()
            offset = offset / offset.norm().clamp_min(1e-3) * radius
        return ((size - 1) / 2 + offset * free).float()


def step_generator(seed: int, step: int, rank: int, purpose: int) -> torch.Generator:
    """Return a generator that is the same whenever this step is reached."""
    sequence = np.random.SeedSequence([seed, step, rank, purpose])
    state = int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(state)


@dataclass
class Batch:
    """What the network sees in one step, and what it should make of it.

    Attributes
    ----------
    images : Tensor
        (2B + B//2 + R, C, S, S): first views, second views, mixtures, rendered crops.
    inside : Tensor
        (the same, 1, S, S) float32, the field of view.
    pairs : int
        B, photographs with two views.
    maps, second_maps : Tensor
        (B, 3, 3) affine maps of first and second views.
    mix_weight : Tensor
        (B // 2,) share of the first image in each mixture.
    fitted : Tensor
        (2B, F, S, S) float32 maps of fitted priors on both views, NaN-free.
    fitted_known : Tensor
        (2B, F, S, S) float32, 1 where ``fitted`` counts.
    drawn : Tensor
        (R, P, S, S) float32 masks of drawn priors.
    drawn_known : Tensor
        (R, P, S, S) float32, 1 where ``drawn`` counts.
    plain : Tensor
        (B, C, S, S): the first views in the photographs' own colours.
    """

    images: Tensor
    inside: Tensor
    pairs: int
    maps: Tensor
    second_maps: Tensor
    mix_weight: Tensor
    fitted: Tensor
    fitted_known: Tensor
    drawn: Tensor
    drawn_known: Tensor
    plain: Tensor


def make_batch(
    windows: Windows,
    settings: TrainingSettings,
    renderer: Renderer | None,
    rank: int = 0,
) -> Batch:
    """Cut, recolour, mix and draw: see `Batch`.

    ``windows`` may be on any device; the batch is on the same.
    """
    size, pairs = settings.crop_size, settings.images_per_step
    generator = step_generator(settings.seed, windows.step, rank, purpose=1)
    pixels = windows.pixels
    real = pixels[:pairs].float() / 255
    real[:, INSIDE] *= 255
    both = torch.cat([real, real])
    both_maps = torch.cat([windows.maps[:pairs], windows.second_maps[:pairs]])
    crops = warp(both[:, :4], both_maps, size)
    inside = (crops[:, INSIDE] > 0.99).float()
    thumbnails = windows.thumbnails.float() / 255
    small_inside = (thumbnails[:, 3:] > 0).float()
    jitter = view_jitter(2 * pairs, settings.augmentation, generator)
    views = jitter.optics(jitter.colours(crops[:, PHOTOGRAPH])) * inside
    twice = torch.arange(2 * pairs) % pairs
    statistics = jitter.statistics(thumbnails[twice, :3], small_inside[twice])

    half = pairs // 2
    mix_weight = uniform(0.2, 0.8, (half,), generator)
    w = mix_weight.view(-1, 1, 1, 1).to(views)
    mixture = w * views[:half] + (1 - w) * views[half : 2 * half]
    mixed_inside = inside[:half] * inside[half : 2 * half]
    mixed_statistics = [w * s[:half] + (1 - w) * s[half : 2 * half] for s in statistics]

    plain = crops[:pairs, PHOTOGRAPH]
    own = colour_statistics(thumbnails[:pairs, :3], small_inside[:pairs])
    images = [plain, views, mixture]
    insides = [inside[:pairs], inside, mixed_inside]
    stats = [own, statistics, mixed_statistics]
    drawn = known_drawn = views.new_zeros(0, 0, size, size)
    if renderer is not None and settings.rendered_per_step:
        ground = pixels[pairs:].float() / 255
        ground[:, INSIDE] *= 255
        rendered_crops = warp(ground[:, INSIDE.start :], windows.maps[pairs:], size)
        ground_inside = (rendered_crops[:, :1] > 0.99).float()
        image, drawn = renderer(rendered_crops[:, 1:4], ground_inside, generator)
        doubtful = rendered_crops[:, 4:5] > 0.3
        was_there = rendered_crops[:, 5:]
        known_drawn = renderer.known(drawn, doubtful, was_there) * ground_inside
        jitter = view_jitter(len(image), settings.augmentation, generator)
        image = jitter.optics(jitter.colours(image)) * ground_inside
        images.append(image)
        insides.append(ground_inside)
        rest = slice(pairs, None)
        stats.append(jitter.statistics(thumbnails[rest, :3], small_inside[rest]))

    everywhere = torch.cat(insides)
    mean, deviation = (torch.cat([s[k] for s in stats]) for k in (0, 1))
    seen = network_input(
        torch.cat(images),
        everywhere,
        settings.working_diameter,
        settings.in_channels,
        (mean, deviation),
        settings.surround_pixels,
    )
    fitted, known = _fitted_maps(both, both_maps, size)
    return Batch(
        seen[pairs:],
        everywhere[pairs:],
        pairs,
        windows.maps[:pairs],
        windows.second_maps[:pairs],
        mix_weight,
        fitted,
        known * inside,
        drawn,
        known_drawn,
        seen[:pairs],
    )


def _fitted_maps(both: Tensor, maps: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Warp fitted maps; near 127 they do not count."""
    values = both[:, FITTED:]
    if values.shape[1] == 0:
        empty = both.new_zeros(len(both), 0, size, size)
        return empty, empty
    unknown = ((values > 0.4) & (values < 0.6)).to(values)
    warped = warp(torch.cat([values, unknown], 1), maps, size)
    values, unknown = warped.chunk(2, dim=1)
    return values, (unknown < 0.01).to(values)
