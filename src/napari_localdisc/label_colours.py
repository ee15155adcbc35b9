"""The colours of labels, looked up without a compiler."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils import DirectLabelColormap
from numpy.typing import NDArray

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
        return table[places.reshape(values.shape)]


def label_colours(colours: NDArray[np.floating]) -> LabelColours:
    """Turn (n + 1, 4) RGBA rows into a colormap in which painted labels show too."""
    table: dict[int | None, Any] = {None: PAINTED}
    table.update(enumerate(np.asarray(colours, dtype=float)))
    return LabelColours(color_dict=table)


def same_colours(one: Any, other: DirectLabelColormap) -> bool:
    """Whether a layer's colormap shows labels as another one does."""
    mine = getattr(one, "color_dict", None)
    return (
        mine is not None
        and mine.keys() == other.color_dict.keys()
        and all(np.allclose(mine[key], other.color_dict[key]) for key in mine)
    )
