from __future__ import annotations

import pytest
import torch

from napari_localdisc.core.image.contrast import gaussian_blur
from napari_localdisc.core.training.augment import (
    Augmentation,
    ColourJitter,
    compressed,
    crop_maps,
    rescaled,
    second_view_maps,
    undo_turn,
    warp,
)

SIZE = 64


@pytest.fixture
def photographs():
    """Four smooth images, (4, 2, 128, 128)."""
    generator = torch.Generator().manual_seed(0)
    return gaussian_blur(torch.randn(4, 2, 128, 128, generator=generator), 4.0)


@pytest.fixture
def two_views(photographs):
    generator = torch.Generator().manual_seed(1)
    augmentation = Augmentation()
    centres = torch.full((4, 2), 63.5)
    first = crop_maps(centres, SIZE, augmentation, generator)
    second = second_view_maps(first, SIZE, augmentation, generator)
    return first, second


def test_crops_are_centred_where_asked():
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[40.0, 70.0], [64.0, 20.0]])
    maps = crop_maps(centres, SIZE, Augmentation(), generator)
    there = maps[:, :2, :2] @ centres[:, :, None] + maps[:, :2, 2:]
    torch.testing.assert_close(there, torch.full((2, 2, 1), (SIZE - 1) / 2))


def test_scale_stays_within_its_range():
    generator = torch.Generator().manual_seed(0)
    maps = crop_maps(torch.zeros(200, 2), SIZE, Augmentation(0.5, 2.0), generator)
    scale = torch.linalg.det(maps[:, :2, :2]).abs().sqrt()
    assert scale.min() >= 0.5 - 1e-5
    assert scale.max() <= 2 + 1e-5
    assert scale.min() < 0.6 < 1.7 < scale.max()


def test_both_handednesses_occur():
    generator = torch.Generator().manual_seed(0)
    maps = crop_maps(torch.zeros(50, 2), SIZE, Augmentation(), generator)
    assert len(torch.linalg.det(maps[:, :2, :2]).sign().unique()) == 2


def test_chests_turn_little_and_keep_their_sides():
    generator = torch.Generator().manual_seed(0)
    upright = Augmentation(1.0, 1.0, turn_jitter=5.0, largest_turn=10.0, mirror=False)
    first = crop_maps(torch.zeros(60, 2), SIZE, upright, generator)
    second = second_view_maps(first, SIZE, upright, generator)
    for maps, limit in ((first, 10), (second, 15)):
        angle = torch.atan2(maps[:, 1, 0], maps[:, 0, 0]).rad2deg()
        assert angle.abs().max() <= limit
        assert (torch.linalg.det(maps[:, :2, :2]) > 0).all()


def test_undoing_the_turn_lays_the_second_view_over_the_first(photographs, two_views):
    first, second = (warp(photographs, maps, SIZE) for maps in two_views)
    back = undo_turn(second, *two_views)
    inner = (slice(None), slice(None), slice(14, -14), slice(14, -14))
    error = (back[inner] - first[inner]).abs().mean()
    turned = (second[inner] - first[inner]).abs().mean()
    assert error < 0.1 * turned


def test_maps_can_be_rescaled(photographs, two_views):
    first, second = (warp(photographs, m, SIZE)[..., ::2, ::2] for m in two_views)
    back = undo_turn(second, *(rescaled(m, 0.5) for m in two_views))
    inner = (slice(None), slice(None), slice(7, -7), slice(7, -7))
    error = (back[inner] - first[inner]).abs().mean()
    assert error < 0.15 * first[inner].abs().mean()


def test_no_jitter_changes_nothing():
    rgb = torch.rand(2, 3, 32, 32)
    jitter = ColourJitter(2, 0.0, torch.Generator().manual_seed(0))
    torch.testing.assert_close(jitter.colours(rgb), rgb, atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(jitter.optics(rgb), rgb, atol=2e-2, rtol=0)


def test_jitter_stays_in_range_and_differs_between_images():
    rgb = torch.rand(1, 3, 32, 32).repeat(4, 1, 1, 1)
    jitter = ColourJitter(4, 1.0, torch.Generator().manual_seed(0))
    changed = jitter.optics(jitter.colours(rgb))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed[0] - changed[1]).abs().mean() > 0.01


def test_the_generator_decides():
    rgb = torch.rand(2, 3, 32, 32)
    results = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(5)
        jitter = ColourJitter(2, 1.0, generator)
        results.append(jitter.optics(jitter.colours(rgb)))
    assert torch.equal(*results)


def test_rough_pictures_are_blurred_and_compressed_and_the_generator_decides():
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(1, 3, 64, 64, generator=generator).expand(24, -1, -1, -1)

    def spoilt(roughness):
        jitter = ColourJitter(24, 1.0, torch.Generator().manual_seed(2), roughness)
        return jitter.optics(sharp), jitter.colours(sharp)

    (plain, plain_tones), (rough, tones), (again, _) = map(spoilt, (0.0, 1.0, 1.0))
    torch.testing.assert_close(rough, again, atol=0, rtol=0)
    detail = [(x - gaussian_blur(x, 1.0)).std((1, 2, 3)) for x in (plain, rough)]
    assert (detail[1] < 0.7 * detail[0]).sum() >= 4
    assert 0 < float((tones - plain_tones).abs().amax((1, 2, 3)).gt(0.05).sum()) < 16


def test_jpeg_keeps_the_picture_and_coarser_ones_keep_less():
    y, x = torch.meshgrid(*[torch.linspace(0, 1, 32)] * 2, indexing="ij")
    picture = torch.stack([y, x, (y + x) / 2])
    fine, coarse = (compressed(picture, quality) for quality in (95, 10))
    errors = [float((found - picture).abs().mean()) for found in (fine, coarse)]
    assert errors[0] < 0.01
    assert errors[0] < errors[1] < 0.2
