"""How our layers look: ramps from clear to a colour that a retina does not have."""

from __future__ import annotations

import numpy as np
from napari.utils import Colormap
from numpy.typing import NDArray

STRUCTURE_RGB = (0.0, 0.9, 1.0)

_SIMILARITY_RAMP = (
    (0.0, (0.10, 0.20, 0.90, 0.0)),
    (0.3, (0.10, 0.20, 0.90, 0.0)),
    (0.6, (0.00, 0.55, 1.00, 0.45)),
    (0.85, (0.00, 0.90, 1.00, 0.85)),
    (1.0, (0.90, 1.00, 1.00, 0.95)),
)


def similarity_colormap() -> Colormap:
    """Ramp from clear through blue to a bright cyan, lighter the more similar."""
    controls, colours = zip(*_SIMILARITY_RAMP, strict=True)
    return Colormap(
        colors=np.array(colours), controls=list(controls), name="localdisc similarity"
    )


def structure_colormap() -> Colormap:
    """Ramp from clear to cyan, for a structure's probability."""
    colours = [(*STRUCTURE_RGB, 0.0), (*STRUCTURE_RGB, 0.9)]
    return Colormap(colors=np.array(colours), name="localdisc structure")


def mask_colours() -> NDArray[np.float64]:
    """(2, 4) RGBA of labels 0 and 1 of a mask."""
    return np.array([(0, 0, 0, 0), (*STRUCTURE_RGB, 1)], dtype=float)
