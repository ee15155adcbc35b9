"""Measures of shapes whose truth is known, turned, scaled and shifted.

Tolerances are those of docs/measures.md: means over angles and sub-pixel shifts.
"""

import numpy as np
import pytest
from scipy import ndimage
from tests.core import phantoms

import napari_localdisc as ld
from napari_localdisc.core.measure.fractal import box_count

DEGREES = (0, 7.3, 21, 33.7, 45, 58.2, 76.9, 90)


def shifts(seed):
    """A shift of up to half a pixel for each angle."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (len(DEGREES), 2))


def vessel(mask, **options):
    table = ld.measure(mask, names="vessel", pieces=False, **options)

    def value(measure, unit=None):
        more = {} if unit is None else {"unit": unit}
        return table.value(structure="vessel", measure=measure, **more)

    return value


def off(found, truth):
    return np.abs(np.asarray(found, float) / truth - 1)


def test_disc_area_and_perimeter():
    for radius in (50, 200):
        found = []
        for shift in shifts(radius):
            mask = phantoms.disc((2 * radius + 9,) * 2, radius + 4 + shift, radius)
            table = ld.measure(mask, "any", names="disc")
            found.append(
                [
                    table.value(measure="area"),
                    table.value(measure="perimeter"),
                    table.value(measure="equivalent diameter"),
                ]
            )
        truth = np.pi * radius**2, 2 * np.pi * radius, 2 * radius
        assert off(found, truth).max() < 0.005


@pytest.mark.parametrize(("tall", "wide"), [(120, 200), (61.5, 140.25)])
def test_turned_rectangle(tall, wide):
    found = []
    for degrees, shift in zip(DEGREES, shifts(1), strict=True):
        mask = phantoms.rectangle((260, 260), 130 + shift, tall, wide, degrees)
        table = ld.measure(mask, "any", names="plate")
        found.append([table.value(measure=m) for m in ("area", "perimeter")])
        assert table.value(measure="solidity") == pytest.approx(1, abs=0.03)
    error = off(found, (tall * wide, 2 * (tall + wide)))
    assert error.mean(axis=0).max() < 0.01


def test_turned_ellipse():
    tall, wide = 40, 90
    found = []
    for degrees, shift in zip(DEGREES, shifts(2), strict=True):
        mask = phantoms.ellipse((220, 220), 110 + shift, tall, wide, degrees)
        table = ld.measure(mask, "any", names="egg")
        found.append([table.value(measure=m) for m in ("area", "eccentricity")])
    error = off(found, (np.pi * tall * wide, np.sqrt(1 - (tall / wide) ** 2)))
    assert error.max() < 0.005


@pytest.mark.parametrize("width", [3, 4, 5.5, 8, 13])
def test_calibre_of_straight_tubes(width):
    by_map, by_mask = [], []
    for degrees, shift in zip(DEGREES, shifts(int(width)), strict=True):
        # Along rows and diagonals a mask holds whole steps of pixels alone
        straight = degrees % 45 == 0 and width % 1
        line = phantoms.turned([(0, -75), (0, 75)], degrees, 95 + shift)
        tube = phantoms.tube((190, 190), [line], width)
        found = vessel(tube.probability >= 0.5, probability=tube.probability)
        by_map.append(
            [found(f"calibre {kind}", "pixel") - width for kind in ("median", "mean")]
        )
        if not straight:
            found = vessel(tube.mask)
            by_mask.append(
                [
                    found(f"calibre {kind}", "pixel") - width
                    for kind in ("median", "mean")
                ]
            )
    assert np.abs(by_map).mean(axis=0).max() < 0.1
    assert np.abs(by_map).max() < 0.1
    assert np.abs(by_mask).mean(axis=0).max() < 0.3
    assert np.abs(by_mask).max() < 0.5


@pytest.mark.parametrize("width", [1, 1.5, 2])
def test_calibre_of_the_thinnest(width):
    errors = []
    for degrees, shift in zip(DEGREES, shifts(3), strict=True):
        if degrees % 45 == 0:
            continue
        line = phantoms.turned([(0, -60), (0, 60)], degrees, 75 + shift)
        found = vessel(phantoms.tube((150, 150), [line], width).mask)
        errors.append(found("calibre mean", "pixel") - width)
    assert np.abs(errors).max() < 0.3


@pytest.mark.parametrize("width", [3, 6, 10])
def test_calibre_of_arcs(width):
    """Rings of radius 60: every direction at once."""
    turns = np.linspace(0, 2 * np.pi, 2000)
    bending = []
    for shift in shifts(10 + width):
        ring = 75 + shift + 60 * np.stack([np.sin(turns), np.cos(turns)], 1)
        tube = phantoms.tube((150, 150), [ring], width)
        by_map = vessel(tube.probability >= 0.5, probability=tube.probability)
        by_mask = vessel(tube.mask)
        for found, most in ((by_map, 0.1), (by_mask, 0.3)):
            assert abs(found("calibre median", "pixel") - width) < most
            assert off(found("skeleton length", "pixel"), 120 * np.pi) < 0.01
            assert found("end points") == found("branch points") == 0
            bending.append(found("tortuosity squared curvature", "pixel⁻¹"))
    # ∫ κ² ds of a circle is 2π / r
    bending = np.reshape(bending, (-1, 2)) / (2 * np.pi / 60)
    assert off(bending[:, 0], 1).max() < 0.005
    assert off(bending[:, 1].mean(), 1) < 0.01
    assert off(bending[:, 1], 1).max() < 0.05


@pytest.mark.parametrize("dark", [True, False])
def test_calibre_in_a_picture(dark):
    for width in (4, 9):
        errors = []
        for degrees, shift in zip(DEGREES, shifts(5), strict=True):
            line = phantoms.turned([(0, -75), (0, 75)], degrees, 95 + shift)
            tube = phantoms.tube((190, 190), [line], width)
            slope = 0.3 * np.indices(tube.distance.shape)[0]
            picture = 120 + slope + (-50 if dark else 50) * tube.probability
            everything = np.ones(tube.distance.shape, bool)
            table = ld.measure(
                tube.mask, names="vessel", image=picture, field_of_view=everything
            )
            (row,) = table.where(measure="calibre median", unit="pixel")
            assert "picture" in row.method
            errors.append(row.value - width)
        assert np.abs(errors).mean() < 0.1
        assert np.abs(errors).max() < 0.3


@pytest.mark.parametrize(("width", "flat"), [(3, False), (6, False), (6, True)])
def test_length_of_tubes_of_200_radii(width, flat):
    long = 100 * width
    side = int(long * 1.05) + 20
    errors = []
    for degrees, shift in zip(DEGREES[::2], shifts(6), strict=False):
        if flat:
            mask = phantoms.rectangle(
                (side, side), side / 2 + shift, width, long, degrees
            )
        else:
            ends = [(0, -long / 2), (0, long / 2)]
            line = phantoms.turned(ends, degrees, side / 2 + shift)
            mask = phantoms.tube((side, side), [line], width).mask
        errors.append(off(vessel(mask)("skeleton length", "pixel"), long))
    assert np.mean(errors) < 0.01


@pytest.mark.parametrize(
    ("amplitude", "period", "periods", "width"),
    [(10, 80, 3, 4), (20, 100, 3, 4), (5, 60, 4, 3)],
)
def test_tortuosity_of_sinusoids(amplitude, period, periods, width):
    wave = phantoms.Sinusoid(amplitude, period, periods)
    by_map, by_mask = [], []
    for degrees, shift in zip(DEGREES * 2, [*shifts(8), *shifts(9)], strict=True):
        curve = phantoms.turned(wave.points, degrees, 170 + shift)
        tube = phantoms.tube((340, 340), [curve[::20]], width)
        for found, row in (
            (vessel(tube.probability >= 0.5, probability=tube.probability), by_map),
            (vessel(tube.mask), by_mask),
        ):
            ratio = found("tortuosity arc/chord")
            bending = found("tortuosity squared curvature", "pixel⁻¹")
            row.append(
                [ratio * wave.chord / wave.arc, bending / wave.squared_curvature]
            )
    assert off(by_map, 1)[:, 0].mean() < 0.005
    assert off(by_mask, 1)[:, 0].mean() < 0.005
    assert off(np.mean(by_map, 0)[1], 1) < 0.01
    assert off(np.mean(by_mask, 0)[1], 1) < 0.01
    assert off(by_map, 1)[:, 1].mean() < 0.015
    assert off(by_mask, 1)[:, 1].mean() < 0.03


def test_a_straight_vessel_does_not_wind():
    for degrees, shift in zip(DEGREES, shifts(9), strict=True):
        line = phantoms.turned([(0, -90), (0, 90)], degrees, 110 + shift)
        found = vessel(phantoms.tube((220, 220), [line], 5).mask)
        assert found("tortuosity arc/chord") == pytest.approx(1, abs=0.002)
        assert found("tortuosity squared curvature", "pixel⁻¹") < 0.02


@pytest.mark.parametrize("long", range(1, 21))
def test_the_shortest_vessels_are_measured(long):
    mask = np.zeros((30, 40), bool)
    mask[14, 8 : 8 + long] = True
    found = vessel(mask)("tortuosity squared curvature", "pixel⁻¹")
    assert found is None or found == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("size", "thick"), [(2048, 1), (2500, 1), (2048, 3)])
def test_fractal_dimension_of_the_koch_curve(size, thick):
    errors = []
    for degrees in (0, 17, 45):
        mask = koch_mask(size, degrees, thick)
        found = box_count(mask, thick)
        errors.append(found.dimension - np.log(4) / np.log(3))
        assert found.error < 0.02
    assert np.abs(errors).max() < 0.03


def test_fractal_dimension_in_the_table():
    found = vessel(koch_mask(2048, 17, 1))
    assert abs(found("fractal dimension") - np.log(4) / np.log(3)) < 0.03
    assert found("fractal dimension standard error") < 0.02


def koch_mask(size, degrees, thick):
    pixels = phantoms.koch(size, degrees, (0.3, 0.4))
    mask = np.zeros(pixels.max(0) + 3, bool)
    mask[tuple(pixels.T)] = True
    return ndimage.binary_dilation(mask) if thick > 1 else mask


def test_fractal_dimension_of_a_line_and_of_a_plane():
    line = np.zeros((400, 1000), bool)
    line[np.arange(1000) // 3, np.arange(1000)] = True
    assert box_count(line).dimension == pytest.approx(1, abs=0.04)
    plane = np.ones((600, 600), bool)
    assert box_count(plane).dimension == pytest.approx(2, abs=0.08)
    assert box_count(line[:20, :60]) is None


@pytest.mark.parametrize("between", [40, 60, 75, 90, 110])
@pytest.mark.parametrize("width", [4, 7])
def test_branching_angle(between, width):
    errors = []
    for degrees, shift in zip(DEGREES, shifts(between), strict=True):
        ways = np.array([180, between / 2, -between / 2]) + degrees
        lines = phantoms.branches(100 + shift, ways, (80, 80, 80))
        tube = phantoms.tube((200, 200), lines, width)
        found = vessel(tube.mask)
        assert found("branch points") == 1
        assert found("end points") == 3
        assert found("crossings") == 0
        errors.append(found("branching angle median") - between)
    assert np.abs(errors).mean() < 3


def test_a_crossing_is_no_branch_point():
    for degrees, shift in zip(DEGREES, shifts(12), strict=True):
        ways = np.array([0, 70, 180, 250]) + degrees
        lines = phantoms.branches(80 + shift, ways, (70,) * 4)
        found = vessel(phantoms.tube((160, 160), lines, 6).mask)
        assert found("branch points") == 0
        assert found("crossings") == 1
        assert found("end points") == 4
