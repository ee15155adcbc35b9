"""A fault of napari that can end the process where layers are listed, mended."""

from typing import Any


def keep_their_pixels() -> None:
    """Let the thumbnails in napari's list of layers have pixels of their own.

    napari (seen in 0.9) hands Qt a picture of bytes that nobody keeps: they are free
    before they are drawn (PyQt6), so that anything may be drawn, and the process ends
    where they were given back to the system by then.
    """
    from napari._qt.containers._base_item_model import ItemRole
    from napari._qt.containers.qt_layer_model import QtLayerListModel, ThumbnailRole
    from qtpy.QtGui import QImage

    data = QtLayerListModel.data
    if hasattr(data, "unmended"):
        return

    def data_that_lasts(self: Any, index: Any, role: int = 0) -> Any:
        layer = data(self, index, ItemRole) if role == ThumbnailRole else None
        if layer is None:
            return data(self, index, role)
        height, width = layer.thumbnail.shape[:2]
        pixels = layer.thumbnail.tobytes()
        form = QImage.Format.Format_RGBA8888
        return QImage(pixels, width, height, 4 * width, form).copy()

    data_that_lasts.unmended = data  # type: ignore[attr-defined]
    QtLayerListModel.data = data_that_lasts
