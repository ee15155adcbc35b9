"""Structures that the model knows by name, as a map or as labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from .section import Section

if TYPE_CHECKING:
    from napari_localdisc.controller import Controller


class StructurePanel(Section):
    """Hidden while the model's card names no structure."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Known structure", parent=parent)
        self._controller = controller
        self.names = QComboBox()
        self.names.setToolTip("A structure that the model was guided to find")
        self.map_button = QPushButton("Show map")
        self.map_button.setToolTip("Lay the structure's probability over the image")
        self.mask_button = QPushButton("Make labels")
        self.mask_button.setToolTip(
            "Make a labels layer of the structure, to correct and save"
        )
        row = QHBoxLayout()
        row.addWidget(self.names, stretch=1)
        row.addWidget(self.map_button)
        row.addWidget(self.mask_button)
        self.body.addLayout(row)
        self.map_button.clicked.connect(self._show_map)
        self.mask_button.clicked.connect(self._make_mask)
        controller.model_changed.connect(self._refresh)
        controller.image_changed.connect(self._show_enabled)
        self._refresh()
        self._show_enabled()

    def _refresh(self) -> None:
        structures = self._controller.structures
        self.names.clear()
        self.names.addItems(structures)
        self.setVisible(bool(structures))

    def _show_enabled(self) -> None:
        has_image = self._controller.image is not None
        self.map_button.setEnabled(has_image)
        self.mask_button.setEnabled(has_image)

    def _show_map(self) -> None:
        self._controller.show_structure(self.names.currentText())

    def _make_mask(self) -> None:
        self._controller.mask_structure(self.names.currentText())
