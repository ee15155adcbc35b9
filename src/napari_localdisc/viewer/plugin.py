"""What the manifest names: readers and writers.

Opening a session or a concept is something that is done in a viewer: nothing is
returned as layers.  With no viewer at hand, a session's labels are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from napari.types import LayerDataTuple

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.io.labels import (
    read_labels,
    without_others,
    write_labels,
    write_map,
)
from napari_localdisc.io.session import SUFFIX, read_session
from napari_localdisc.layers.files import (
    finest,
    label_map_of,
    layer_data_of,
    our_metadata,
    placement_of,
)

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


def open_measures() -> None:
    """Show the widget's page of measures: the command in Layers > Measure."""
    widget = _widget()
    if widget is not None:
        widget.tabs.setCurrentWidget(widget.measure_page)


def _open_sessions(path: str | list[str]) -> list[LayerDataTuple]:
    widget = _widget()
    if widget is not None:
        for one in _paths(path):
            widget.sessions.open(one)
        return NO_LAYERS
    from napari.utils.notifications import show_warning

    from .session.layers import make_labels

    troubles: list[str] = []
    made: list[LayerDataTuple] = []
    for one in _paths(path):
        session = read_session(one)
        troubles += session.faults
        for labels in session.labels:
            made.append(make_labels(labels, troubles).as_layer_data_tuple())
    for trouble in troubles:
        show_warning(trouble)
    return made


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


def get_dicom_reader(path: str | list[str]) -> Reader | None:
    """Return a function that opens DICOM images, each as a layer of its own."""
    return _open_dicom if Path(_paths(path)[0]).exists() else None


def _open_dicom(path: str | list[str]) -> list[LayerDataTuple]:
    from napari_localdisc.core.image.dicom import is_segmentation
    from napari_localdisc.core.image.files import read_image, read_placement

    opened: list[LayerDataTuple] = []
    for one in _paths(path):
        if is_segmentation(Path(one)):
            opened += _open_labels(one)
            continue
        pixels = read_image(one)
        about = {
            "name": Path(one).stem,
            "rgb": pixels.ndim == 3,
            **read_placement(one),
        }
        opened.append((pixels, about, "image"))
    return opened


def get_reader(path: str | list[str]) -> Reader | None:
    """Return a function that opens labels, for files that hold some."""
    return _open_labels if Path(_paths(path)[0]).exists() else None


def _open_labels(path: str | list[str]) -> list[LayerDataTuple]:
    return [
        layer_data_of(each)
        for one in without_others([Path(one) for one in _paths(path)])
        for labels in read_labels(one)
        for each in labels.maps
    ]


class NotWritten(Exception):
    """Why layers were not saved; napari takes a ValueError for “no plugin found”."""


@contextmanager
def _told_by_napari() -> Iterator[None]:
    try:
        yield
    except LocalDiscError as error:
        raise NotWritten(str(error)) from error


def write_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer in the format that the file's name asks for."""
    with _told_by_napari():
        files = write_labels(path, label_map_of(data, attributes))
    return [str(file) for file in files]


def write_float_tiff(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a map, such as a similarity, as a 32-bit float TIFF file."""
    data, ours = finest(data, attributes), our_metadata(attributes)
    with _told_by_napari():
        files = write_map(path, np.asarray(data), placement_of(attributes), ours)
    return [str(file) for file in files]
