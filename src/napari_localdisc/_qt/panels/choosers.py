"""Drop-down lists of the viewer's images and of the models."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_localdisc.viewer.controller import Controller

CHARACTERS = 12
"""Least width of a list; longer names are shown when it is opened."""


class _Chooser(QComboBox):
    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setMinimumContentsLength(CHARACTERS)

    def _fill(self, names: list[str], index: int) -> None:
        blocker = QSignalBlocker(self)
        self.clear()
        self.addItems(names)
        self.setCurrentIndex(index)
        blocker.unblock()
        self.setEnabled(bool(names))


class ImageChooser(_Chooser):
    """The viewer's image layers; follows renames, removals and insertions."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(controller, parent)
        self._layers: list[weakref.ref[Image]] = []
        self.setPlaceholderText("no image is open")
        self.setToolTip(
            "The image to work on.\nOf a stack the slice that is shown counts, of a "
            "multiscale image the finest level."
        )
        controller.workspace.images.listed.connect(self._refresh)
        controller.workspace.image_changed.connect(self._refresh)
        self.currentIndexChanged.connect(self._choose)
        self._refresh()

    def _refresh(self) -> None:
        images = self._controller.workspace.images.images
        current = self._controller.workspace.images.current
        self._layers = [weakref.ref(layer) for layer in images]
        index = images.index(current) if current in images else -1
        self._fill([layer.name for layer in images], index)

    def _choose(self, index: int) -> None:
        self._controller.workspace.images.choose(
            self._layers[index]() if index >= 0 else None
        )


class ModelChooser(_Chooser):
    """The models; looks for new ones when it is opened."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(controller, parent)
        self.setPlaceholderText("no model is installed")
        self.setToolTip(
            "The network that looks at the image.\nBundled models come first, then "
            "your own."
        )
        controller.workspace.model_changed.connect(self._refresh)
        controller.workspace.models.listed.connect(self._refresh)
        self.currentTextChanged.connect(self._choose)
        self._refresh()

    def showPopup(self) -> None:
        """Look for models before the list opens."""
        self._refresh()
        super().showPopup()

    def _refresh(self) -> None:
        names = self._controller.workspace.models.names
        current = self._controller.workspace.models.name
        self._fill(names, names.index(current) if current in names else -1)

    def _choose(self, name: str) -> None:
        if name:
            self._controller.set_model(name)


class ProgressRow(QWidget):
    """Progress bar and Cancel, seen only while there is work, above the status."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; everything stays as it was before")
        self.status = QLabel(controller.workspace.status.text)
        self.status.setWordWrap(True)
        self.status.setToolTip("What was done, and what can be done next")
        row = QHBoxLayout()
        row.addWidget(self.bar, stretch=1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addWidget(self.status)
        layout.addLayout(row)
        self.cancel_button.clicked.connect(self._cancel)
        controller.workspace.work.busy_changed.connect(self._show_busy)
        controller.workspace.work.progressed.connect(self._show_progress)
        controller.workspace.status.changed.connect(self._show_status)
        self._show_busy(controller.workspace.work.is_busy)

    def _cancel(self) -> None:
        self._controller.workspace.cancel()

    def _show_busy(self, busy: bool) -> None:
        self.bar.setRange(0, 0)  # moves to and fro until the number of tiles is known
        self.bar.setVisible(busy)
        self.cancel_button.setVisible(busy)

    def _show_status(self, text: str) -> None:
        self.status.setText(text)

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
