"""A mode in which a click in the canvas means something; leaving it undoes it all."""

import math
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.core.embedding.prompts import Prompts
from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.layers.colours import ramp
from napari_localdisc.layers.ours import Look
from napari_localdisc.layers.plane import grid_of, point_on_plane

from .embeddings import Embedded
from .shown import Place, Shown
from .work import disconnect_all
from .workspace import Workspace

TOLERANCE = 4
"""Canvas pixels that the mouse may move between press and release of a click."""

PAN_ZOOM = "pan_zoom"
MIDDLE = 3
"""The wheel's button, as the canvas counts."""

STEP = 3
"""Canvas pixels from one corner of a lasso to the next, at least."""

TOOLS = "click", "box", "lasso"
"""What a drag of the left button does: pan, or draw a frame."""

World = tuple[float, ...]
OnClick = Callable[[World, bool], None]
OnFrame = Callable[[list[World], bool, bool], None]


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
    on_frame : callable, optional
        Called while a frame is drawn, with its corners in the world, whether it is
        positive and whether it is done.

    Attributes
    ----------
    tool : str
        One of `TOOLS`.
    """

    def __init__(
        self, viewer: ViewerModel, on_click: OnClick, on_frame: OnFrame | None = None
    ) -> None:
        self._viewer = viewer
        self._on_click = on_click
        self._on_frame = on_frame
        self.tool = TOOLS[0]
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
        if self._on_frame is not None and self.tool != TOOLS[0]:
            positive = "Shift" not in modifiers
            yield from self._draw(viewer, event, positive, self._on_frame)
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

    def _draw(
        self, viewer: ViewerModel, event: Any, positive: bool, on_frame: OnFrame
    ) -> Generator[None, None, None]:
        """Draw a frame; a press that does not move is a click still."""
        camera = getattr(viewer, "scene", viewer).camera
        start = last = np.array(event.pos, dtype=float)
        path = [np.array(event.position, dtype=float)]
        displayed = list(event.dims_displayed)
        is_drawn, pans = False, camera.mouse_pan
        camera.mouse_pan = False
        corners: list[World] = []
        try:
            yield
            while event.type == "mouse_move":
                at = np.array(event.pos, dtype=float)
                is_drawn |= bool(np.abs(at - start).max() > TOLERANCE)
                if self.tool == "box" or np.abs(at - last).max() >= STEP:
                    path.append(np.array(event.position, dtype=float))
                    last = at
                if is_drawn:
                    corners = self._corners(path, displayed)
                    on_frame(corners, positive, False)
                yield
        finally:
            camera.mouse_pan = pans
        if self.is_active and is_drawn:
            on_frame(corners, positive, True)
        elif self.is_active:
            self._on_click(tuple(path[0].tolist()), positive)

    def _corners(
        self, path: list[NDArray[np.float64]], displayed: list[int]
    ) -> list[World]:
        """Return a frame's corners: those of a box are upright on the screen."""
        if self.tool != "box":
            return [tuple(at.tolist()) for at in path]
        corners = []
        for row, column in ((0, 0), (0, -1), (-1, -1), (-1, 0)):
            at = path[0].copy()
            at[displayed[-2]] = path[row][displayed[-2]]
            at[displayed[-1]] = path[column][displayed[-1]]
            corners.append(tuple(at.tolist()))
        return corners

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


INTERVAL = 25
"""Milliseconds from one preview to the next, at least."""


class HoverPreview:
    """Shows a preview layer while the mouse moves over the image.

    Nothing is embedded for it: there is a preview once the image was looked at.  In
    napari's grid there is none: a layer that comes moves all others to other cells.
    One map at a time: while it is seen, that of the prompts is not.

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
        self.is_enabled = True
        """Whether there are previews in the mode."""
        self._shown_at = -math.inf
        self._planes: list[Shown] = []
        self._grid = grid_of(workspace.viewer)
        self._grid.events.enabled.connect(self._on_grid)
        self._over = workspace.viewer.events.mouse_over_canvas
        self._over.connect(self._on_over)

    def set_enabled(self, enabled: bool) -> None:
        """Show previews in the mode, or do not."""
        self.is_enabled = enabled
        if not enabled:
            self.remove()

    @property
    def layer(self) -> Image | None:
        """The preview of the plane that is shown, if it is in the viewer."""
        return self._workspace.layer("preview")

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
        self._grid.events.enabled.disconnect(self._on_grid)
        self._over.disconnect(self._on_over)
        disconnect_all(self)

    def _on_grid(self, event: Any = None) -> None:
        self.remove()

    def _on_over(self, event: Any = None) -> None:
        """Hide what the pointer no longer means: the mask is to be judged now."""
        if not self._workspace.viewer.mouse_over_canvas:
            self.hide(self._workspace.place_or_none())

    def remove(self) -> None:
        """Take the previews away."""
        self._position = None
        for shown in self._planes:  # also those whose image is gone
            shown.remove("preview")
        self._planes.clear()
        self._workspace.overlays.bring_back()

    def hide(self, place: Place | None) -> None:
        """Show no preview of a plane until the mouse moves on."""
        self._position = None
        self._workspace.overlays.bring_back()
        if place is None or "preview" not in place.shown.ours:
            return
        layer = place.shown.layer("preview")
        if layer is not None and layer.visible:
            layer.visible = False
            self.shown.emit(None)

    def _on_move(self, viewer: ViewerModel, event: Any) -> None:
        if not self.is_enabled or self._grid.enabled:
            return
        self._position = tuple(float(value) for value in event.position)
        # At once where the last one is long ago: drawing may have taken as long
        passed = 1000 * (time.monotonic() - self._shown_at)
        wait = round(max(0.0, INTERVAL - passed))
        self._workspace.pacer.soon("preview", wait, self._show)

    def _show(self) -> None:
        """Preview the newest position of the mouse."""
        self._shown_at = time.monotonic()
        position, place = self._position, self._workspace.place_or_none()
        known = self._workspace.known(place)
        if not self._is_active or position is None or place is None or known is None:
            return
        point = self._point(place, position, known)
        if point is None or not self._is_wanted():
            self.hide(place)
            return
        self.preview(place, known, point)

    def _point(
        self, place: Place, position: tuple[float, ...], known: Embedded
    ) -> tuple[float, float] | None:
        dims = self._workspace.viewer.dims
        try:
            point = point_on_plane(place.layer, place.plane, position, dims)
        except LocalDiscError:
            return None
        if not place.plane.contains(point):
            return None
        row, column = (int(np.rint(value)) for value in point)
        return point if known.embedding.field_of_view[row, column] else None

    def preview(
        self, place: Place, known: Embedded, point: tuple[float, float]
    ) -> None:
        """Show what is like a (row, column) point."""
        shown, before = place.shown, place.shown.layer("preview")
        was_seen = before is not None and before.visible
        if "preview" not in shown.ours:
            self._planes.append(shown)
        elif before is None:
            return  # the user removed it: none until the mode is entered again
        embedding, made = known.embedding, known.provenance(preview=list(point))
        # No closer look is taken for what the pointer passes
        values = embedding.read(Prompts([point]), closer=False).map_on_grid
        values = np.multiply(values, embedding.inside)
        if was_seen:  # where it lies need not be found out anew at each move
            again = shown.repaint("preview", place.plane.expand(values), made)
            if again is not None:
                self.shown.emit(point)
                return
        look, grid = Look(ramp("preview")), embedding.grid
        place.show("preview", values, look, made, grid=grid).visible = True
        similarity = shown.layer("similarity")
        if not was_seen and similarity is not None:
            self._workspace.overlays.put_aside(similarity)
        self.shown.emit(point)
