"""How large an image is to be seen, by the calibre of its vessels."""

import numpy as np

from napari_localdisc.core.embedding.magnification import (
    WIDE_ANGLE,
    calibre,
    suggested,
)

INSIDE = np.ones((576, 576), bool)


def vessels(width, apart=48):
    """Straight vessels of that width."""
    shown = np.zeros(INSIDE.shape, np.float32)
    for row in range(20, 560, apart):
        shown[row : row + width, 8:-8] = 1
    return shown


def test_the_calibre_is_the_mean_width_at_the_usual_size():
    width = calibre(vessels(5), INSIDE)
    assert width is not None
    assert abs(width - 5) < 0.2
    half = calibre(vessels(6)[::2, ::2], INSIDE[::2, ::2])
    assert half is not None
    assert abs(half - 6) < 0.4


def test_narrow_vessels_are_looked_at_closer():
    assert suggested(vessels(3), INSIDE) == WIDE_ANGLE
    assert suggested(vessels(5), INSIDE) == 1


def test_few_vessels_say_nothing():
    few = vessels(3, apart=400)
    assert calibre(few, INSIDE) is None
    assert suggested(few, INSIDE) == 1
    assert suggested(np.zeros_like(few), INSIDE) == 1
