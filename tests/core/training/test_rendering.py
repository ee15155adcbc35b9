from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_localdisc.core.priors import DrawnPrior, get_prior
from napari_localdisc.core.training.augment import Augmentation
from napari_localdisc.core.training.rendering import Drawings, Renderer


def renderer(*priors: DrawnPrior) -> Renderer:
    stocks = [Drawings(p, 4, 112, 540, seed=0) for p in priors]
    return Renderer(priors, stocks, Augmentation())


@pytest.fixture
def ground():
    """Three even crops, (3, 3, 64, 64), and their field of view."""
    return torch.full((3, 3, 64, 64), 0.5), torch.ones(3, 1, 64, 64)


def test_drawings_are_bytes_and_the_same_in_whatever_order_they_are_asked_for():
    prior = get_prior("vessel-tree")
    stock, again = (Drawings(prior, 5, 80, 540, seed=3) for _ in "12")
    taken = stock.take(np.array([4, 1, 4]))
    assert taken.shape == (3, 4, 80, 80)
    assert taken.dtype == np.uint8
    assert np.array_equal(taken[0], taken[2])
    assert not np.array_equal(taken[0], taken[1])
    assert np.array_equal(again.take(np.array([1]))[0], taken[1])
    assert np.array_equal(again.take(np.array([4, 1, 4])), taken)


def test_only_what_is_asked_for_is_drawn():
    drawn = []

    class Counting:
        def draw(self, size, working_diameter, rng):
            drawn.append(size)
            return rng.random((size, size)), np.ones((size, size))

    stock = Drawings(Counting(), 1000, 64, 540, seed=0)
    stock.take(np.array([3, 999, 3]))
    stock.take(np.array([999]))
    assert drawn == [64, 64]
    assert len(stock) == 1000


def test_vessels_darken_what_their_mask_covers(ground):
    draw = renderer(get_prior("vessel-tree"))
    image, masks = draw(*ground, torch.Generator().manual_seed(0))
    assert image.shape == (3, 3, 64, 64)
    assert masks.shape == (3, 1, 64, 64)
    vessel = masks[:, 0] > 0.5
    assert 0.01 < vessel.float().mean() < 0.5
    green = image[:, 1]
    assert green[vessel].mean() < green[masks[:, 0] == 0].mean() - 0.02


def test_masks_have_no_holes_where_reflexes_shine(ground):
    class Reflecting:
        def draw(self, size, working_diameter, rng):
            plane = np.zeros((4, size, size), np.float32)
            plane[0, :, 40:72], plane[1, :, 40:72] = 0.3, 1
            plane[3, :, 52:60] = 1
            return plane

    prior = dataclasses.replace(get_prior("vessel-tree"), draw=Reflecting().draw)
    image, masks = renderer(prior)(*ground, torch.Generator().manual_seed(0))
    for green, mask in zip(image[:, 1].numpy(), masks[:, 0].numpy(), strict=True):
        vessel = mask > 0.9
        _, count = ndimage.label(~vessel)
        assert count <= 2  # one side and the other
        bright = vessel & (green > np.quantile(green[~vessel], 0.05))
        assert bright.any()


def test_faint_ridges_that_were_there_are_neither_vessel_nor_background():
    draw = renderer(get_prior("vessel-tree"), get_prior("dark-lesion"))
    masks = torch.zeros(1, 2, 8, 8)
    masks[..., :4] = 1
    doubtful = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    doubtful[..., :6, :] = True
    known = draw.known(masks, doubtful)
    assert known[0, 0, :, :4].all()
    assert not known[0, 0, :6, 4:].any()
    assert known[0, 0, 6:].all()
    assert known[0, 1].all()


def test_bright_spots_brighten(ground):
    prior = dataclasses.replace(get_prior("bright-lesion"), structure="vessel")
    image, masks = renderer(prior)(*ground, torch.Generator().manual_seed(0))
    spot = masks[:, 0] > 0.5
    assert spot.any()
    assert image[:, 1][spot].mean() > image[:, 1][~spot].mean()


def test_nothing_is_drawn_outside(ground):
    background, inside = ground
    inside[..., :20] = 0
    draw = renderer(get_prior("vessel-tree"), get_prior("dark-lesion"))
    image, masks = draw(background, inside, torch.Generator().manual_seed(0))
    assert masks.shape[1] == 2
    assert masks[..., :20].max() == 0
    assert image[..., :20].max() == 0


def test_the_generator_decides(ground):
    draw = renderer(get_prior("vessel-tree"))
    first, second = (draw(*ground, torch.Generator().manual_seed(9))[0] for _ in "12")
    assert torch.equal(first, second)


def test_what_a_photograph_may_show_itself_is_not_said_to_be_none():
    priors = [get_prior("vessel-tree"), get_prior("haemorrhage")]
    stocks = [Drawings(p, 4, 112, 540, seed=0) for p in priors]
    draw = Renderer(priors, stocks, Augmentation(), [None, 1])
    masks = torch.zeros(1, 2, 8, 8)
    masks[..., :4] = 1
    fitted = torch.zeros(1, 2, 8, 8)
    fitted[:, 1, :6] = 127 / 255
    known = draw.known(masks, torch.zeros(1, 1, 8, 8, dtype=torch.bool), fitted)
    assert known[:, 0].all()
    assert known[0, 1, :, :4].all()
    assert not known[0, 1, :6, 4:].any()
    assert known[0, 1, 6:].all()
