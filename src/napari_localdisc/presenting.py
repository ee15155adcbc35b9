"""Embedding → layers: what each operation shows, on the plane it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import looks
from .derived import DerivedLabels, DerivedMap
from .plane_state import split

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from .embedding_work import Embedded
    from .layers import Plane
    from .plane_state import PlaneState

MASK_THRESHOLD = 0.5
"""A structure's probability from which a pixel belongs to its mask (IPMI 2021)."""


def _provenance(known: Embedded, **made: Any) -> dict[str, Any]:
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
    from .core.clustering import MOST, cluster_colours

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
        _provenance(known, structures=number),
    )
    return edited


def show_similarity(
    viewer: ViewerModel, state: PlaneState, layer: Image, plane: Plane, known: Embedded
) -> None:
    """Lay the similarity to the prompts over the image, on the working grid.

    The map has the working grid's pixels, placed by its layer: a click then costs one
    pass over the embedding and no resampling.
    """
    positive, negative = split(state.prompts)
    state.shown = list(state.prompts)
    if not positive:
        _remove_similarity(viewer, state)
        return
    embedding = known.embedding
    values = embedding.similarity_on_grid(positive, negative)
    values = plane.expand(np.where(embedding.inside, values, np.float32(0)))
    grid = embedding.grid
    origin = grid.points_to_image([(0, 0)])[0]
    placement = plane.placement(layer, origin, 1 / np.asarray(grid.scale))
    metadata = _provenance(known, positive=positive, negative=negative)
    if state.similarity is not None and state.similarity.update(
        viewer, values, placement, metadata
    ):
        return
    state.similarity = DerivedMap(
        viewer,
        values,
        placement,
        f"{layer.name} similarity{plane.caption}",
        looks.similarity_colormap(),
        metadata,
    )


def clear_similarity(viewer: ViewerModel, state: PlaneState) -> None:
    """Forget the prompts and take their map away."""
    state.prompts.clear()
    state.shown.clear()
    _remove_similarity(viewer, state)


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
    metadata = _provenance(known, structure=name)
    previous = state.structures.get(name)
    if previous is None or not previous.update(viewer, values, placement, metadata):
        state.structures[name] = DerivedMap(
            viewer,
            values,
            placement,
            f"{layer.name} {name} probability{plane.caption}",
            looks.structure_colormap(),
            metadata,
        )


def mask_structure(
    viewer: ViewerModel,
    state: PlaneState,
    layer: Image,
    plane: Plane,
    known: Embedded,
    name: str,
) -> None:
    """Write a mask of a named structure: label 1 where it is probable."""
    mask = known.embedding.structure(name) >= MASK_THRESHOLD
    state.masks[name] = _write_labels(
        viewer,
        state.masks.get(name),
        plane.expand(mask.astype(np.uint8)),
        looks.mask_colours(),
        plane.placement(layer),
        f"{layer.name} {name}{plane.caption}",
        _provenance(known, structure=name, threshold=MASK_THRESHOLD),
    )
