"""The dock widget “Work on a folder”: every image of it, and a table of areas."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import napari.viewer
from magicgui.widgets import CheckBox, SpinBox
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from napari_localdisc.batch.recipes import ClusterRecipe, Recipe, StructureRecipe
from napari_localdisc.viewer.folder import FolderControl, Row, read_concept

from .help import HelpButton
from .panels.choosers import ProgressRow
from .parts import (
    Choice,
    Docked,
    button,
    follow,
    form,
    path_field,
    path_text,
    row,
    viewer_of,
)
from .threads import QtRunner, report

CLUSTERS, CONCEPT = "Clusters", "A concept from a file"


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
        self.source = path_field("Images", "Folder of images")
        self.output = path_field("Results", "Folder for the results")
        self.models = Choice(
            lambda: control.models.names,
            lambda: control.models.name,
            label="Model",
            tooltip="Also models that you adapted or fine-tuned",
        )
        self.purposes = Choice(
            lambda: [CLUSTERS, *control.models.structures, CONCEPT],
            label="What to find",
            tooltip="What to make of every image",
        )
        self.number = SpinBox(
            min=2, label="How many", tooltip="How many structures to tell apart"
        )
        find = form(self.purposes, self.number, layout="horizontal", labels=False)
        find.label = "Find"
        self.concept = path_field(
            "Concept", "A saved concept", "Concepts (*.safetensors)"
        )
        self.scheduler = path_field(
            "Scheduler",
            "A scheduler file",
            "Scheduler files (*.json);;All (*)",
            "To work on a dask cluster that is running: its scheduler's address,\n"
            "tcp://node1:8786, or its scheduler file. Every machine must see the "
            "same folders.",
        )
        self.scheduler.line_edit.native.setPlaceholderText("this machine")
        self.overwrite = CheckBox(text="Make anew what is done already")
        self.start_button = button(
            "Start", "Images that are done already are only measured", self._start
        )
        self.progress_row = ProgressRow(control, "Stop; Start goes on from there")
        self.table = OutcomeTable(control)
        where, how = (self.source, self.output), (self.scheduler, self.overwrite)
        fields = form(*where, self.models, find, self.concept, *how)
        self.help_button = HelpButton("Work on a folder")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addWidget(fields.native)
        actions = row(self.start_button, self.help_button)
        actions.setStretch(0, 1)
        layout.addLayout(actions)
        layout.addWidget(self.progress_row)
        layout.addWidget(self.table, stretch=1)
        self.models.changed.connect(control.set_model)
        self.purposes.changed.connect(self._show_fields)
        control.work.busy_changed.connect(self._show_busy)
        follow(self._show_model, control.model_changed)
        self.destroyed.connect(control.close)

    # Control → widgets

    def _show_model(self) -> None:
        self.models.reset_choices()
        self.purposes.reset_choices()
        self.number.max = self.control.models.most_structures
        self.number.value = min(8, self.number.max)
        self._show_fields()

    def _show_fields(self) -> None:
        self.number.visible = self.purposes.value == CLUSTERS
        self.concept.visible = self.purposes.value == CONCEPT

    def _show_busy(self, busy: bool) -> None:
        self.start_button.setEnabled(not busy)

    # Widgets → control

    def _start(self) -> None:
        source, out = path_text(self.source), path_text(self.output)
        if source and not out and Path(source).is_dir():
            out = str(Path(source) / "localdisc")
            self.output.line_edit.value = out
        scheduler = path_text(self.scheduler)
        purpose = self.purposes.value
        recipe: Callable[[], Recipe] = partial(StructureRecipe, purpose)
        if purpose == CLUSTERS:
            recipe = partial(ClusterRecipe, self.number.value)
        elif purpose == CONCEPT:
            recipe = partial(read_concept, path_text(self.concept))
        overwrite = self.overwrite.value
        self.control.run(source, out, recipe, overwrite=overwrite, scheduler=scheduler)

    def leave(self) -> None:
        """Stop; what is done stays."""
        self.control.close()


class OutcomeTable(QTableWidget):
    """A row an image, a column a class; double click opens the image."""

    def __init__(self, control: FolderControl) -> None:
        super().__init__(0, 2)
        self._control = control
        self.setToolTip("Pixels of each class; double click opens the image")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._labels: list[int] = []
        self.cellDoubleClicked.connect(self._open)
        control.row_added.connect(self._add)
        follow(self._clear, control.cleared)

    def _clear(self) -> None:
        self.setRowCount(0)
        self.setColumnCount(2)
        self.setHorizontalHeaderLabels(["Image", ""])
        self._labels.clear()

    def _add(self, result: Row) -> None:
        line = self.rowCount()
        self.insertRow(line)
        source, state = result.outcome.task.source, result.outcome.state
        told = ((source.name, str(source)), (state, result.outcome.reason))
        for column, (text, tooltip) in enumerate(told):
            cell = QTableWidgetItem(text)
            cell.setToolTip(tooltip)
            self.setItem(line, column, cell)
        for area in result.areas:
            if area.label not in self._labels:
                self._labels.append(area.label)
                column = 1 + len(self._labels)
                self.setColumnCount(column + 1)
                self.setHorizontalHeaderItem(column, QTableWidgetItem(area.title))
            cell = QTableWidgetItem()
            cell.setData(Qt.ItemDataRole.DisplayRole, area.pixels)
            cell.setToolTip(f"{area.percent:.2f} % of the image")
            self.setItem(line, 2 + self._labels.index(area.label), cell)

    def _open(self, line: int, column: int) -> None:
        self._control.open_row(self._control.rows[line])
