"""The field of view's surroundings, filled from inside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_localdisc.core.image.contrast import network_input
from napari_localdisc.core.image.mirrored import surrounded

SIDE = 90


def view(cut: bool = False) -> np.ndarray:
    """A round field of view, which may be cut straight above."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inside = np.hypot(rows, columns) < 30
    return inside & (rows > -18) if cut else inside


def tensors(inside, seed=0):
    rgb = np.random.default_rng(seed).random((1, 3, *inside.shape), np.float32)
    return torch.from_numpy(rgb), torch.from_numpy(inside)[None, None].float()


def test_a_straight_edge_is_a_mirror():
    inside = np.zeros((40, 12), bool)
    inside[20:] = True
    rgb, mask = tensors(inside)
    filled, seen = surrounded(rgb, mask, 7)
    torch.testing.assert_close(filled[:, :, 13:20], rgb[:, :, 20:27].flip(2))
    torch.testing.assert_close(filled[:, :, 20:], rgb[:, :, 20:])
    assert not filled[:, :, :13].any()
    assert seen[0, 0, 13:].all()
    assert not seen[0, 0, :13].any()


@pytest.mark.parametrize("cut", [False, True])
def test_lines_that_cross_the_edge_go_on(cut):
    inside = view(cut)
    rgb, mask = torch.ones(1, 3, SIDE, SIDE), torch.from_numpy(inside)[None, None]
    rgb[..., 43:47] = 0.2
    filled, seen = surrounded(rgb * mask, mask.float(), 8)
    depth = ndimage.distance_transform_edt(~inside)
    ring = (depth > 0) & (depth <= 8)
    np.testing.assert_array_equal(seen[0, 0].numpy() > 0, inside | ring)
    line, beside = np.zeros((2, SIDE, SIDE), bool)
    line[:, 44:46], beside[:, 24:38] = True, True
    values = filled[0, 0].numpy()
    assert (values[ring & line] < 0.3).mean() > 0.9
    assert (values[ring & beside] > 0.9).mean() > 0.9


def test_a_part_is_filled_as_the_whole_is():
    inside, reach = view(cut=True), 9
    rgb, mask = tensors(inside)
    whole, _ = surrounded(rgb, mask, reach)
    part = (slice(None), slice(None), slice(0, 60), slice(20, 80))
    found, _ = surrounded(rgb[part], mask[part], reach)
    sure = slice(0, 60 - 2 * reach), slice(2 * reach, 60 - 2 * reach)
    torch.testing.assert_close(
        found[0][(slice(None), *sure)], whole[part][0][(slice(None), *sure)]
    )


def test_the_network_sees_no_edge_where_the_picture_goes_on():
    inside = view()
    rgb = torch.full((1, 3, SIDE, SIDE), 0.5)
    rgb += 0.05 * torch.randn(rgb.shape, generator=torch.Generator().manual_seed(0))
    mask = torch.from_numpy(inside)[None, None].float()
    plain, filled = (
        network_input(rgb * mask, mask, 60, surround=ring) for ring in (0, 8)
    )
    depth = ndimage.distance_transform_edt(~inside)
    ring = torch.from_numpy((depth > 0) & (depth < 7))
    assert not plain[0, :, ring].any()
    assert (
        0.5 < float(filled[0, 1, ring].std() / filled[0, 1, mask[0, 0] > 0].std()) < 2
    )


def test_margins_are_outside():
    rgb, mask = tensors(np.ones((32, 48), bool))
    seen = network_input(rgb, mask, 32, surround=4, margin=(8, 0, 16, 0))
    assert seen.shape == (1, 6, 48, 56)
    assert not seen[:, :, :12].any()
    assert seen[:, :, 13:, 5:].abs().mean() > 0.1
