"""Embedding → layers: what each operation shows, on the plane it was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_localdisc.annotation.state import AnnotationClass, split
from napari_localdisc.layers.colours import (
    similarity_colormap,
    structure_colormap,
    uncertainty_colormap,
)
from napari_localdisc.layers.labels import class_colormap
from napari_localdisc.layers.ours import DerivedLabels, DerivedMap
from napari_localdisc.layers.strokes import Learned, Marker, StrokeLayers

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_localdisc.annotation.document import PlaneState
    from napari_localdisc.layers.plane import Plane

    from .embeddings import Embedded


def provenance(known: Embedded, **made: Any) -> dict[str, Any]:
    """Say in a layer's metadata how it was made."""
    return {"model": known.model.card.name, "model_hash": known.model.hash, **made}


def _write_labels(
    viewer: ViewerModel,
    previous: DerivedLabels | None,
    labels: NDArray[Any],
    colours: NDArray[np.floating],
    placement: dict[str, Any],
    name: str,
    metadata: dict[str, Any],
) -> DerivedLabels:
    """Update labels that are as we wrote them, else make a new layer."""
    if previous is not None and previous.update(
        viewer, labels, colours, placement, metadata
    ):
        return previous
    return DerivedLabels(viewer, labels, colours, placement, name, metadata)


def show_clusters(
    viewer: ViewerModel,
    state: PlaneState,
    layer: Image,
    plane: Plane,
    known: Embedded,
    number: int,
) -> bool:
    """Write cluster labels.

    Returns
    -------
    bool
        Whether they went to a new layer because the user edited the previous one.
    """
    from napari_localdisc.core.embedding.clusters import cluster_colours
    from napari_localdisc.core.model.card import MOST

    model = known.model
    most = min(MOST, len(model.centres))
    number = min(number, most)
    previous = state.clusters
    edited = (
        previous is not None
        and previous.layer(viewer) is not None
        and previous.intact(viewer) is None
    )
    state.clusters = _write_labels(
        viewer,
        previous,
        plane.expand(known.embedding.clusters(number)),
        cluster_colours(model, most),
        plane.placement(layer),
        f"{layer.name} structures{plane.caption}",
        provenance(known, structures=number),
    )
    return edited


def show_similarity(
    viewer: ViewerModel, state: PlaneState, layer: Image, plane: Plane, known: Embedded
) -> None:
    """Lay the similarity to the prompts over the image, on the working grid.

    The map has the working grid's pixels, placed by its layer: a click then costs one
    pass over the embedding and no resampling.
    """
    positive, negative = split(state.committed.prompts)
    if not positive:
        _remove_similarity(viewer, state)
        return
    values = similarity_pixels(plane, known, positive, negative)
    placement = grid_placement(layer, plane, known)
    metadata = provenance(known, positive=positive, negative=negative)
    if state.similarity is not None and state.similarity.update(
        viewer, values, placement, metadata
    ):
        return
    state.similarity = DerivedMap(
        viewer,
        values,
        placement,
        f"{layer.name} similarity{plane.caption}",
        similarity_colormap(),
        metadata,
    )


def similarity_pixels(
    plane: Plane, known: Embedded, positive: ArrayLike, negative: ArrayLike = ()
) -> NDArray[np.float32]:
    """Compute a similarity map's pixels: 0 outside the field of view."""
    embedding = known.embedding
    values = embedding.similarity_on_grid(positive, negative)
    return plane.expand(np.where(embedding.inside, values, np.float32(0)))


def grid_placement(layer: Image, plane: Plane, known: Embedded) -> dict[str, Any]:
    """Place the working grid on its image."""
    grid = known.embedding.grid
    origin = grid.points_to_image([(0, 0)])[0]
    return plane.placement(layer, origin, 1 / np.asarray(grid.scale))


def clear_similarity(viewer: ViewerModel, state: PlaneState) -> None:
    """Take a plane's map and the points of its prompts away."""
    _remove_similarity(viewer, state)
    if state.points is not None:
        state.points.remove(viewer)
    state.points = None


def _remove_similarity(viewer: ViewerModel, state: PlaneState) -> None:
    if state.similarity is not None:
        state.similarity.remove(viewer)
    state.similarity = None


def show_structure(
    viewer: ViewerModel,
    state: PlaneState,
    layer: Image,
    plane: Plane,
    known: Embedded,
    name: str,
) -> None:
    """Lay a named structure's probability over the image."""
    values = plane.expand(known.embedding.structure(name))
    placement = plane.placement(layer)
    metadata = provenance(known, structure=name)
    previous = state.structures.get(name)
    if previous is None or not previous.update(viewer, values, placement, metadata):
        state.structures[name] = DerivedMap(
            viewer,
            values,
            placement,
            f"{layer.name} {name} probability{plane.caption}",
            structure_colormap(),
            metadata,
        )


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
            uncertainty_colormap(),
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
