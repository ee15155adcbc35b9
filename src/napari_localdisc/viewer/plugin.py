"""File > Open of sessions and concepts: what the manifest's readers do.

Opening one is something that is done in a viewer: nothing is returned as layers.  With
no viewer at hand, a session's labels are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_localdisc.io.labels import read_labels, write_labels, write_map
from napari_localdisc.io.session import SUFFIX, read_session
from napari_localdisc.layers.files import (
    _plain,
    label_map_of,
    layer_data_of,
    placement_of,
)
from napari_localdisc.layers.plane import METADATA_KEY

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

PLUGIN, WIDGET = "napari-localdisc", "Local discrimination"
CONCEPT_SUFFIX = ".concept.safetensors"

Reader = Callable[[Any], list[Any]]

NO_LAYERS: list[Any] = [(None,)]
"""What tells napari that the file was read and gives no layer."""


def get_session_reader(path: str | list[str]) -> Reader | None:
    """Return a function that opens sessions, for session files."""
    return _open_sessions if _all_end_with(path, SUFFIX) else None


def get_concept_reader(path: str | list[str]) -> Reader | None:
    """Return a function that applies concepts, for concept files."""
    return _apply_concepts if _all_end_with(path, CONCEPT_SUFFIX) else None


def _paths(path: str | list[str]) -> list[str]:
    return path if isinstance(path, list) else [path]


def _all_end_with(path: str | list[str], suffix: str) -> bool:
    return all(Path(one).name.endswith(suffix) for one in _paths(path))


def _widget() -> Any | None:
    """Return the plugin's widget in the viewer that is in use, opened if need be."""
    import napari

    viewer = napari.current_viewer()
    window = getattr(viewer, "window", None)
    if window is None:
        return None
    return window.add_plugin_dock_widget(PLUGIN, WIDGET)[1]


def _open_sessions(path: str | list[str]) -> list[LayerDataTuple]:
    widget = _widget()
    if widget is not None:
        for one in _paths(path):
            widget.sessions.open(one)
        return NO_LAYERS
    from .session.layers import make_labels

    return [
        make_labels(labels).as_layer_data_tuple()
        for one in _paths(path)
        for labels in read_session(one).labels
    ]


def _apply_concepts(path: str | list[str]) -> list[LayerDataTuple]:
    widget = _widget()
    if widget is None:
        from napari_localdisc.core.errors import FileError

        raise FileError(
            "A concept is found in an image: open one in napari, then the concept."
        )
    for one in _paths(path):
        widget.concepts.apply_file(one)
    return NO_LAYERS


# What the manifest names


def get_reader(path: str | list[str]) -> Callable[[Any], list[LayerDataTuple]] | None:
    """Return a function that opens labels, for files that hold some."""
    first = path[0] if isinstance(path, list) else path
    return _open if Path(first).exists() else None


def _open(path: str | list[str]) -> list[LayerDataTuple]:
    paths = path if isinstance(path, list) else [path]
    return [layer_data_of(labels) for one in paths for labels in read_labels(one)]


def _write(path: str, data: Any, attributes: Mapping[str, Any], form: str) -> list[str]:
    labels = label_map_of(data, attributes)
    return [str(file) for file in write_labels(path, labels, form)]


def write_png(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a PNG file with its colours."""
    return _write(path, data, attributes, "png")


def write_tiff(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as a TIFF file with classes and pixel size."""
    return _write(path, data, attributes, "tiff")


def write_ome_zarr(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as an OME-Zarr label image."""
    return _write(path, data, attributes, "ome-zarr")


def write_coco(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as COCO JSON."""
    return _write(path, data, attributes, "coco")


def write_masks(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write one binary PNG file per class of a Labels layer."""
    return _write(path, data, attributes, "masks")


def write_float_tiff(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a map, such as a similarity, as a 32-bit float TIFF file."""
    if isinstance(data, list | tuple) or attributes.get("multiscale"):
        data = data[0]
    ours = (attributes.get("metadata") or {}).get(METADATA_KEY) or {}
    files = write_map(path, np.asarray(data), placement_of(attributes), _plain(ours))
    return [str(file) for file in files]
