"""File > Open of sessions and concepts: what the manifest's readers do.

Opening one is something that is done in a viewer: nothing is returned as layers.  With
no viewer at hand, a session's labels are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .io.session import SUFFIX, read_session

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
    from .session_layers import make_labels

    return [
        make_labels(labels).as_layer_data_tuple()
        for one in _paths(path)
        for labels in read_session(one).labels
    ]


def _apply_concepts(path: str | list[str]) -> list[LayerDataTuple]:
    widget = _widget()
    if widget is None:
        from .core.errors import FileError

        raise FileError(
            "A concept is found in an image: open one in napari, then the concept."
        )
    for one in _paths(path):
        widget.concepts.apply_file(one)
    return NO_LAYERS
