"""Export: which labels, in which format; and labels from files."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_localdisc.export_control import ExportControl

from .reporting import report
from .runner import QtRunner
from .section import Section

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

PLUGIN, FOLDER_WIDGET = "napari-localdisc", "Work on a folder"


class ExportSection(Section):
    """Writes a Labels layer in another program's format; opens such files.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__("Files", parent=parent)
        self.control = ExportControl(viewer, QtRunner(), report)
        self._layers: list[weakref.ref[Labels]] = []
        self.layers = QComboBox()
        self.layers.setPlaceholderText("no labels yet")
        self.layers.setToolTip("The labels to write")
        self.formats = QComboBox()
        for key, title in self.control.formats.items():
            self.formats.addItem(title, key)
        self.formats.setToolTip(
            "Values stay as they are; names, colours and pixel size go along where "
            "the format has a place for them"
        )
        for box in (self.layers, self.formats):
            box.setMinimumContentsLength(8)
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.save_button = QPushButton("Export…")
        self.save_button.setToolTip("Write these labels to a file")
        self.open_button = QPushButton("Open labels…")
        self.open_button.setToolTip("PNG, TIFF or COCO files, as they were exported")
        self.zarr_button = QPushButton("Open OME-Zarr…")
        self.zarr_button.setToolTip("A folder that holds an OME-Zarr label image")
        self.folder_button = QPushButton("Work on a folder")
        self.folder_button.setToolTip(
            "Clusters or a structure of every image of a folder, with a table of areas"
        )
        self._lay_out()
        self.save_button.clicked.connect(self._save)
        self.open_button.clicked.connect(self._open_file)
        self.zarr_button.clicked.connect(self._open_zarr)
        self.folder_button.clicked.connect(self._open_folder_widget)
        self.control.layers_changed.connect(self._refresh)
        self.control.busy_changed.connect(self._show_enabled)
        self.control.saved.connect(self._tell)
        self.destroyed.connect(self.control.close)
        self._refresh()

    def _lay_out(self) -> None:
        for widgets in (
            (self.layers,),
            (self.formats, self.save_button),
            (self.open_button, self.zarr_button),
            (self.folder_button,),
        ):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget, stretch=1 if widget is self.formats else 0)
            self.body.addLayout(row)
        self.layers.setSizePolicy(
            QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed
        )

    def close_control(self) -> None:
        """Stop following the viewer."""
        self.control.close()

    @property
    def layer(self) -> Labels | None:
        """The chosen labels, while they are in the viewer."""
        index = self.layers.currentIndex()
        layer = self._layers[index]() if 0 <= index < len(self._layers) else None
        return layer if layer in self.control.layers else None

    def _refresh(self) -> None:
        chosen = self.layer
        layers = self.control.layers
        self._layers = [weakref.ref(layer) for layer in layers]
        blocker = QSignalBlocker(self.layers)
        self.layers.clear()
        self.layers.addItems([layer.name for layer in layers])
        index = layers.index(chosen) if chosen in layers else min(0, len(layers) - 1)
        self.layers.setCurrentIndex(index)
        blocker.unblock()
        self._show_enabled()

    def _show_enabled(self, busy: bool = False) -> None:
        free = bool(self._layers) and not self.control.is_busy
        self.save_button.setEnabled(free)

    def _save(self) -> None:
        layer, form = self.layer, self.formats.currentData()
        if layer is None:
            return
        name = self.control.suggested_name(layer, form)
        path, _ = QFileDialog.getSaveFileName(self, "Export labels", name)
        if path:
            self.control.save(layer, path, form)

    def _open_file(self) -> None:
        kinds = "Labels (*.png *.tif *.tiff *.json)"
        path, _ = QFileDialog.getOpenFileName(self, "Open labels", "", kinds)
        if path:
            self.control.open(path)

    def _open_zarr(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open an OME-Zarr label image")
        if path:
            self.control.open(path)

    def _open_folder_widget(self) -> None:
        window = getattr(self.control.viewer, "window", None)
        if window is not None:
            dock, _ = window.add_plugin_dock_widget(PLUGIN, FOLDER_WIDGET, tabify=True)
            dock.show()
            dock.raise_()

    def _tell(self, files: list[Path]) -> None:
        show_info(f"Written: {', '.join(str(file) for file in files)}")
