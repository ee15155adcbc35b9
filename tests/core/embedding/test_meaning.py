"""What clicks mean: when likeness stays what is meant."""

import numpy as np
from tests.core.embedding.clicking import COLUMNS, ROWS, SIDE, about, clicks, shown

from napari_localdisc.core.embedding.meaning import Candidate, Extent, choose


def test_likeness_that_is_few_pixels_stays_what_is_meant():
    everywhere = np.ones((SIDE, SIDE), bool)

    def meant(seen, alike, given, **known):
        candidate = Candidate(seen, Extent.of(seen, everywhere), **known)
        return choose([candidate], given, lambda: alike)

    # A lesion that no click shows, though some may have been missed
    lesion = shown(about(30, 30, 20))
    unseen = clicks((180, 20), (150, 20), (160, 60), (120, 20), (110, 10))
    known = {"is_lesion": True, "bright": False}
    assert meant(lesion, 0.3, unseen, **known) == 0
    assert meant(lesion, 0.01, unseen, **known) == 1
    # Something much larger that one of two clicks faintly shows
    vessel = shown(abs(ROWS - COLUMNS) < 6, 0.5)
    off = [(20, 150), (60, 120), (150, 40), (190, 120)]
    corrected = clicks((180, 20), (150, 150), negative=off)
    assert meant(vessel, 0.3, corrected) == 0
    assert meant(vessel, 0.001, corrected) == 1
