"""What several versions of napari call differently."""


def camera_of(viewer):
    """Return the camera of the first canvas: napari 0.9 moved it."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
