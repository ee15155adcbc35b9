"""The table of numbers: a click shows in the picture where one comes from."""

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView
from superqt.utils import signals_blocked

from napari_localdisc._qt.parts import follow
from napari_localdisc.core.measure.table import Row, value_text
from napari_localdisc.viewer.measure_shown import MeasureShown, key_of

HEADINGS = ("What", "Where", "Measure", "Value", "Unit")
VALUE = HEADINGS.index("Value")

HEIGHT = 9
"""Rows that are seen without scrolling."""

_LOOKED_AT = 400
"""Rows whose texts' widths are looked at."""

_ROOM = 14
"""Pixels around a cell's text."""

_ROLE = Qt.ItemDataRole


class _Model(QAbstractTableModel):
    """The rows that are looked at."""

    def __init__(self, shown: MeasureShown) -> None:
        super().__init__()
        self._shown = shown
        self.rows: tuple[Row, ...] = ()

    def refresh(self) -> bool:
        """Take the rows as they are now; whether there are others than before."""
        fresh = tuple(self._shown.rows)
        same = [*map(key_of, fresh)] == [*map(key_of, self.rows)]
        if same:
            self.rows = fresh
            if fresh:
                last = self.index(len(fresh) - 1, len(HEADINGS) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return False
        self.beginResetModel()
        self.rows = fresh
        self.endResetModel()
        return True

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """As many as are looked at."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """One a heading."""
        return len(HEADINGS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = 0
    ) -> Any:
        """Return a heading."""
        if orientation == Qt.Orientation.Horizontal and role == _ROLE.DisplayRole:
            return HEADINGS[section]
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return a cell's text, or all that is known of its number."""
        row = self.rows[index.row()]
        if role == _ROLE.DisplayRole:
            return _cells(row)[index.column()]
        if role == _ROLE.ToolTipRole:
            return _about(row)
        if role == _ROLE.TextAlignmentRole and index.column() == VALUE:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


def _cells(row: Row) -> tuple[str, ...]:
    what = row.structure if row.piece is None else f"{row.structure} no. {row.piece}"
    return what, row.region, row.measure, value_text(row.value), row.unit


def _about(row: Row) -> str:
    said = [f"{_cells(row)[0]}, {row.region}: {row.measure}"]
    said += [f"Missing: {row.reason}."] if row.value is None else []
    said += [f"How: {row.method}."] if row.method else []
    if row.share_in_view < 1:
        said.append(f"In view: {100 * row.share_in_view:.0f} % of the region.")
    return "\n".join(said)


class MeasureTable(QTableView):
    """A row a number; the selected one is drawn, and stays so when it changes."""

    def __init__(self, shown: MeasureShown) -> None:
        super().__init__()
        self._shown = shown
        self._model = _Model(shown)
        self._natural: list[int] = []
        self.setModel(self._model)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setTabKeyNavigation(False)
        header, lines = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert lines is not None
        lines.hide()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        height = self.fontMetrics().height() + 8
        lines.setDefaultSectionSize(height)
        self.setMinimumHeight(height * HEIGHT)
        self.setAccessibleName("Numbers")
        self.setToolTip("Click a row to see in the picture where it comes from")
        selection = self.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(self._on_selected)
        self._fit()
        follow(self._show, shown.rows_changed)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows that it holds."""
        return self._model.rows

    @property
    def selected_rows(self) -> list[Row]:
        """Those that are selected."""
        selection = self.selectionModel()
        chosen = selection.selectedRows() if selection is not None else []
        return [self._model.rows[index.row()] for index in sorted(chosen, key=_line)]

    def select(self, line: int) -> None:
        """Select a row, as a click does."""
        self.selectRow(line)

    def keyPressEvent(self, event: Any) -> None:
        """Let Escape take the drawing away."""
        if event.key() == Qt.Key.Key_Escape:
            self.clearSelection()
        else:
            super().keyPressEvent(event)

    def _on_selected(self, *_: Any) -> None:
        chosen = self.selected_rows
        self._shown.show(chosen[0] if len(chosen) == 1 else None)

    def _show(self) -> None:
        selection = self.selectionModel()
        assert selection is not None
        with signals_blocked(selection):
            if not self._model.refresh():
                return
            self._fit()
            lines = [key_of(row) for row in self._model.rows]
            if self._shown.key in lines:
                flags = QItemSelectionModel.SelectionFlag
                at = self._model.index(lines.index(self._shown.key), 0)
                selection.select(at, flags.ClearAndSelect | flags.Rows)

    def _fit(self) -> None:
        """Make columns as wide as their texts, within limits.

        Where all numbers are of one region it is not said in each row.
        """
        regions = {row.region for row in self._model.rows}
        self.setColumnHidden(HEADINGS.index("Where"), len(regions) < 2)
        metrics = self.fontMetrics()
        self._natural = []
        for column, heading in enumerate(HEADINGS):
            texts = {_cells(row)[column] for row in self._model.rows[:_LOOKED_AT]}
            wide = [metrics.horizontalAdvance(text) for text in (*texts, heading)]
            self._natural.append(max(wide) + _ROOM)
        self._share_width()

    def _share_width(self) -> None:
        """Shorten texts, not numbers, where there is no room for all."""
        viewport = self.viewport()
        if viewport is None or not self._natural:
            return
        shown = [c for c in range(len(HEADINGS)) if not self.isColumnHidden(c)]
        numbers = sum(self._natural[column] for column in shown if column >= VALUE)
        texts = sum(self._natural[column] for column in shown if column < VALUE)
        scale = min(1.0, max(0.3, (viewport.width() - numbers) / max(1, texts)))
        for column in shown:
            wide = self._natural[column]
            self.setColumnWidth(column, int(wide * scale) if column < VALUE else wide)

    def resizeEvent(self, event: Any) -> None:
        """Share the new width."""
        super().resizeEvent(event)
        self._share_width()


def _line(index: QModelIndex) -> int:
    return index.row()
