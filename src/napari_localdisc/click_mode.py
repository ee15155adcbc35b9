"""A mode in which a click in the canvas means something; leaving it undoes it all."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

TOLERANCE = 4
"""Canvas pixels that the mouse may move between press and release of a click."""

PAN_ZOOM = "pan_zoom"
MIDDLE = 3
"""The wheel's button, as the canvas counts."""

OnClick = Callable[[tuple[float, ...], bool], None]


class ClickMode:
    """Take over plain clicks of the left button; drags pan and the wheel zooms still.

    Drags of the middle button pan, too, whatever tool the selected layer is in.

    While the selected layer is in a mode of its own, such as painting, clicks are
    that layer's.

    Parameters
    ----------
    viewer : ViewerModel
        Whose canvas is clicked.
    on_click : callable
        Called with the click's world position and whether it is positive (Shift makes
        it negative).
    """

    def __init__(self, viewer: ViewerModel, on_click: OnClick) -> None:
        self._viewer = viewer
        self._on_click = on_click
        self._double_click: list[Callable[..., Any]] = []
        self._borrowed: tuple[weakref.ref[Layer], str] | None = None
        self.is_active = False

    def enter(self) -> None:
        """Start to take clicks."""
        if self.is_active:
            return
        self.is_active = True
        viewer = self._viewer
        viewer.mouse_drag_callbacks.append(self._on_drag)
        # A quick second click must not zoom in
        self._double_click = list(viewer.mouse_double_click_callbacks)
        viewer.mouse_double_click_callbacks[:] = [self._on_double_click]
        active = viewer.layers.selection.active
        if active is not None and active.mode != PAN_ZOOM:
            self._borrowed = weakref.ref(active), str(active.mode)
            active.mode = PAN_ZOOM
        viewer.layers.selection.events.active.connect(
            self._show_cursor, position="last"
        )
        self._show_cursor()

    def leave(self) -> None:
        """Give the viewer and the layer their own mouse behaviour back."""
        if not self.is_active:
            return
        self.is_active = False
        viewer = self._viewer
        viewer.layers.selection.events.active.disconnect(self._show_cursor)
        if self._on_drag in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._on_drag)
        added = [
            callback
            for callback in viewer.mouse_double_click_callbacks
            if callback != self._on_double_click
        ]
        viewer.mouse_double_click_callbacks[:] = [*self._double_click, *added]
        self._double_click = []
        self._give_back_mode()
        active = viewer.layers.selection.active
        viewer.cursor.style = "standard" if active is None else active.cursor

    def _give_back_mode(self) -> None:
        if self._borrowed is None:
            return
        reference, mode = self._borrowed
        self._borrowed = None
        layer = reference()
        if layer is not None and layer in self._viewer.layers:
            # Unless the user has chosen another tool meanwhile
            layer.mode = mode if layer.mode == PAN_ZOOM else layer.mode

    @property
    def takes_clicks(self) -> bool:
        """Whether a click now would be ours, and no tool's of the selected layer."""
        active = self._viewer.layers.selection.active
        return self.is_active and (active is None or active.mode == PAN_ZOOM)

    def _show_cursor(self, event: Any = None) -> None:
        if self.takes_clicks:
            self._viewer.cursor.style = "crosshair"

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        if event.button == MIDDLE:
            yield from self._pan(viewer, event)
            return
        modifiers = {str(getattr(key, "name", key)) for key in event.modifiers}
        if event.button != 1 or modifiers - {"Shift"} or not self.takes_clicks:
            return
        # The event changes under us as the mouse goes on
        start = np.array(event.pos, dtype=float)
        position = tuple(float(value) for value in event.position)
        yield
        while event.type == "mouse_move":
            if np.abs(np.asarray(event.pos) - start).max() > TOLERANCE:
                return
            yield
        if np.abs(np.asarray(event.pos) - start).max() <= TOLERANCE and self.is_active:
            self._on_click(position, "Shift" not in modifiers)

    @staticmethod
    def _pan(viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        """Keep what was under the mouse under the mouse."""
        held = np.array(event.position, dtype=float)
        camera = getattr(viewer, "scene", viewer).camera  # the viewer's own before 0.9
        yield
        while event.type == "mouse_move":
            displayed = list(event.dims_displayed)
            moved = (held - np.asarray(event.position))[displayed]
            centre = np.array(camera.center, dtype=float)
            centre[-len(moved) :] += moved
            camera.center = tuple(centre)
            yield

    def _on_double_click(self, viewer: ViewerModel, event: Any) -> None:
        """Do nothing: the first of the two clicks has been taken already."""
