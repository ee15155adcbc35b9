"""Outlines that are drawn as napari draws them, but quickly."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_localdisc.layers.outline import draw_outlines, inner_outline, thickness


@pytest.fixture
def disc():
    rows, columns = np.mgrid[:40, :40]
    return ((rows - 20) ** 2 + (columns - 18) ** 2 < 150).astype(np.uint8) * 7


@pytest.mark.parametrize("width", [1, 2, 4])
def test_an_outline_is_as_thick_as_asked_and_inside(disc, width):
    drawn = inner_outline(disc, width)
    assert set(np.unique(drawn)) == {0, 7}
    assert not drawn[disc == 0].any()
    assert np.flatnonzero(drawn[20]).size == 2 * width
    assert drawn[20, 18] == 0
    assert drawn.dtype == disc.dtype


def test_napari_shows_them_and_the_data_stay(disc):
    viewer, labels = ViewerModel(), Labels(disc.copy())
    draw_outlines(labels)
    labels.contour = 3
    viewer.add_layer(labels)
    np.testing.assert_array_equal(labels.data, disc)
    shown = labels._slice.image.view
    inside = np.zeros(disc.shape, bool)
    inside[15:25, 14:23] = True
    assert not shown[inside].any()
    assert np.count_nonzero(shown) == np.count_nonzero(inner_outline(disc, 3))
    labels.contour = 0
    assert np.count_nonzero(labels._slice.image.view) == np.count_nonzero(disc)


def test_a_painted_part_is_outlined_with_its_surroundings(disc):
    viewer, labels = ViewerModel(), Labels(disc.copy())
    draw_outlines(labels)
    labels.contour = 2
    viewer.add_layer(labels)
    labels.brush_size = 6
    labels.paint((20, 31), 7)
    whole = inner_outline(np.asarray(labels.data), 2)
    assert np.array_equal(labels._slice.image.view > 0, whole > 0)


def test_outlines_of_large_pictures_are_thicker():
    small, large = (Labels(np.zeros((side, side), np.uint8)) for side in (300, 2900))
    assert thickness(small) == 1
    assert thickness(large) == 6
