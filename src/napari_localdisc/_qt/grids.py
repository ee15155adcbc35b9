"""A fault of napari that keeps every grid of layers that was ever shown, mended."""

from typing import Any


def keep_no_old_grids() -> None:
    """Let the canvas forget a grid that gave way to one of another shape.

    napari (seen in 0.9) makes a new grid whenever layers come or go so that there are
    more or fewer rows or columns, and takes the old one out of the scene, but not out
    of the list of the widgets that it lays out: 14 MB each, and each is laid out again
    with every change of the window's size.
    """
    from napari._vispy.canvas import VispyCanvas

    init = getattr(VispyCanvas, "_init_or_update_grid", None)
    if init is None or hasattr(init, "unmended"):
        return

    def init_and_forget(self: Any) -> None:
        old = self.grid
        init(self)
        if self.grid is not old and old in self.central_widget._widgets:
            self.central_widget.remove_widget(old)

    init_and_forget.unmended = init  # type: ignore[attr-defined]
    VispyCanvas._init_or_update_grid = init_and_forget
