"""The layers of learning from strokes on one plane, and what was learned last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Points
from numpy.typing import NDArray

from .labels import class_colormap
from .ours import DerivedLabels, DerivedLayer, DerivedMap
from .plane import METADATA_KEY

if TYPE_CHECKING:
    import weakref

    import numpy as np
    from napari.components import ViewerModel

    from napari_localdisc.annotation.state import AnnotationClass
    from napari_localdisc.core.learning.classifier import Classifier

MARKER_COLOUR = "#ffee58"


@dataclass(frozen=True)
class Learned:
    """What one round of learning gives.

    Attributes
    ----------
    strokes : ndarray
        (H, W) labels that it was learned from.
    classifier : Classifier
        What was learned.
    labels : ndarray
        (H, W) predicted labels; 0 outside the field of view.
    uncertainty : ndarray
        (H, W) float32: 0 sure, 1 not at all.
    next_point : tuple of int
        (row, column) whose label would help most.
    """

    strokes: NDArray[np.integer]
    classifier: Classifier
    labels: NDArray[np.unsignedinteger]
    uncertainty: NDArray[np.float32]
    next_point: tuple[int, int]


@dataclass
class StrokeLayers:
    """Layers are held by reference, and may be gone."""

    strokes: weakref.ref[Labels]
    prediction: DerivedLabels | None = None
    uncertainty: DerivedMap | None = None
    marker: Marker | None = None
    learned: Learned | None = None

    def strokes_in(self, viewer: ViewerModel) -> Labels | None:
        """Return the layer that is painted on while it is in the viewer."""
        layer = self.strokes()
        return layer if layer is not None and layer in viewer.layers else None


def make_strokes(
    viewer: ViewerModel,
    pixels: NDArray[np.integer],
    classes: tuple[AnnotationClass, ...],
    placement: dict[str, Any],
    name: str,
) -> Labels:
    """Add a Labels layer to paint on, select it, and take napari's brush."""
    layer = Labels(
        pixels,
        name=name,
        colormap=class_colormap(classes),
        opacity=0.9,
        metadata={METADATA_KEY: {"strokes": True}},
        **placement,
    )
    viewer.add_layer(layer)
    return layer


class Marker(DerivedLayer):
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
            border_color="#101010",
            border_width=0.08,
            canvas_size_limits=(18, 40),
            metadata={METADATA_KEY: {"marker": True}},
            **placement,
        )
        super().__init__(viewer, layer, keep_selection=True)

    def move(self, viewer: ViewerModel, point: NDArray[np.float64]) -> bool:
        """Move the star; false if the layer is gone."""
        layer: Points | None = self.layer(viewer)
        if layer is None:
            return False
        layer.selected_data = set()
        layer.data = point[None]
        return True
