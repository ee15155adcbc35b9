"""The colours of labels, looked up without a compiler."""

import functools
from typing import Any

import numpy as np
from napari.utils import Colormap, DirectLabelColormap
from napari.utils.colormaps import standardize_color
from numpy.typing import NDArray

from napari_localdisc.core.colours import from_hex

PAINTED = (1.0, 1.0, 1.0, 1.0)
"""Colour of labels that have none of their own, as when the user paints them."""


class LabelColours(DirectLabelColormap):
    """A colour for each label, and one for all others.

    Where numba is installed, as by `napari[all]`, napari compiles a table for every
    dtype before it looks up the first colour: three seconds in which the window stands
    still.  Thumbnails, legends and small dtypes have too few labels to need one.
    """

    def map(self, values: NDArray[np.integer] | np.integer | int) -> NDArray[Any]:
        """Return the RGBA of each label, in [0, 1]: (..., 4) float32."""
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
            return np.asarray(super().map(values))
        colours = self._map_without_cache(values)
        if self.use_selection:
            colours[values != self.selection] = 0
        return colours

    def _map_without_cache(self, values: NDArray[np.integer]) -> NDArray[Any]:
        # What napari's canvas makes its texture with
        labels, places = np.unique(values, return_inverse=True)
        found = [
            self.color_dict.get(key, self.default_color) for key in labels.tolist()
        ]
        table = np.array(found, np.float32).reshape(-1, 4)
        return np.asarray(table[places.reshape(values.shape)])


def label_colours(colours: NDArray[np.floating]) -> LabelColours:
    """Turn (n + 1, 4) RGBA rows into a colormap in which painted labels show too."""
    table: dict[int | None, Any] = {None: PAINTED}
    table.update(enumerate(np.asarray(colours, dtype=float)))
    return LabelColours(color_dict=table)


DIM = 0.12
"""Of the opacity of what does not stand out."""


def with_one_lit(colours: DirectLabelColormap, label: int) -> LabelColours:
    """Return the colours in which one label stands out."""
    table: dict[int | None, Any] = {}
    for value, colour in colours.color_dict.items():
        *rgb, alpha = (float(part) for part in colour)
        table[value] = (*rgb, alpha if value == label else DIM * alpha)
    return LabelColours(color_dict=table)


def same_colours(one: Any, other: DirectLabelColormap) -> bool:
    """Whether a layer's colormap shows labels as another one does."""
    mine = getattr(one, "color_dict", None)
    return (
        mine is not None
        and mine.keys() == other.color_dict.keys()
        and all(np.allclose(mine[key], other.color_dict[key]) for key in mine)
    )


TAKEN = "#ff2ec4"
"""Of what a mask wants and another class has."""

THRESHOLD_WIDTH = 0.01
"""Similarities on both sides of a threshold between which its display fades."""

_RAMPS = {
    # Through blue to a bright cyan, lighter the more similar; margins show through
    "similarity": (
        (0.0, (0.10, 0.20, 0.90, 0.0)),
        (0.3, (0.10, 0.20, 0.90, 0.0)),
        (0.6, (0.00, 0.55, 1.00, 0.20)),
        (0.85, (0.00, 0.90, 1.00, 0.35)),
        (1.0, (0.90, 1.00, 1.00, 0.45)),
    ),
    # To yellow, for what is like the pixel under the cursor
    "preview": (
        (0.0, (1.0, 0.75, 0.0, 0.0)),
        (0.35, (1.0, 0.75, 0.0, 0.0)),
        (1.0, (1.0, 0.95, 0.4, 0.6)),
    ),
    # To pink, for what the classifier is not sure of
    "uncertainty": (
        (0.0, (1.0, 0.2, 0.8, 0.0)),
        (0.5, (1.0, 0.2, 0.8, 0.0)),
        (1.0, (1.0, 0.2, 0.8, 0.6)),
    ),
}


@functools.cache
def ramp(what: str) -> Colormap:
    """Return the colours, from clear on, of a map of ``what``."""
    controls, colours = zip(*_RAMPS[what], strict=True)
    name = f"ld {what}"  # short: napari's list of them, and so its dock, is as wide
    return Colormap(colors=np.array(colours), controls=list(controls), name=name)


def structure_colormap(colour: str) -> Colormap:
    """Ramp from clear to a structure's colour, for its probability."""
    rgb = from_hex(colour)
    colours = [(*rgb, 0.0), (*rgb, 0.8)]
    return Colormap(colors=np.array(colours), name=f"ld {colour}")


def overlap_colours() -> NDArray[np.float64]:
    """(2, 4) RGBA of what other classes have: nothing, taken."""
    return mask_colours(TAKEN)[:2]


@functools.cache
def mask_colours(colour: str) -> NDArray[np.float64]:
    """(3, 4) RGBA of a mask: nothing, to be written, taken by another class."""
    solid = [standardize_color.transform_color(name)[0] for name in (colour, TAKEN)]
    return np.array([(0, 0, 0, 0), *solid], dtype=float)
