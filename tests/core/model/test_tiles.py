"""Tiles cover the field of view once, aligned to the pooling grid, with their halo."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.model.network import STRIDE, LocalDiscriminationNet
from napari_localdisc.core.model.tiles import (
    HALO,
    SMALLEST_TILE,
    padded_size,
    plan_tiles,
)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 2000),
    width=st.integers(1, 2000),
    tile_size=st.integers(SMALLEST_TILE, 1200),
)
def test_every_pixel_is_filled_once(height, width, tile_size):
    filled = np.zeros((padded_size(height), padded_size(width)), np.uint8)
    for tile in plan_tiles(np.ones((height, width), bool), tile_size):
        filled[tile.core] += 1
        sides = zip(tile.window, tile.core, tile.kept, filled.shape, strict=True)
        for window, core, kept, side in sides:
            assert window.start % STRIDE == 0
            assert window.stop % STRIDE == 0
            assert window.stop - window.start <= max(tile_size, STRIDE)
            assert core.start - window.start == kept.start
            assert core.stop - core.start == kept.stop - kept.start
            assert core.start - window.start == HALO or window.start == 0
            assert window.stop - core.stop == HALO or window.stop == side
    assert (filled == 1).all()


def test_an_image_that_fits_is_one_tile():
    (tile,) = plan_tiles(np.ones((540, 539), bool), 544)
    assert tile.window == tile.core == (slice(0, 544), slice(0, 544))


def test_tiles_without_field_of_view_are_left_out():
    y, x = np.mgrid[:1400, :1400]
    inside = np.hypot(y - 700, x - 700) < 700
    tiles = plan_tiles(inside, 400)
    everything = plan_tiles(np.ones_like(inside), 400)
    assert len(tiles) < len(everything)
    covered = np.zeros((padded_size(1400),) * 2, bool)
    for tile in tiles:
        covered[tile.core] = True
    assert covered[:1400, :1400][inside].all()


def test_too_small_tiles_are_refused():
    with pytest.raises(LocalDiscError, match="at least 272"):
        plan_tiles(np.ones((600, 600), bool), 271)


def test_the_halo_holds_all_that_a_pixel_depends_on():
    # A network of positive weights passes a change on as far as it can reach
    network = LocalDiscriminationNet(1, 2, 2, width=1).eval().double()
    for parameter in network.parameters():
        parameter.data.uniform_(0.01, 0.02)
    side = 32 * STRIDE
    image = torch.zeros(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    first = side // 2
    vectors, logits = network.raw(image + 1)
    rows = slice(first, first + STRIDE)
    (vectors[..., rows, rows].sum() + logits[..., rows, rows].sum()).backward()
    reached = torch.nonzero(image.grad[0, 0].abs() > 0)
    before = first - int(reached.min())
    after = int(reached.max()) + 1 - (first + STRIDE)
    assert HALO - STRIDE < max(before, after) <= HALO
