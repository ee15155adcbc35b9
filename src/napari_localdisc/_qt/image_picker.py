"""Which images to learn from: ticked open images, or a folder."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QWidget,
)

from napari_localdisc.core.errors import TrainingError

from .section import Section

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_localdisc.training_control import TrainingControl

_ROWS = 4


class ImagePicker(Section):
    """Open images are ticked until the user unticks them."""

    def __init__(self, control: TrainingControl, parent: QWidget | None = None) -> None:
        super().__init__("Images to learn from", parent=parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._control = control
        self._layers: list[weakref.ref[Image]] = []
        self._unticked: weakref.WeakSet[Image] = weakref.WeakSet()
        self.use_open = QRadioButton("Open images")
        self.use_open.setToolTip("Of a stack every slice counts")
        self.use_folder = QRadioButton("A folder")
        self.use_folder.setToolTip("All image files in it; others are left out")
        self.use_open.setChecked(True)
        self.list = QListWidget()
        self.list.setToolTip("Tick the images to learn from; no labels are needed")
        row = self.list.fontMetrics().height() + 6
        self.list.setFixedHeight(_ROWS * row)
        self.folder = QLineEdit()
        self.folder.setPlaceholderText("folder of images")
        self.browse_button = QPushButton("Browse…")
        kinds = QHBoxLayout()
        kinds.addWidget(self.use_open)
        kinds.addWidget(self.use_folder)
        kinds.addStretch()
        self._folder_row = QWidget()
        folder_row = QHBoxLayout(self._folder_row)
        folder_row.setContentsMargins(0, 0, 0, 0)
        folder_row.addWidget(self.folder, stretch=1)
        folder_row.addWidget(self.browse_button)
        self.body.addLayout(kinds)
        self.body.addWidget(self.list)
        self.body.addWidget(self._folder_row)
        self.use_open.toggled.connect(self._show_kind)
        self.browse_button.clicked.connect(self._browse)
        self.list.itemChanged.connect(self._on_ticked)
        control.images_changed.connect(self._refresh)
        self._refresh()
        self._show_kind()

    @property
    def chosen_layers(self) -> tuple[Image, ...]:
        """Ticked images that are still open."""
        chosen = []
        for row, reference in enumerate(self._layers):
            item, layer = self.list.item(row), reference()
            is_ticked = item is not None and item.checkState() == Qt.CheckState.Checked
            if is_ticked and layer is not None:
                chosen.append(layer)
        return tuple(chosen)

    @property
    def chosen_folder(self) -> Path | None:
        """The folder, if one is to be used.

        Raises
        ------
        TrainingError
            If it is still to be chosen.
        """
        if self.use_open.isChecked():
            return None
        text = self.folder.text().strip()
        if not text:
            raise TrainingError("Choose the folder of images to learn from.")
        return Path(text).expanduser()

    def set_folder(self, folder: Path) -> None:
        """Use a folder."""
        self.folder.setText(str(folder))
        self.use_folder.setChecked(True)

    def _refresh(self) -> None:
        images = self._control.images
        self._layers = [weakref.ref(layer) for layer in images]
        blocker = QSignalBlocker(self.list)
        self.list.clear()
        for layer in images:
            item = QListWidgetItem(layer.name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            is_ticked = layer not in self._unticked
            item.setCheckState(
                Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked
            )
            self.list.addItem(item)
        blocker.unblock()

    def _on_ticked(self, item: QListWidgetItem) -> None:
        layer = self._layers[self.list.row(item)]()
        if layer is None:
            return
        if item.checkState() == Qt.CheckState.Checked:
            self._unticked.discard(layer)
        else:
            self._unticked.add(layer)

    def _show_kind(self) -> None:
        self.list.setVisible(self.use_open.isChecked())
        self._folder_row.setVisible(not self.use_open.isChecked())

    def _browse(self) -> None:
        start = self.folder.text() or str(Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Folder of images", start)
        if folder:
            self.set_folder(Path(folder))
