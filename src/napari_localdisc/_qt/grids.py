"""Faults of napari in its grid of layers, mended."""

import functools
from typing import Any
from weakref import WeakSet

from napari_localdisc.layers.plane import grid_of


def keep_no_old_grids() -> None:
    """Let the canvas forget a grid that gave way to one of another shape.

    napari (seen in 0.9) makes a new grid whenever layers come or go so that there are
    more or fewer rows or columns, and takes the old one out of the scene, but not out
    of the list of the widgets that it lays out: 14 MB each, and each is laid out again
    with every change of the window's size.  Hidden layers have no cell: they are left
    in the old grid, and would go with it.
    """
    from napari._vispy.canvas import VispyCanvas

    setup = getattr(VispyCanvas, "_setup_layer_views_in_grid", None)
    if setup is None or hasattr(setup, "unmended"):
        return

    def setup_and_forget(self: Any) -> None:
        setup(self)
        scene, kind = self.central_widget, type(self.grid)
        old = [
            widget
            for widget in scene._widgets
            if isinstance(widget, kind) and widget is not self.grid
        ]
        for visual in self.layer_to_visual.values() if old else ():
            if visual.node.root_node in old:
                visual.node.parent = self.view.scene
        for grid in old:
            scene.remove_widget(grid)

    setup_and_forget.unmended = setup  # type: ignore[attr-defined]
    VispyCanvas._setup_layer_views_in_grid = setup_and_forget


_LATE = "visible", "reordered"


def make_one_grid_for_all_that_is_shown() -> None:
    """Let the canvas put its grid together before it draws, not with each layer.

    napari (seen in 0.9) has no cells for hidden layers, and makes all of them anew with
    each that is shown or hidden: seven that are shown at once take it 1.8 s.  Each that
    is moved takes it up to 0.3 s.
    """
    from napari._vispy.canvas import VispyCanvas

    update = getattr(VispyCanvas, "_update_scenegraph", None)
    if update is None or hasattr(update, "unmended"):
        return
    draw = VispyCanvas.on_draw
    late: WeakSet[Any] = WeakSet()

    @functools.wraps(update)  # events find what they call by its name
    def update_or_wait(self: Any, event: Any = None) -> None:
        if getattr(event, "type", "") in _LATE and grid_of(self.viewer).enabled:
            late.add(self)
            self._scene_canvas.update()
            return
        late.discard(self)
        update(self, event)

    @functools.wraps(draw)
    def update_and_draw(self: Any, event: Any = None) -> None:
        if self in late:
            self._update_scenegraph()  # it draws in the end
        else:
            draw(self, event)

    update_or_wait.unmended = update  # type: ignore[attr-defined]
    VispyCanvas._update_scenegraph = update_or_wait
    VispyCanvas.on_draw = update_and_draw
