"""Strokes as a Labels layer to paint on, and the star that says where to go on."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Points
from numpy.typing import NDArray

from napari_localdisc.annotation.state import AnnotationClass

from .labels import class_colormap
from .ours import Ours
from .plane import METADATA_KEY

MARKER_COLOUR = "#ffee58"


def make_strokes(
    pixels: NDArray[np.integer],
    classes: tuple[AnnotationClass, ...],
    placement: dict[str, Any],
    name: str,
) -> Labels:
    """Make a Labels layer to paint on."""
    return Labels(
        pixels,
        name=name,
        colormap=class_colormap(classes),
        opacity=0.9,
        metadata={METADATA_KEY: {"strokes": True}},
        **placement,
    )


class Marker(Ours):
    """A star on the spot whose label would help most.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer goes.
    point : ndarray
        (ndim,) coordinates of the layer.
    size : float
        In pixels of the image.
    placement : dict
        From `Plane.placement`.
    name : str
        Of the layer.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        point: NDArray[np.float64],
        size: float,
        placement: dict[str, Any],
        name: str,
    ) -> None:
        layer = Points(
            point[None],
            name=name,
            symbol="star",
            size=size,
            face_color=MARKER_COLOUR,
            border_color=MARKER_COLOUR,  # in a small canvas it covers all of it
            canvas_size_limits=(18, 40),
            metadata={METADATA_KEY: {"marker": True}},
            **placement,
        )
        super().__init__(viewer, layer)

    def move(self, point: NDArray[np.float64]) -> None:
        """Move the star."""
        layer: Points | None = self.layer
        if layer is not None:
            layer.selected_data = set()
            layer.data = point[None]
