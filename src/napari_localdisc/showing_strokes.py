"""What was learned from strokes → layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import looks
from .derived import DerivedLabels, DerivedMap
from .labels_target import class_colormap
from .presenting import provenance
from .stroke_layers import Marker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from .annotation_state import AnnotationClass
    from .embedding_work import Embedded
    from .layers import Plane
    from .stroke_layers import Learned, StrokeLayers

PREDICTION_OPACITY = 0.45
MARKER_SIZE = 1 / 35
"""Of the star, as a part of the image's longer side."""


def show_prediction(
    viewer: ViewerModel,
    layers: StrokeLayers,
    layer: Image,
    plane: Plane,
    known: Embedded,
    learned: Learned,
    classes: Iterable[AnnotationClass],
) -> None:
    """Show the predicted labels, below the strokes and in the classes' colours."""
    colormap = class_colormap(classes)
    values = range(int(learned.labels.max()) + 1)
    colours = np.array([np.ravel(colormap.map(value)) for value in values], float)
    found = [int(value) for value in learned.classifier.classes]
    metadata = provenance(known, classes=found)
    pixels, placement = plane.expand(learned.labels), plane.placement(layer)
    if layers.prediction is None or not layers.prediction.update(
        viewer, pixels, colours, placement, metadata
    ):
        name = f"{layer.name} prediction{plane.caption}"
        layers.prediction = DerivedLabels(
            viewer, pixels, colours, placement, name, metadata, keep_selection=True
        )
        shown, strokes = layers.prediction.layer(viewer), layers.strokes_in(viewer)
        if shown is not None and strokes is not None:
            shown.opacity = PREDICTION_OPACITY
            below = viewer.layers.index(strokes)
            viewer.layers.move(viewer.layers.index(shown), below)
    shown = layers.prediction.layer(viewer)
    if shown is not None:
        shown.visible = True


def show_uncertainty(
    viewer: ViewerModel, layers: StrokeLayers, layer: Image, plane: Plane
) -> None:
    """Lay over the image what the classifier is not sure of."""
    if layers.learned is None:
        return
    values = plane.expand(layers.learned.uncertainty)
    placement = plane.placement(layer)
    metadata = {"uncertainty": True}
    if layers.uncertainty is None or not layers.uncertainty.update(
        viewer, values, placement, metadata
    ):
        layers.uncertainty = DerivedMap(
            viewer,
            values,
            placement,
            f"{layer.name} uncertainty{plane.caption}",
            looks.uncertainty_colormap(),
            metadata,
        )


def show_marker(
    viewer: ViewerModel, layers: StrokeLayers, layer: Image, plane: Plane
) -> None:
    """Put a star on the spot whose label would help most."""
    if layers.learned is None:
        return
    at = _coordinates(plane, layers.learned.next_point)
    if layers.marker is None or not layers.marker.move(viewer, at):
        layers.marker = Marker(
            viewer,
            at,
            MARKER_SIZE * max(plane.shape),
            plane.placement(layer),
            f"{layer.name} where next{plane.caption}",
        )


def move_marker(viewer: ViewerModel, layers: StrokeLayers, plane: Plane) -> None:
    """Move the star, if there is one, to where a label helps most now."""
    if layers.marker is not None and layers.learned is not None:
        at = _coordinates(plane, layers.learned.next_point)
        layers.marker.move(viewer, at)


def _coordinates(plane: Plane, point: tuple[int, int]) -> NDArray[np.float64]:
    at = np.zeros(len(plane.index))
    at[list(plane.axes)] = point
    return at
