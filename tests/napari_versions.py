"""What several versions of napari call differently."""


def camera_of(viewer):
    """Return the camera of the first canvas: napari 0.9 moved it."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def grid_shape(viewer):
    """Return rows and columns of the grid: before napari 0.9 it took a number."""
    if hasattr(viewer, "canvas"):
        return viewer.canvas.grid.actual_shape(viewer.layers)
    return viewer.grid.actual_shape(len(viewer.layers))
