"""The pieces of the chosen class in a table: go there, accept, drop, cut, join."""

from typing import Any

from qtpy.QtCore import QItemSelectionModel, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
)
from superqt.utils import signals_blocked

from napari_localdisc._qt.parts import Section, bring_into_sight, button, follow
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.pieces import MOST

COLUMNS = "", "Size", "Row, column", "Similarity"
ROWS = 4
"""Rows that are seen without scrolling."""


class PiecesPanel(Section):
    """Looks for pieces while it is seen."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Pieces")
        self._controller = controller
        pieces = controller.pieces
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.table = PiecesTable(controller)
        self.accept_button = button(
            "Accept",
            "Note that the chosen pieces are right, and go on to the next.\nKey in the "
            "table: Y",
            pieces.accept,
        )
        self.drop_button = button(
            "Drop",
            "Take the chosen pieces out of the labels, and go on to the next.\nKeys in "
            "the table: X, Delete",
            pieces.drop,
        )
        self.split_button = button(
            "Split",
            "Cut the chosen piece in two where it is narrowest",
            pieces.split,
        )
        self.merge_button = button(
            "Merge",
            "Join the chosen pieces by bridges; Ctrl + click chooses several",
            pieces.merge,
        )
        self.add(self.summary)
        self.add(
            self.accept_button,
            self.drop_button,
            None,
            self.split_button,
            self.merge_button,
        )
        self.add(self.table)
        follow(self._show, pieces.changed, controller.classes.changed)

    def showEvent(self, event: Any) -> None:
        """Look for pieces."""
        super().showEvent(event)
        self._controller.pieces.set_active(True)

    def hideEvent(self, event: Any) -> None:
        """Look for them no longer."""
        super().hideEvent(event)
        self._controller.pieces.set_active(False)

    def _show(self) -> None:
        pieces, entry = self._controller.pieces, self._controller.classes.chosen
        found = pieces.found
        if entry is None:
            text = "Choose a class in the table below."
        elif not found:
            text = f"“{entry.name}” has no pixels here."
        else:
            accepted = sum(map(pieces.is_accepted, found))
            noun = "piece" if len(found) == 1 else "pieces"
            text = f"“{entry.name}”: {len(found):,} {noun}, {accepted:,} accepted."
            if len(found) == MOST:
                text += " Smaller ones are not in the table."
        self.summary.setText(text)
        self.table.setVisible(bool(found))
        chosen = len(pieces.chosen)
        for made, wanted in (
            (self.accept_button, chosen > 0),
            (self.drop_button, chosen > 0),
            (self.split_button, chosen == 1),
            (self.merge_button, chosen > 1),
        ):
            made.setVisible(bool(found))
            made.setEnabled(wanted)


class PiecesTable(QTableWidget):
    """A row a piece, the largest first."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(0, len(COLUMNS))
        self._pieces = controller.pieces
        self._seen: tuple[int, ...] = ()
        self.setHorizontalHeaderLabels(COLUMNS)
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        header, rows = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert rows is not None
        rows.hide()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        height = self.fontMetrics().height() + 8
        rows.setDefaultSectionSize(height)
        self.setFixedHeight(height * (ROWS + 1) + 8)
        self.setAccessibleName("Pieces")
        self.setToolTip(
            "Click: go there.  Ctrl + click: choose several.  Y: accept.  X or Delete: "
            "drop.\nA click on a piece in the image chooses it here."
        )
        self.itemSelectionChanged.connect(self._on_selected)
        follow(self._show, self._pieces.changed)

    def _show(self) -> None:
        found = self._pieces.found
        with signals_blocked(self):
            self.setRowCount(len(found))
            for line, piece in enumerate(found):
                row, column = piece.point
                similarity = piece.similarity
                texts = (
                    "✓" if self._pieces.is_accepted(piece) else "",
                    f"{piece.pixels:,} px",
                    f"{row:.0f}, {column:.0f}",
                    "–" if similarity is None else f"{similarity:.2f}",
                )
                for at, text in enumerate(texts):
                    item = self.item(line, at)
                    if item is None:
                        item = QTableWidgetItem()
                        self.setItem(line, at, item)
                    item.setText(text)
            self._select()

    def _select(self) -> None:
        selection, model = self.selectionModel(), self.model()
        assert selection is not None
        assert model is not None
        selection.clearSelection()
        flags = QItemSelectionModel.SelectionFlag
        for number in self._pieces.chosen:
            if number <= self.rowCount():
                index = model.index(number - 1, 0)
                selection.select(index, flags.Select | flags.Rows)
        chosen = self._pieces.chosen
        if chosen and chosen[-1] <= self.rowCount():
            self.scrollToItem(self.item(chosen[-1] - 1, 0))
            if chosen != self._seen:
                bring_into_sight(self)
        self._seen = chosen

    def _on_selected(self) -> None:
        selection = self.selectionModel()
        assert selection is not None
        self._pieces.choose([index.row() + 1 for index in selection.selectedRows()])

    def keyPressEvent(self, event: Any) -> None:
        """Accept, or drop, what is chosen."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_X):
            self._pieces.drop()
        elif event.key() == Qt.Key.Key_Y:
            self._pieces.accept()
        else:
            super().keyPressEvent(event)
