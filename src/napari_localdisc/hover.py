"""What is like the pixel under the cursor, while the mouse moves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from . import looks, presenting
from .core.errors import LocalDiscError
from .derived import DerivedMap
from .layers import point_on_plane

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from .embedding_work import Embedded
    from .layers import Plane
    from .plane_state import PlaneState
    from .workspace import Workspace

INTERVAL = 25
"""Milliseconds from one preview to the next, at least."""


class HoverPreview:
    """Shows a preview layer while the mouse moves over the image.

    Nothing is embedded for it: there is a preview once the image was looked at.

    Parameters
    ----------
    workspace : Workspace
        Image and embeddings.
    is_wanted : callable
        Whether a click now would be a prompt.
    """

    shown = Signal(object)
    """The (row, column) whose preview is shown now, or None."""

    def __init__(self, workspace: Workspace, is_wanted: Callable[[], bool]) -> None:
        self._workspace = workspace
        self._is_wanted = is_wanted
        self._position: tuple[float, ...] | None = None
        self._is_active = False
        self._enabled = True
        self._shown_at = -math.inf
        self._previews: list[DerivedMap] = []

    @property
    def is_enabled(self) -> bool:
        """Whether there are previews in the mode."""
        return self._enabled

    def set_enabled(self, enabled: bool) -> None:
        """Show previews in the mode, or do not."""
        self._enabled = enabled
        if not enabled:
            self.remove()

    @property
    def layer(self) -> Image | None:
        """The preview of the plane that is shown, if it is in the viewer."""
        state = self._workspace.state_here()
        return self._layer_of(state) if state is not None else None

    def _layer_of(self, state: PlaneState) -> Image | None:
        if state.preview is None:
            return None
        layer: Image | None = state.preview.layer(self._workspace.viewer)
        return layer

    def start(self) -> None:
        """Follow the mouse."""
        if not self._is_active:
            self._is_active = True
            self._workspace.viewer.mouse_move_callbacks.append(self._on_move)

    def stop(self) -> None:
        """Follow the mouse no longer, and take the preview away."""
        if not self._is_active:
            return
        self._is_active = False
        callbacks = self._workspace.viewer.mouse_move_callbacks
        if self._on_move in callbacks:
            callbacks.remove(self._on_move)
        self.remove()

    def close(self) -> None:
        """Stop, and let go of all listeners."""
        self.stop()
        self.shown.disconnect()

    def remove(self) -> None:
        """Take the previews away."""
        self._position = None
        workspace = self._workspace
        for preview in self._previews:  # also those whose image is gone
            preview.remove(workspace.viewer)
        self._previews.clear()
        for layer in workspace.images:
            for state in workspace.annotations.planes(layer):
                state.preview = None

    def hide(self) -> None:
        """Show no preview until the mouse moves on."""
        self._position = None
        layer = self.layer
        if layer is not None and layer.visible:
            layer.visible = False
            self.shown.emit(None)

    def _on_move(self, viewer: ViewerModel, event: Any) -> None:
        if not self._enabled:
            return
        self._position = tuple(float(value) for value in event.position)
        # At once where the last one is long ago: drawing may have taken as long
        passed = 1000 * (time.monotonic() - self._shown_at)
        wait = round(max(0.0, INTERVAL - passed))
        self._workspace.pacer.soon("preview", wait, self._show)

    def _show(self) -> None:
        """Preview the newest position of the mouse."""
        self._shown_at = time.monotonic()
        position, known = self._position, self._workspace.known_here()
        if not self._is_active or position is None or known is None:
            return
        layer, plane = self._workspace.here()
        point = self._point(layer, plane, position, known)
        if point is None or not self._is_wanted():
            self.hide()
            return
        self.preview(layer, plane, known, point)

    def _point(
        self,
        layer: Image,
        plane: Plane,
        position: tuple[float, ...],
        known: Embedded,
    ) -> tuple[float, float] | None:
        try:
            point = point_on_plane(layer, plane, position, self._workspace.viewer.dims)
        except LocalDiscError:
            return None
        if not plane.contains(point):
            return None
        row, column = (int(np.rint(value)) for value in point)
        return point if known.embedding.field_of_view[row, column] else None

    def preview(
        self, layer: Image, plane: Plane, known: Embedded, point: tuple[float, float]
    ) -> None:
        """Show what is like a (row, column) point."""
        viewer = self._workspace.viewer
        state = self._workspace.annotations.on(layer, plane)
        if state.preview is not None and state.preview.layer(viewer) is None:
            return  # the user removed it: none until the mode is entered again
        values = presenting.similarity_pixels(plane, known, [point])
        placement = presenting.grid_placement(layer, plane, known)
        metadata = presenting.provenance(known, preview=list(point))
        if state.preview is None:
            state.preview = DerivedMap(
                viewer,
                values,
                placement,
                f"{layer.name} preview{plane.caption}",
                looks.preview_colormap(),
                metadata,
            )
            self._previews.append(state.preview)
        else:
            if not state.preview.repaint(viewer, values, placement):
                state.preview.update(viewer, values, placement, metadata)
            shown = self._layer_of(state)
            if shown is not None and not shown.visible:
                shown.visible = True
        self.shown.emit(point)
