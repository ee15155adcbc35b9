"""The table of classes: colour, name, area, whether it is seen, and where it is."""

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QPoint, QSize, Qt
from qtpy.QtGui import QAction, QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHeaderView,
    QMenu,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
)
from superqt.utils import signals_blocked

from napari_localdisc._qt.parts import follow
from napari_localdisc.viewer.controller import Controller

COLOUR, NAME, AREA, JUMP, MAP = range(5)
SWATCH = 14
"""Pixels of a colour's square."""

ROWS = 5
"""Rows that are seen without scrolling, where there is room for them."""

FEWEST_ROWS = 2
"""Rows that are seen in any case, if there are as many."""

AREA_DELAY = 200
"""Milliseconds after which a painted stroke shows in the areas."""


class ClassTable(QTableWidget):
    """A row a class; the selected one is what masks and brushes write."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(0, 5)
        self._controller = controller
        self._values: list[int] = []
        self._cells: list[list[QTableWidgetItem]] = []
        self.setHorizontalHeaderLabels(["", "Class", "Area", "", "Map"])
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
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.moveSection(MAP, JUMP)
        self.hideColumn(MAP)  # while there is only one
        self._row_height = self.fontMetrics().height() + 8
        rows.setDefaultSectionSize(self._row_height)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.setToolTip(
            "The selected class is what masks become and brushes paint.\nDouble click "
            "a name or a colour to change it; untick a class to hide it.\nRight click: "
            "which others it may overlap."
        )
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._ask_for_map)
        self.itemSelectionChanged.connect(self._on_selected)
        # Also of the class that is selected already: it is chosen for the prompts
        self.cellClicked.connect(self._on_selected)
        self.itemChanged.connect(self._on_item)
        self.cellDoubleClicked.connect(self._on_double_click)
        controller.classes.areas_changed.connect(self._soon)
        controller.workspace.plane_changed.connect(self._soon)  # another plane is shown
        self.hide()
        follow(self.refresh, controller.classes.changed)

    def _height(self, rows: int) -> int:
        header = self.horizontalHeader()
        assert header is not None
        rows = min(rows, len(self._values))
        return header.sizeHint().height() + rows * self._row_height + 4

    def sizeHint(self) -> QSize:
        """As high as the rows that there are, up to `ROWS`."""
        return QSize(super().sizeHint().width(), self._height(ROWS))

    def minimumSizeHint(self) -> QSize:
        """Room for `FEWEST_ROWS`; the others are scrolled to."""
        return QSize(super().minimumSizeHint().width(), self._height(FEWEST_ROWS))

    @property
    def selected_value(self) -> int | None:
        """The class whose row is selected."""
        selection = self.selectionModel()
        rows = selection.selectedRows() if selection is not None else []
        return self._values[rows[0].row()] if rows else None

    def refresh(self) -> None:
        """Read the table off the controller."""
        classes = self._controller.classes
        entries, chosen = classes.entries, classes.chosen
        values = [entry.value for entry in entries]
        with signals_blocked(self):
            if values != self._values:
                self.setRowCount(0)
                self._values = values
                self._cells = [self._insert(line) for line in range(len(values))]
                self.setVisible(bool(values))
                self.updateGeometry()
            numbers = {group: at for at, group in enumerate(classes.groups(), 1)}
            self.setColumnHidden(MAP, len(numbers) < 2)
            for cells, entry in zip(self._cells, entries, strict=True):
                colour, name, _, held = cells
                colour.setIcon(swatch(entry.colour))
                colour.setCheckState(
                    Qt.CheckState.Checked if entry.visible else Qt.CheckState.Unchecked
                )
                name.setText(entry.name)
                at = "" if entry.background else str(numbers[entry.group])
                held.setText(at)
            if chosen is not None and chosen.value in values:
                self.selectRow(values.index(chosen.value))
            else:
                self.clearSelection()
        self._show_areas()

    def _insert(self, line: int) -> list[QTableWidgetItem]:
        """Make a row; return its cells for colour, name, area and map."""
        self.insertRow(line)
        cells = [QTableWidgetItem() for _ in (COLOUR, NAME, AREA, MAP)]
        for column, cell in zip((COLOUR, NAME, AREA, MAP), cells, strict=True):
            self.setItem(line, column, cell)
        held = cells[-1]
        can = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        cells[AREA].setFlags(can)
        held.setFlags(can)
        held.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
        held.setToolTip(
            "Classes of one map, a Labels layer, exclude each other;\nthose of others "
            "it may overlap. Right click to change it"
        )
        cells[COLOUR].setFlags(can | Qt.ItemFlag.ItemIsUserCheckable)
        cells[COLOUR].setToolTip("Double click for another colour")
        jump = QToolButton()
        jump.setText("Go")
        jump.setAutoRaise(True)
        jump.setToolTip("Move the view to this class")
        jump.clicked.connect(lambda: self._jump(line))
        self.setCellWidget(line, JUMP, jump)
        return cells

    def _soon(self) -> None:
        self._controller.workspace.pacer.soon("areas", AREA_DELAY, self._show_areas)

    def _show_areas(self) -> None:
        areas = self._controller.class_areas.measured()
        with signals_blocked(self):
            shown = dict(zip(self._values, self._cells, strict=True))
            for entry in self._controller.classes.entries:
                if entry.value in shown:
                    text = "only strokes" if entry.background else areas[entry.value]
                    shown[entry.value][AREA].setText(str(text))

    def _on_selected(self, *cell: int) -> None:
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

    def _ask_for_map(self, at: QPoint) -> None:
        item = self.itemAt(at)
        row = self.currentRow() if item is None else item.row()
        if 0 <= row < len(self._values):
            viewport = self.viewport()
            assert viewport is not None
            self.map_menu(self._values[row]).popup(viewport.mapToGlobal(at))

    def map_menu(self, value: int) -> QMenu:
        """Return a menu of the classes that a class may exclude or overlap."""
        classes, groups = self._controller.classes, self._controller.groups
        entry, menu = classes.find(value), QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        held = classes.groups()
        rivals = [e for e in held.get(entry.group, []) if e.value != value]

        def offer(text: str, checked: bool, choose: Callable[[], object]) -> None:
            def chosen() -> None:
                with self._controller.reporting():
                    choose()

            action = QAction(text, menu)
            action.setCheckable(True)
            action.setChecked(checked)
            action.triggered.connect(chosen)
            action.setEnabled(not entry.background and bool(held))
            menu.addAction(action)

        offer(
            "May overlap all others",
            not rivals,
            partial(groups.set_alone, value, bool(rivals)),
        )
        for group, members in held.items():
            names = ", ".join(f"“{e.name}”" for e in members if e.value != value)
            if names:
                offer(
                    f"Excludes {names}",
                    group == entry.group,
                    partial(groups.set_group, value, group),
                )
        return menu

    def _jump(self, row: int) -> None:
        with self._controller.reporting():
            self._controller.class_areas.jump_to(self._values[row])

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
