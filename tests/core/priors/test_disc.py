from __future__ import annotations

import numpy as np
import pytest

from napari_localdisc.core.priors.disc import fit_disc


def eye(row: float, column: float, radius: float, seed: int = 0):
    """A fundus with a bright disc on which vessels meet, and the disc's mask."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((400, 400)).astype(np.float32)
    inside = np.hypot(y - 199.5, x - 199.5) < 200
    rgb = np.full((400, 400, 3), (0.6, 0.3, 0.15), np.float32)
    disc = np.hypot(y - row, (x - column) * 1.1) < radius
    rgb[disc] += (0.25, 0.3, 0.2)
    for angle in rng.uniform(0, 2 * np.pi, 8):
        across = (y - row) * np.cos(angle) - (x - column) * np.sin(angle)
        along = (y - row) * np.sin(angle) + (x - column) * np.cos(angle)
        rgb[(np.abs(across) < 2) & (along > 0) & (along < 150)] *= 0.65
    rgb += rng.normal(0, 0.01, rgb.shape).astype(np.float32)
    rgb[~inside] = 0
    return rgb.clip(0, 1), inside, disc


@pytest.mark.parametrize(
    ("row", "column", "radius"), [(200, 110, 30), (180, 300, 26), (230, 200, 34)]
)
def test_finds_the_disc_and_its_outline(row, column, radius):
    rgb, inside, disc = eye(row, column, radius)
    fit = fit_disc(rgb, inside)
    dice = 2 * (fit.mask & disc).sum() / (fit.mask.sum() + disc.sum())
    assert dice > 0.85
    assert np.hypot(fit.row - row, fit.column - column) < 8
    assert fit.confidence > 1.3


def test_a_bright_cup_is_not_the_disc():
    rgb, inside, disc = eye(200, 120, 38)
    y, x = np.indices(inside.shape)
    rgb[np.hypot(y - 200, x - 120) < 17] += (0.1, 0.2, 0.3)
    fit = fit_disc(rgb.clip(0, 1), inside)
    dice = 2 * (fit.mask & disc).sum() / (fit.mask.sum() + disc.sum())
    assert dice > 0.85


def test_is_not_sure_without_a_disc():
    rgb, inside, _ = eye(200, 110, 0)
    assert (
        fit_disc(rgb, inside).confidence < fit_disc(*eye(200, 110, 30)[:2]).confidence
    )
