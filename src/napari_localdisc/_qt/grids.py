"""A fault of napari that keeps every grid of layers that was ever shown, mended."""

from typing import Any


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
