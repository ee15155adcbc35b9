"""Results from files, laid on the image that is open already."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.types import LayerDataTuple

from .ours import LABELS_OPACITY
from .plane import OF_KEY, is_derived

_PLACEMENT = ("scale", "translate", "rotate", "shear", "units", "axis_labels")


def open_image(viewer: ViewerModel, path: Path, pixels: Any) -> Image | None:
    """Return the layer that shows a file, or the same pixels; None if there is none."""
    images = [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, Image) and not is_derived(layer)
    ]
    for layer in images:
        if layer.source.path is not None and _same_file(layer.source.path, path):
            return layer
    return next((layer for layer in images if _holds(layer.data, pixels)), None)


def _same_file(one: str, other: Path) -> bool:
    return Path(one).resolve() == other.resolve()


def _holds(data: Any, pixels: Any) -> bool:
    both = isinstance(data, np.ndarray) and isinstance(pixels, np.ndarray)
    return bool(both and data.dtype == pixels.dtype and np.array_equal(data, pixels))


def lay_result(viewer: ViewerModel, image: Image, result: LayerDataTuple) -> Labels:
    """Lay labels of a file on their image; those that lie there already are returned.

    They go where the image is, are hidden with it, and come back with it.
    """
    data, attributes, _ = result
    for layer in viewer.layers:
        is_its = OF_KEY in layer.metadata and layer.metadata[OF_KEY]() is image
        if isinstance(layer, Labels) and is_its and _holds(layer.data, data):
            return layer
    attributes = {**attributes, "opacity": LABELS_OPACITY}
    attributes["metadata"] = {**attributes["metadata"], OF_KEY: weakref.ref(image)}
    if tuple(np.shape(data)) == image.data.shape[: image.ndim]:
        attributes |= {name: getattr(image, name) for name in _PLACEMENT}
        attributes["affine"] = image.affine.affine_matrix
    layer = Labels(data, **attributes)
    viewer.add_layer(layer)
    return layer
