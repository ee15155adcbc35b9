"""The dock widget “Work on a folder”: every image of it, and a table of areas."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import napari.viewer
from magicgui.widgets import CheckBox, SpinBox
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QGroupBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc.batch.recipes import ClusterRecipe, Recipe, StructureRecipe
from napari_localdisc.io.areas import ClassArea
from napari_localdisc.viewer.folder import FolderControl, Row, read_concept

from .help import HelpButton
from .panels.choosers import ProgressRow
from .panels.tuning import TuneButton
from .parts import (
    Choice,
    Docked,
    Scrolling,
    button,
    follow,
    form,
    path_field,
    path_text,
    row,
    small_print,
    viewer_of,
)
from .threads import QtRunner, report

CLUSTERS = "clusters, as many as"
_COLUMNS = 3
FEWEST_ROWS = 8
"""Of the table that are always seen."""

HEADER = "Image", "Found", "Pixels", "% of field", "By", "State"


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
        self.clusters = CheckBox(
            value=True, text=CLUSTERS, tooltip="Label what looks alike"
        )
        self.number = SpinBox(
            min=2, label="How many", tooltip="How many structures to tell apart"
        )
        self.structures: dict[str, CheckBox] = {}
        self.tuning: dict[str, TuneButton] = {}
        self._boxes = QGridLayout()
        self._boxes.setVerticalSpacing(2)
        self.concept = path_field(
            "Concept",
            "A saved concept",
            "Concepts (*.safetensors)",
            "What was saved by “Save concept”; empty: none",
        )
        self.scheduler = path_field(
            "Computers",
            "The scheduler file of several computers",
            "Scheduler files (*.json);;All (*)",
            "To share the work among several computers (a dask cluster): its "
            "scheduler's address,\ntcp://node1:8786, or its scheduler file. Every one "
            "must see the same folders.",
        )
        self.scheduler.line_edit.native.setPlaceholderText("this one")
        self.overwrite = CheckBox(
            text="Replace results that are there",
            tooltip="Off: images that have their results are only measured",
        )
        self.start_button = button(
            "Start", "Find what is ticked in every image", self._start
        )
        self.clear_button = button(
            "Clear table",
            "Forget the rows of earlier runs here; the table in the results' folder "
            "keeps them",
            control.clear,
        )
        self.progress_row = ProgressRow(control, "Stop; Start goes on from there")
        self.table = OutcomeTable(control)
        where, how = (self.source, self.output), (self.scheduler, self.overwrite)
        find = QGroupBox()
        find.setFlat(True)
        find.setLayout(self._boxes)
        find.setStyleSheet("QGroupBox { border: none; margin: 0; padding: 0; }")
        fields = form(*where, self.models, self.concept, *how)
        self.help_button = HelpButton("Work on a folder")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        content = QWidget()
        inside = QVBoxLayout(content)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(2)
        inside.addWidget(fields.native)
        inside.addWidget(small_print("Find in every image:"))
        inside.addWidget(find)
        layout.addWidget(Scrolling(content))
        actions = row(self.start_button, self.clear_button, self.help_button)
        actions.setStretch(0, 1)
        layout.addLayout(actions)
        layout.addWidget(self.progress_row)
        layout.addWidget(self.table, stretch=1)
        self.models.changed.connect(control.set_model)
        control.work.busy_changed.connect(self._show_busy)
        follow(self._show_model, control.model_changed)
        self.destroyed.connect(control.close)

    # Control → widgets

    def _show_model(self) -> None:
        self.models.reset_choices()
        self.number.max = self.control.models.most_structures
        self.number.value = min(8, self.number.max)
        while self._boxes.takeAt(0) is not None:
            pass
        for old in self.structures.values():
            old.native.deleteLater()
        for tune in self.tuning.values():
            tune.deleteLater()
        self.structures = {
            name: CheckBox(
                text=name, tooltip=f"The mask of {name}, and its probability"
            )
            for name in self.control.models.structures
        }
        self.tuning = {name: TuneButton(name) for name in self.structures}
        self._boxes.addWidget(self.clusters.native, 0, 0)
        self._boxes.addWidget(self.number.native, 0, 1)
        for at, (name, box) in enumerate(self.structures.items()):
            place = row(box, self.tuning[name], None)
            self._boxes.addLayout(place, 1 + at // _COLUMNS, at % _COLUMNS)

    def _show_busy(self, busy: bool) -> None:
        self.start_button.setEnabled(not busy)

    # Widgets → control

    def _start(self) -> None:
        source, out = path_text(self.source), path_text(self.output)
        if source and not out and Path(source).is_dir():
            out = str(Path(source) / "localdisc")
            self.output.line_edit.value = out
        scheduler = path_text(self.scheduler)
        recipes: list[Callable[[], Recipe]] = []
        if self.clusters.value:
            recipes.append(partial(ClusterRecipe, self.number.value))
        for name, box in self.structures.items():
            if box.value:
                options = vars(self.tuning[name].options)
                recipes.append(partial(StructureRecipe, name, **options))
        if concept := path_text(self.concept):
            recipes.append(partial(read_concept, concept))
        overwrite = self.overwrite.value
        self.control.run(source, out, recipes, overwrite=overwrite, scheduler=scheduler)

    def leave(self) -> None:
        """Stop; what is done stays."""
        self.control.close()


class OutcomeTable(QTableWidget):
    """A row an image, what was found in it, and run; double click opens the image."""

    def __init__(self, control: FolderControl) -> None:
        super().__init__(0, len(HEADER))
        self._control = control
        self.setToolTip(
            "Percent are of the field of view.\nDouble click opens the image and what "
            "was found in it"
        )
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalHeaderLabels(HEADER)
        header, lines = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert lines is not None
        lines.hide()
        height = self.fontMetrics().height() + 8
        lines.setDefaultSectionSize(height)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.setMinimumHeight(header.sizeHint().height() + FEWEST_ROWS * height + 4)
        self._rows: list[Row] = []
        self.cellDoubleClicked.connect(self._open)
        control.row_added.connect(self._add)
        follow(self._fill, control.cleared)

    def _fill(self) -> None:
        self.setRowCount(0)
        self._rows.clear()
        for result in self._control.rows:
            self._add(result)

    def _add(self, result: Row) -> None:
        for area in result.areas or (None,):
            self._add_line(result, area)

    def _add_line(self, result: Row, area: ClassArea | None) -> None:
        line = self.rowCount()
        self.insertRow(line)
        self._rows.append(result)
        source, outcome = result.outcome.task.source, result.outcome
        found, pixels, share = "", "", ""
        about = ""
        if area is not None:
            found, pixels = area.title, f"{area.pixels:,}"
            found = f"cluster {found}" if found.isdigit() else found
            share = "" if area.of_view is None else f"{area.of_view:.2f}"
            about = f"{area.percent:.2f} % of all pixels of the image\n{area}"
        texts = (source.name, found, pixels, share, result.made, outcome.state)
        tips = (str(source), "", about, about, "", outcome.reason)
        for column, (text, tip) in enumerate(zip(texts, tips, strict=True)):
            cell = QTableWidgetItem(text)
            cell.setToolTip(tip)
            if column in (2, 3):
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                cell.setTextAlignment(right)
            self.setItem(line, column, cell)

    def _open(self, line: int, column: int) -> None:
        self._control.open_row(self._rows[line])
