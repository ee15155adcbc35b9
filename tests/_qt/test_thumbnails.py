"""Thumbnails in napari's list of layers have pixels of their own."""

import numpy as np
import pytest

from napari_localdisc._qt.thumbnails import keep_their_pixels


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_drawn_is_what_the_layer_shows(make_napari_viewer, times):
    from napari._qt.containers.qt_layer_model import ThumbnailRole

    for _ in range(times):
        keep_their_pixels()
    viewer = make_napari_viewer()
    layer = viewer.add_image(np.full((40, 40), 1.0), contrast_limits=(0, 1))
    view = viewer.window._qt_viewer.layers
    index = view.model().index(0, 0)
    for _ in range(20):
        picture = index.data(ThumbnailRole)
        taken = [bytes([9]) * layer.thumbnail.nbytes for _ in range(5)]
        bits = picture.constBits()
        if hasattr(bits, "setsize"):  # PyQt
            bits.setsize(picture.sizeInBytes())
        np.testing.assert_array_equal(
            np.frombuffer(bits, np.uint8), layer.thumbnail.ravel()
        )
        del taken
    assert index.data() == layer.name
    viewer.layers.clear()
    assert view.model().rowCount() == 0
