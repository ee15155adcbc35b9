"""Cluster structures: a button, a slider for how many, and a legend."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget
from superqt import QLabeledSlider

from napari_localdisc._qt.parts import Pointing, Section
from napari_localdisc.core.model.card import FEWEST

from .legend import Legend

if TYPE_CHECKING:
    from napari_localdisc.viewer.controller import Controller


class ClusterPanel(Section):
    """Labels the structures of the image; the slider follows at once."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Structures", parent=parent)
        self._controller = controller
        self.button = QPushButton("Cluster structures")
        self.button.setToolTip(
            "Label what looks alike, in the whole image.\nThe network looks at an "
            "image once; everything after that is immediate."
        )
        self.slider = QLabeledSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip(
            "How many structures to tell apart.\nA structure is split in two as the "
            "number grows; its colour stays."
        )
        self.slider.setRange(FEWEST, controller.workspace.models.most_structures)
        self.slider.setValue(controller.clusters.number)
        self.legend = Legend(controller)
        self.add_button = QPushButton("Add chosen to labels")
        self.add_button.setToolTip(
            "Make a class of the colour chosen above; Ctrl + click chooses several, "
            "which become one class.\nWhat other classes have of it shows in pink "
            "while you point here."
        )
        row = QHBoxLayout()
        row.addWidget(QLabel("How many"))
        row.addWidget(self.slider, stretch=1)
        self.body.addWidget(self.button)
        self.body.addLayout(row)
        self.body.addWidget(self.legend)
        self.body.addWidget(self.add_button)
        self.button.clicked.connect(self._cluster)
        self.slider.valueChanged.connect(controller.clusters.set_number)
        controller.clusters.number_changed.connect(self._show_number)
        controller.workspace.model_changed.connect(self._show_range)
        controller.workspace.image_changed.connect(self._show_enabled)
        controller.workspace.work.busy_changed.connect(self._show_enabled)
        self.add_button.clicked.connect(self._add)
        Pointing(self.add_button, self._preview, controller.writing.preview.hide)
        self.legend.chosen_changed.connect(self._show_chosen)
        self._show_enabled()
        self._show_chosen()

    def _add(self) -> None:
        self._controller.clusters.add(sorted(self.legend.chosen))

    def _preview(self) -> None:
        self._controller.clusters.preview(sorted(self.legend.chosen))

    def _show_chosen(self) -> None:
        self.add_button.setEnabled(bool(self.legend.chosen))

    def _cluster(self) -> None:
        self._controller.clusters.show()

    def _show_number(self, number: int) -> None:
        blocker = QSignalBlocker(self.slider)
        self.slider.setValue(number)
        blocker.unblock()

    def _show_range(self) -> None:
        number = self._controller.clusters.number
        blocker = QSignalBlocker(self.slider)
        self.slider.setRange(FEWEST, self._controller.workspace.models.most_structures)
        self.slider.setValue(number)
        blocker.unblock()

    def _show_enabled(self, busy: bool = False) -> None:
        has_image = self._controller.workspace.images.current is not None
        self.button.setEnabled(
            has_image and not self._controller.workspace.work.is_busy
        )


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
        controller.workspace.model_changed.connect(self._refresh)
        controller.workspace.image_changed.connect(self._show_enabled)
        self._refresh()

    def _refresh(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        self.map_buttons, self.add_buttons = {}, {}
        for row, name in enumerate(self._controller.workspace.models.structures):
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
        has_image = self._controller.workspace.images.current is not None
        for button in (*self.map_buttons.values(), *self.add_buttons.values()):
            button.setEnabled(has_image)

    def _show_map(self, name: str, *clicked: bool) -> None:
        self._controller.clusters.show_structure(name)

    def _add(self, name: str, *clicked: bool) -> None:
        self._controller.writing.add_structure(name)
