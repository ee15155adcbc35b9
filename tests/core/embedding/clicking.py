"""A drawn square image, and clicks on it."""

import numpy as np
import torch

from napari_localdisc.core.embedding.meaning import Clicks

SIDE = 200
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def about(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) < radius


def shown(mask, inside=0.97):
    """Presence of a structure that is drawn as a mask."""
    return torch.from_numpy(np.where(mask, inside, 0.0).astype(np.float32))


def clicks(*positive, negative=(), spots=()):
    places = np.array([*positive, *negative])
    return Clicks(np.ones((len(places), 4), np.float32), places, len(positive), spots)
