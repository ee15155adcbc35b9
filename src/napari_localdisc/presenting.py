"""Embedding → layers: what each operation shows, on the plane it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import looks
from .annotation_state import Prompt, split
from .derived import DerivedLabels, DerivedMap
from .prompt_points import PromptPoints

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import ArrayLike, NDArray

    from .embedding_work import Embedded
    from .layers import Plane
    from .plane_state import PlaneState


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
        looks.similarity_colormap(),
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


def show_prompts(
    viewer: ViewerModel,
    state: PlaneState,
    layer: Image,
    plane: Plane,
    on_edit: Callable[[tuple[Prompt, ...]], None],
) -> None:
    """Show the prompts as a Points layer, which is taken away with the last one."""
    prompts = state.committed.prompts
    if not prompts:
        if state.points is not None:
            state.points.remove(viewer)
        state.points = None
        return
    placement = plane.placement(layer)
    if state.points is None or not state.points.show(viewer, prompts, placement):
        name = f"{layer.name} prompts{plane.caption}"
        state.points = PromptPoints(viewer, plane, placement, name, on_edit)
        state.points.show(viewer, prompts, placement)


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
            looks.structure_colormap(),
            metadata,
        )
