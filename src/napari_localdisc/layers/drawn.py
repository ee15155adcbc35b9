"""Lines and points that show where a number comes from, as layers of their own."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer, Points, Vectors
from numpy.typing import NDArray

from .ours import Ours, place
from .plane import METADATA_KEY, Plane

COLOURS = {
    "region": "#00e5ff",
    "skeleton": "#ffffff",
    "calibre": "#ffd600",
    "chord": "#ff2ec4",
    "outline": "#76ff03",
    "distance": "#ff9100",
    "nodes": "#ff2ec4",
}
"""Of what is drawn: a colour means one thing everywhere."""

_WIDTHS = {"calibre": 0.45, "skeleton": 0.9}
"""In pixels of the picture, of what is drawn at each of them."""

_OTHERS = 600
"""A picture's longer side over the width of all other lines."""


@dataclass(frozen=True, eq=False)
class Lines:
    """What is drawn as one layer.

    Attributes
    ----------
    what : str
        Of `COLOURS`; names the layer.
    places : ndarray
        (n, 2, 2) first and last points (row, column) of lines, or (n, 2) points.
    """

    what: str
    places: NDArray[np.float64]


class Drawings:
    """The layers that show where one number comes from.

    Parameters
    ----------
    viewer : ViewerModel
        Where they go; the selected layer stays selected.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._ours: dict[tuple[str, int], Ours] = {}

    def show(self, layer: Layer, plane: Plane, drawn: Iterable[Lines]) -> None:
        """Draw over a plane of a layer, in place of what was drawn before.

        Layers that show the same of something else stay where they are: napari takes
        much longer to make new ones.
        """
        placement = plane.placement(layer)
        wanted = {(each.what, each.places.ndim): each.places for each in drawn}
        for key in [key for key in self._ours if key not in wanted]:
            self._ours.pop(key).remove()
        for key, places in wanted.items():
            data = _expanded(places, plane, layer.ndim)
            ours = self._ours.get(key)
            old = ours.layer if ours is not None else None
            if old is not None and old.ndim == layer.ndim:
                old.data = data
                place(old, placement)
                continue
            if ours is not None:
                ours.remove()
            made = _make(layer, plane, key[0], data, placement)
            self._ours[key] = Ours(self._viewer, made)

    def clear(self) -> None:
        """Take them away, but for those that the user renamed to keep them."""
        for ours in self._ours.values():
            ours.remove()
        self._ours.clear()


def _expanded(
    places: NDArray[np.float64], plane: Plane, ndim: int
) -> NDArray[np.float64]:
    """Return lines as vectors, or points, in all of a layer's dimensions."""
    full = np.zeros((*places.shape[:-1], ndim))
    full[..., list(plane.axes)] = places
    if places.ndim == 3:
        full[:, 1] -= full[:, 0]
    return full


def _make(
    layer: Layer,
    plane: Plane,
    what: str,
    data: NDArray[np.float64],
    placement: dict[str, Any],
) -> Layer:
    options: dict[str, Any] = {
        "name": f"{layer.name} {what}",
        "metadata": {METADATA_KEY: {"drawn": what}},
        **placement,
    }
    side = max(plane.shape)
    made: Layer
    if data.ndim == 3:
        made = Vectors(
            data,
            edge_color=COLOURS[what],
            edge_width=_WIDTHS.get(what, max(1.0, side / _OTHERS)),
            vector_style="line",
            **options,
        )
    else:
        made = Points(
            data,
            size=side / 60,
            symbol="ring",
            face_color=COLOURS[what],
            border_width=0,
            canvas_size_limits=(9, 20),
            **options,
        )
    made.editable = False
    return made
