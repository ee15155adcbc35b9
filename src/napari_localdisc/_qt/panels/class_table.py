"""The table of classes: colour, name, area, whether it is seen, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QWidget,
)

if TYPE_CHECKING:
    from napari_localdisc.annotation.state import AnnotationClass
    from napari_localdisc.viewer.controller import Controller

COLOUR, NAME, AREA, JUMP = range(4)
SWATCH = 14
"""Pixels of a colour's square."""

ROWS = 5
"""Rows that are seen without scrolling."""

AREA_DELAY = 200
"""Milliseconds after which a painted stroke shows in the areas."""


class ClassTable(QTableWidget):
    """A row a class; the selected one is what masks and brushes write."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(0, 4, parent)
        self._controller = controller
        self._values: list[int] = []
        self.setHorizontalHeaderLabels(["", "Class", "Area", ""])
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        header, rows = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert rows is not None
        rows.hide()
        for column, mode in (
            (COLOUR, QHeaderView.ResizeMode.ResizeToContents),
            (NAME, QHeaderView.ResizeMode.Stretch),
            (AREA, QHeaderView.ResizeMode.ResizeToContents),
            (JUMP, QHeaderView.ResizeMode.ResizeToContents),
        ):
            header.setSectionResizeMode(column, mode)
        row = self.fontMetrics().height() + 10
        rows.setDefaultSectionSize(row)
        self.setFixedHeight(row * (ROWS + 1) + 8)
        self.setToolTip(
            "The selected class is what masks become and brushes paint.\nDouble click "
            "a name or a colour to change it; untick a class to hide it."
        )
        self.itemSelectionChanged.connect(self._on_selected)
        self.itemChanged.connect(self._on_item)
        self.cellDoubleClicked.connect(self._on_double_click)
        controller.classes.changed.connect(self.refresh)
        controller.classes.areas_changed.connect(self._soon)
        controller.workspace.plane_changed.connect(self._soon)  # another plane is shown
        self.refresh()

    @property
    def selected_value(self) -> int | None:
        """The class whose row is selected."""
        selection = self.selectionModel()
        rows = selection.selectedRows() if selection is not None else []
        return self._values[rows[0].row()] if rows else None

    def refresh(self) -> None:
        """Read the table off the controller."""
        classes = self._controller.classes
        blocker = QSignalBlocker(self)
        entries = classes.entries
        values = [entry.value for entry in entries]
        if values != self._values:
            self.setRowCount(0)
            self._values = values
            self.setRowCount(len(values))
        for row, entry in enumerate(entries):
            self._fill(row, entry)
        chosen = classes.chosen
        if chosen is not None and chosen.value in values:
            self.selectRow(values.index(chosen.value))
        else:
            self.clearSelection()
        blocker.unblock()
        self._show_areas()

    def _fill(self, row: int, entry: AnnotationClass) -> None:
        self._item(row, COLOUR).setIcon(swatch(entry.colour))
        self._item(row, COLOUR).setToolTip("Double click for another colour")
        self._item(row, COLOUR).setFlags(
            Qt.ItemFlag.ItemIsEnabled
            | Qt.ItemFlag.ItemIsSelectable
            | Qt.ItemFlag.ItemIsUserCheckable
        )
        self._item(row, COLOUR).setCheckState(
            Qt.CheckState.Checked if entry.visible else Qt.CheckState.Unchecked
        )
        self._item(row, NAME).setText(entry.name)
        if self.cellWidget(row, JUMP) is None:
            button = QToolButton()
            button.setText("Go")
            button.setAutoRaise(True)
            button.setToolTip("Move the view to this class")
            button.clicked.connect(lambda _=False, row=row: self._jump(row))
            self.setCellWidget(row, JUMP, button)

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            if column == AREA:
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            self.setItem(row, column, item)
        return item

    def _soon(self) -> None:
        self._controller.workspace.pacer.soon("areas", AREA_DELAY, self._show_areas)

    def _show_areas(self) -> None:
        areas = self._controller.classes.areas()
        blocker = QSignalBlocker(self)
        for row, entry in enumerate(self._controller.classes.entries):
            if row >= self.rowCount():
                break
            text = "only strokes" if entry.background else str(areas[entry.value])
            self._item(row, AREA).setText(text)
        blocker.unblock()

    def _on_selected(self) -> None:
        value = self.selected_value
        if value is not None:
            self._controller.classes.choose(value)

    def _on_item(self, item: QTableWidgetItem) -> None:
        classes, value = self._controller.classes, self._values[item.row()]
        with self._controller.reporting():
            if item.column() == NAME:
                classes.rename(value, item.text())
                self.refresh()
            elif item.column() == COLOUR:
                visible = item.checkState() == Qt.CheckState.Checked
                classes.set_visible(value, visible)

    def _on_double_click(self, row: int, column: int) -> None:
        if column != COLOUR:
            return
        value = self._values[row]
        with self._controller.reporting():
            old = QColor(self._controller.classes.find(value).colour)
            colour = QColorDialog.getColor(old, self, "Colour of the class")
            if colour.isValid():
                self._controller.classes.recolour(value, colour.name())

    def _jump(self, row: int) -> None:
        with self._controller.reporting():
            self._controller.classes.jump_to(self._values[row])

    def keyPressEvent(self, event: Any) -> None:
        """Remove the selected class with Delete."""
        value = self.selected_value
        if event.key() == Qt.Key.Key_Delete and value is not None:
            with self._controller.reporting():
                self._controller.classes.remove(value)
        else:
            super().keyPressEvent(event)


def swatch(colour: str) -> QIcon:
    """Return a square of a colour, which a selected row does not cover."""
    pixmap = QPixmap(SWATCH, SWATCH)
    pixmap.fill(QColor(colour))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
