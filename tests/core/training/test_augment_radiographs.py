from __future__ import annotations

import torch

from napari_localdisc.core.training.augment import (
    Augmentation,
    ColourJitter,
    RadiographJitter,
    view_jitter,
)
from napari_localdisc.core.training.settings import TrainingSettings


def jitter(seed: int, count: int = 3, strength: float = 1.0) -> RadiographJitter:
    return RadiographJitter(count, strength, torch.Generator().manual_seed(seed))


def grey(count: int = 3, side: int = 64) -> torch.Tensor:
    ramp = torch.linspace(0, 1, side).expand(side, side)
    return ramp.expand(count, 3, side, side)


def test_tone_curves_keep_order_and_range_and_differ_between_images():
    changed = jitter(0).colours(grey())
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed.diff(dim=-1) > 0).all()
    assert (changed[0] - changed[1]).abs().max() > 0.05


def test_lungs_may_become_as_bright_as_a_heart():
    dark = torch.full((200, 3, 1, 1), 0.35)
    levels = jitter(1, count=200).colours(dark)[:, 0, 0, 0]
    assert levels.max() > 0.75
    assert levels.min() < 0.35


def test_grey_stays_grey_through_blur_noise_and_borders():
    seen = jitter(2).optics(grey())
    assert seen.shape == (3, 3, 64, 64)
    assert torch.equal(seen[:, 0], seen[:, 1])
    assert torch.equal(seen[:, 0], seen[:, 2])
    assert seen.min() >= 0
    assert seen.max() <= 1


def test_borders_change_only_the_outermost_parts():
    flat = torch.full((40, 3, 64, 48), 0.5)
    seen = jitter(3, count=40)._bordered(flat)
    touched = (seen != flat).any(1)
    assert touched[:, :6].any()
    assert touched[:, -6:].any()
    assert touched[..., :4].any()
    assert touched[..., -4:].any()
    assert not touched[:, 8:-8, 8:-8].any()
    assert set(seen.unique().tolist()) <= {0.0, 0.5, 1.0}
    assert (flat == 0.5).all()


def test_without_strength_tones_stay():
    image = grey().clamp(1e-4, 1)
    torch.testing.assert_close(jitter(4, strength=0.0).colours(image), image)


def test_the_same_generator_gives_the_same_views():
    first, second = (jitter(5).optics(grey()) for _ in range(2))
    assert torch.equal(first, second)


def test_images_that_fill_the_frame_are_seen_as_radiographs():
    generator = torch.Generator().manual_seed(0)
    frame = TrainingSettings.for_modality("frame").augmentation
    assert isinstance(view_jitter(2, frame, generator), RadiographJitter)
    assert type(view_jitter(2, Augmentation(), generator)) is ColourJitter
