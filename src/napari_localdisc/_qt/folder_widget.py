"""The dock widget “Work on a folder”: every image of it, and a table of areas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc.viewer.folder import FolderControl, Row

from .parts import Docked, viewer_of
from .threads import QtRunner, report

if TYPE_CHECKING:
    import napari.viewer

CLUSTERS, CONCEPT = "Clusters", "A concept from a file"
_IMAGE, _STATE = 0, 1


class FolderField(QWidget):
    """A folder's path and a button to choose it."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self.line = QLineEdit()
        self.button = QPushButton("…")
        self.button.setMaximumWidth(32)
        self.button.setToolTip(title)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.line, stretch=1)
        layout.addWidget(self.button)
        self.button.clicked.connect(self._choose)

    @property
    def path(self) -> str:
        """What is written in the line."""
        return self.line.text().strip()

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self._title, self.path)
        if chosen:
            self.line.setText(chosen)


class FileField(FolderField):
    """A file's path and a button to choose it."""

    def __init__(self, title: str, kinds: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self._kinds = kinds

    def _choose(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, self._title, self.path, self._kinds
        )
        if chosen:
            self.line.setText(chosen)


class FolderWidget(Docked):
    """A thin skin on `FolderControl`; closing it stops, and what is done stays.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the widget is docked in.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        control = FolderControl(viewer_of(napari_viewer), QtRunner(), report)
        self.control = control
        self.source = FolderField("Folder of images")
        self.output = FolderField("Folder for the results")
        self.models = QComboBox()
        self.models.addItems(control.models)
        self.models.setCurrentText(control.model or "")
        self.models.setToolTip("Also models that you adapted or fine-tuned")
        self.purposes = QComboBox()
        self.purposes.setToolTip("What to make of every image")
        self.number = QSpinBox()
        self.number.setToolTip("How many structures to tell apart")
        self.concept = FileField("A saved concept", "Concepts (*.safetensors)")
        self.scheduler = FileField(
            "A scheduler file", "Scheduler files (*.json);;All (*)"
        )
        self.scheduler.line.setPlaceholderText("this machine")
        self.scheduler.setToolTip(
            "To work on a dask cluster that is running: its scheduler's address,\n"
            "tcp://node1:8786, or its scheduler file. Every machine must see the "
            "same folders."
        )
        self.overwrite = QCheckBox("Make anew what is done already")
        self.start_button = QPushButton("Start")
        self.start_button.setToolTip("Images that are done already are only measured")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; Start goes on from there")
        self.bar = QProgressBar()
        self.status = QLabel(control.status)
        self.status.setWordWrap(True)
        self.table = QTableWidget(0, 2)
        self.table.setToolTip("Pixels of each class; double click opens the image")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._labels: list[int] = []
        self._rows: dict[str, Row] = {}
        self._lay_out()
        self._connect()
        self._refresh_model()
        self._show_busy(False)
        self._clear()
        self.destroyed.connect(control.close)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Images", self.source)
        form.addRow("Results", self.output)
        form.addRow("Model", self.models)
        row = QHBoxLayout()
        row.addWidget(self.purposes, stretch=1)
        row.addWidget(self.number)
        form.addRow("Find", row)
        form.addRow("Concept", self.concept)
        form.addRow("Scheduler", self.scheduler)
        self._form = form
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.overwrite)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        layout.addWidget(self.table, stretch=1)

    def _connect(self) -> None:
        control = self.control
        self.models.currentTextChanged.connect(control.set_model)
        self.purposes.currentTextChanged.connect(self._show_number)
        self.start_button.clicked.connect(self._start)
        self.cancel_button.clicked.connect(self._cancel)
        self.table.cellDoubleClicked.connect(self._open)
        control.model_changed.connect(self._refresh_model)
        control.busy_changed.connect(self._show_busy)
        control.progressed.connect(self._show_progress)
        control.status_changed.connect(self._show_status)
        control.row_added.connect(self._add)
        control.cleared.connect(self._clear)

    # Control → widgets

    def _refresh_model(self) -> None:
        chosen = self.purposes.currentText()
        self.purposes.clear()
        self.purposes.addItems([CLUSTERS, *self.control.structures, CONCEPT])
        self.purposes.setCurrentText(chosen)
        self.number.setRange(2, self.control.most_clusters)
        self.number.setValue(min(8, self.control.most_clusters))

    def _show_number(self, purpose: str) -> None:
        self.number.setVisible(purpose == CLUSTERS)
        self._form.setRowVisible(self.concept, purpose == CONCEPT)

    def _show_busy(self, busy: bool) -> None:
        self.start_button.setEnabled(not busy)
        self.cancel_button.setEnabled(busy)
        self.bar.setVisible(busy)

    def _show_status(self, text: str) -> None:
        self.status.setText(text)

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _clear(self) -> None:
        self.table.setSortingEnabled(False)
        self.table.setRowCount(0)
        self._labels.clear()
        self._rows.clear()
        self._show_header({})

    def _show_header(self, titles: dict[int, str]) -> None:
        self.table.setColumnCount(2 + len(self._labels))
        self.table.setHorizontalHeaderLabels(["Image", ""])
        for column, label in enumerate(self._labels, 2):
            if label in titles:
                header = QTableWidgetItem(titles[label])
                self.table.setHorizontalHeaderItem(column, header)

    def _add(self, row: Row) -> None:
        key = str(row.outcome.task.source)
        self._rows[key] = row
        for area in row.areas:
            if area.label not in self._labels:
                self._labels.append(area.label)
                self.table.setColumnCount(2 + len(self._labels))
                header = QTableWidgetItem(area.title)
                self.table.setHorizontalHeaderItem(1 + len(self._labels), header)
        line = self.table.rowCount()
        self.table.insertRow(line)
        name = QTableWidgetItem(row.image)
        name.setData(Qt.ItemDataRole.UserRole, key)
        name.setToolTip(key)
        state = QTableWidgetItem(row.outcome.state)
        state.setToolTip(row.outcome.reason)
        self.table.setItem(line, _IMAGE, name)
        self.table.setItem(line, _STATE, state)
        for area in row.areas:
            cell = QTableWidgetItem()
            cell.setData(Qt.ItemDataRole.DisplayRole, area.pixels)
            cell.setToolTip(f"{area.percent:.2f} % of the image")
            self.table.setItem(line, 2 + self._labels.index(area.label), cell)

    # Widgets → control

    def _start(self) -> None:
        source, out = self.source.path, self.output.path
        if source and not out and Path(source).is_dir():
            out = str(Path(source) / "localdisc")
            self.output.line.setText(out)
        how = {
            "overwrite": self.overwrite.isChecked(),
            "scheduler": self.scheduler.path,
        }
        purpose = self.purposes.currentText()
        if purpose == CLUSTERS:
            self.control.cluster(source, out, self.number.value(), **how)
        elif purpose == CONCEPT:
            self.control.find_concept(source, out, self.concept.path, **how)
        else:
            self.control.find_structure(source, out, purpose, **how)

    def _cancel(self) -> None:
        self.control.cancel()

    def _open(self, line: int, column: int) -> None:
        item = self.table.item(line, _IMAGE)
        row = self._rows.get(item.data(Qt.ItemDataRole.UserRole)) if item else None
        if row is not None:
            self.control.open_row(row)

    def showEvent(self, event: Any) -> None:
        """Look for models again: one may have been trained meanwhile."""
        known = [self.models.itemText(index) for index in range(self.models.count())]
        self.models.addItems([n for n in self.control.models if n not in known])
        super().showEvent(event)

    def leave(self) -> None:
        """Stop; what is done stays."""
        self.control.close()
