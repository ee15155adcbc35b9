"""Structures that the model knows by name: a map, or straight into the labels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from .pointing import Pointing
from .section import Section

if TYPE_CHECKING:
    from napari_localdisc.controller import Controller


class StructurePanel(Section):
    """One row a structure; hidden while the model's card names none."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Known structures", parent=parent)
        self._controller = controller
        self.map_buttons: dict[str, QPushButton] = {}
        self.add_buttons: dict[str, QPushButton] = {}
        self._grid = QGridLayout()
        self._grid.setColumnStretch(0, 1)
        self._grid.setVerticalSpacing(4)
        self.body.addLayout(self._grid)
        controller.model_changed.connect(self._refresh)
        controller.image_changed.connect(self._show_enabled)
        self._refresh()

    def _refresh(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        self.map_buttons, self.add_buttons = {}, {}
        for row, name in enumerate(self._controller.structures):
            show, add = QPushButton("Map"), QPushButton("Add to labels")
            show.setToolTip(f"Lay the probability of {name} over the image")
            add.setToolTip(
                f"Write what is probably {name} into the labels, as the class "
                f"“{name}”.\nWhat other classes have of it shows in pink while you "
                "point here."
            )
            show.clicked.connect(partial(self._show_map, name))
            add.clicked.connect(partial(self._add, name))
            writing = self._controller.writing
            Pointing(
                add, partial(writing.preview_structure, name), writing.preview.hide
            )
            for column, widget in enumerate((QLabel(name), show, add)):
                self._grid.addWidget(widget, row, column)
            self.map_buttons[name], self.add_buttons[name] = show, add
        self.setVisible(bool(self.map_buttons))
        self._show_enabled()

    def _show_enabled(self) -> None:
        has_image = self._controller.image is not None
        for button in (*self.map_buttons.values(), *self.add_buttons.values()):
            button.setEnabled(has_image)

    def _show_map(self, name: str, *clicked: bool) -> None:
        self._controller.show_structure(name)

    def _add(self, name: str, *clicked: bool) -> None:
        self._controller.writing.add_structure(name)
