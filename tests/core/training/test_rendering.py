from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

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
    assert taken.shape == (3, 2, 80, 80)
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
