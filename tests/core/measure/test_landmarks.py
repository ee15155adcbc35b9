"""Finding the fovea of the sample photograph."""

import math

import numpy as np

import napari_localdisc as ld
from napari_localdisc.io.samples import open_retina

# By eye
FOVEA, DISC = (690, 690), (640.0, 225.0, 200.0)


def test_fovea_of_a_photograph():
    image = open_retina()[0][0]
    vessels = np.zeros(image.shape[:2], bool)
    found = ld.measure(
        vessels, names="vessel", image=image, disc=DISC, regions=["field"]
    )
    place = found.value(measure="row"), found.value(measure="column")
    assert math.dist(place, FOVEA) < 0.3 * DISC[2]
    mirrored = image[:, ::-1]
    disc = DISC[0], image.shape[1] - 1 - DISC[1], DISC[2]
    found = ld.measure(vessels, names="vessel", image=mirrored, disc=disc)
    other = found.value(measure="row"), found.value(measure="column")
    assert math.dist(other, (place[0], image.shape[1] - 1 - place[1])) < 10
    (row,) = found.where(measure="row")
    assert row.method.startswith("found")
    assert "nasal quadrant" in {row.region for row in found}
