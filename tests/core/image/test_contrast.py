from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_localdisc.core.image.contrast import (
    colour_statistics,
    gaussian_blur,
    local_contrast,
    network_input,
    without_edge,
)


@pytest.fixture
def scene():
    """A colourful noise image, (1, 3, 90, 110), and a round field of view."""
    rng = np.random.default_rng(0)
    rgb = torch.from_numpy(rng.random((1, 3, 90, 110), dtype=np.float32))
    y, x = np.mgrid[:90, :110]
    inside = np.hypot(y - 45, x - 55) < 40
    return rgb, torch.from_numpy(inside)[None, None].float()


@pytest.mark.parametrize("sigma", [0.8, 1.4, 4.0, 15.0])
def test_blur_equals_scipy(sigma):
    rng = np.random.default_rng(1)
    smooth = ndimage.gaussian_filter(rng.random((120, 130)), 2).astype(np.float32)
    found = gaussian_blur(torch.from_numpy(smooth)[None, None], sigma)[0, 0].numpy()
    expected = ndimage.gaussian_filter(smooth, sigma, mode="constant")
    inner = np.s_[12:-12, 12:-12]
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.02)


@pytest.mark.parametrize("sigma", [1.0, 3.0, 6.0])
def test_blur_does_not_shift(sigma):
    y, x = np.mgrid[:97, :97] - 48
    spot = np.exp(-(y**2 + x**2) / 50).astype(np.float32)
    blurred = gaussian_blur(torch.from_numpy(spot)[None, None], sigma)[0, 0].numpy()
    assert np.abs(np.array(ndimage.center_of_mass(blurred)) - 48).max() < 0.1


def test_local_contrast_forgets_brightness_and_gain(scene):
    rgb, inside = scene
    plain = local_contrast(rgb, inside, 5)
    brighter = local_contrast(0.5 * rgb + 0.3, inside, 5)
    difference = (plain - brighter)[inside.expand_as(plain) > 0]
    assert difference.abs().mean() < 0.1 * plain.abs().mean()


def test_outside_plays_no_part(scene):
    rgb, inside = scene
    changed = torch.where(inside > 0, rgb, torch.rand_like(rgb))
    torch.testing.assert_close(
        network_input(rgb, inside, 80), network_input(changed, inside, 80)
    )
    assert (network_input(rgb, inside, 80) * (1 - inside)).abs().max() == 0


def test_edge_is_left_out_but_not_the_border_of_a_frame():
    inside = torch.ones(1, 1, 40, 40)
    assert torch.equal(without_edge(inside, 400), inside)
    inside[..., :10] = 0
    assert without_edge(inside, 400)[0, 0, 20].tolist() == [0.0] * 12 + [1.0] * 28


def test_smooth_colour_is_relative_to_the_whole_image(scene):
    rgb, inside = scene
    seen = network_input(rgb, inside, 80)
    brighter = network_input(0.6 * rgb + 0.2, inside, 80)
    torch.testing.assert_close(seen[:, 3:], brighter[:, 3:], atol=0.12, rtol=0.1)


def test_statistics_of_the_whole_serve_a_crop(scene):
    rgb, inside = scene
    statistics = colour_statistics(rgb, without_edge(inside, 80))
    whole = network_input(rgb, inside, 80)
    window = np.s_[..., 25:65, 35:75]
    crop = network_input(rgb[window], inside[window], 80, 6, statistics)
    middle = np.s_[:, 3:, 8:32, 8:32]
    torch.testing.assert_close(crop[middle], whole[window][middle], atol=0.05, rtol=0.1)


def test_three_channels_are_imagenets(scene):
    rgb, inside = scene
    seen = network_input(rgb, inside, 80, in_channels=3)
    expected = (rgb[0, :, 45, 55] - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(seen[0, :, 45, 55], expected)


def test_other_numbers_of_channels_are_refused(scene):
    with pytest.raises(ValueError, match="3 or 6"):
        network_input(*scene, 80, in_channels=4)
