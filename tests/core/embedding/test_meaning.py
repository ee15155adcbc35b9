"""What clicks mean: when likeness stays what is meant."""

import numpy as np
import torch

from napari_localdisc.core.embedding.meaning import Candidate, Clicks, Extent, choose

SIDE = 200
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def about(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) < radius


def shown(mask, inside=0.97):
    return torch.from_numpy(np.where(mask, inside, 0.0).astype(np.float32))


def clicks(*positive, negative=()):
    places = np.array([*positive, *negative])
    return Clicks(np.ones((len(places), 4), np.float32), places, len(positive))


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
