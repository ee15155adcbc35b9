"""Two graders, on drawn masks whose differences are known."""

import numpy as np
import pytest
from tests.core import phantoms

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.measure.measure import measure
from napari_localdisc.core.study.certainty import certainty
from napari_localdisc.core.study.graders import (
    BlandAltman,
    Pair,
    compare_masks,
    compare_measures,
    surface_distances,
)
from napari_localdisc.core.study.plots import save_bland_altman

SHAPE = (120, 130)


@pytest.fixture
def discs():
    """Two discs of one centre, 5 pixels apart in radius."""
    return [phantoms.disc(SHAPE, (60, 60), radius) for radius in (30, 35)]


def test_outlines_of_discs_are_as_far_apart_as_their_radii(discs):
    apart = surface_distances(*discs)
    assert apart.mean == pytest.approx(5, abs=0.3)
    assert apart.far == pytest.approx(5, abs=0.8)
    assert surface_distances(discs[0], discs[0]) == (0, 0)
    assert surface_distances(discs[0], np.zeros(SHAPE, bool)) is None


def test_masks_of_an_image(discs):
    small, large = discs
    found = compare_masks("a", {"disc": small}, {"disc": large, "cup": small})
    disc, cup = found
    assert disc.dice == pytest.approx(2 * 30**2 / (30**2 + 35**2), abs=0.01)
    assert (disc.image, disc.structure) == ("a", "disc")
    assert (cup.dice, cup.distance, cup.first) == (0, None, 0)


def test_masks_of_other_sizes_are_refused(discs):
    with pytest.raises(PromptError, match="differ in size"):
        compare_masks("a", {"disc": discs[0]}, {"disc": discs[1][:-1]})


def test_bias_and_limits_of_agreement():
    rng = np.random.default_rng(0)
    truth = rng.uniform(10, 20, 4000)
    first = truth + 2 + rng.normal(0, 1, truth.size)
    pairs = [Pair(str(n), a, b) for n, (a, b) in enumerate(zip(first, truth))]  # noqa: B905
    found = BlandAltman("disc", "image", "area", "pixel", tuple(pairs))
    assert found.bias == pytest.approx(2, abs=0.05)
    assert found.limits == pytest.approx((2 - 1.96, 2 + 1.96), abs=0.1)
    one = BlandAltman("disc", "image", "area", "pixel", tuple(pairs[:1]))
    assert one.limits is None


def test_measures_are_paired_by_image(discs, tmp_path):
    first, second = (
        [
            row
            for name, shift in (("a", 0), ("b", 3))
            for row in measure(
                {"optic disc": np.roll(mask, shift, 0)}, "any", name=name
            )
        ]
        for mask in discs
    )
    found = compare_measures(first, second)
    (area,) = [each for each in found if each.measure == "area"]
    assert [pair.image for pair in area.pairs] == ["a", "b"]
    assert area.bias == pytest.approx(np.pi * (30**2 - 35**2), rel=0.02)
    assert len(found) == len(
        {(e.structure, e.region, e.measure, e.unit) for e in found}
    )
    save_bland_altman(tmp_path / "plot.png", found[:4])
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_certainty_falls_with_doubt(discs):
    disc, view = discs[0], np.ones(SHAPE, bool)
    sure = np.where(disc, 1.0, 0.0)
    doubtful = np.where(disc, 0.7, 0.05)
    assert certainty(sure, disc, view) == 1
    assert 0 < certainty(doubtful, disc, view) < 0.7
    assert certainty(np.full(SHAPE, 0.5), disc, view) == 0
    # A speck of doubt where there is nothing is none about everything
    speck = np.zeros(SHAPE)
    speck[:2, :2] = 0.4
    assert certainty(speck, np.zeros(SHAPE, bool), view) > 0.9
