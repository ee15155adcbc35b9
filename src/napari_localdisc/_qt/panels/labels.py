"""The labels: which layer, which classes, undo and redo, and saving."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QWidget,
)

from napari_localdisc._qt.parts import Section
from napari_localdisc.core.errors import PromptError
from napari_localdisc.io.labels import FORMATS

from .class_table import ClassTable

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_localdisc.viewer.controller import Controller
    from napari_localdisc.viewer.export import ExportControl

NEW_LAYER = "a new layer"
FILES = ";;".join([*(form.filter for form in FORMATS.values()), "All files (*)"])


class _Layers(QComboBox):
    """Looks at the layers again before it opens: they may have other names."""

    def __init__(self, refresh: Callable[[], None]) -> None:
        super().__init__()
        self._refresh = refresh

    def showPopup(self) -> None:
        """Refresh, and open."""
        self._refresh()
        super().showPopup()


class LabelsPanel(Section):
    """What masks, clusters, structures and predictions are written to.

    Parameters
    ----------
    controller : Controller
        Of the viewer.
    export : ExportControl
        Saves the labels, off the GUI thread.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(
        self,
        controller: Controller,
        export: ExportControl,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Labels", parent=parent)
        self._controller = controller
        self._export = export
        self._layers: list[weakref.ref[Labels]] = []
        self.layers = _Layers(self._show_layers)
        self.layers.setToolTip(
            "The Labels layer that the classes are written to: one of your own of the "
            "image's size, or a new one"
        )
        self.layers.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.table = ClassTable(controller)
        self.add_button = QPushButton("New class")
        self.add_button.setToolTip("Add a class and choose it")
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip(
            "Remove the chosen class, and its pixels from the labels; Undo brings them "
            "back"
        )
        self.overwrite = QCheckBox("Overwrite other classes")
        self.overwrite.setToolTip(
            "Let what is added replace pixels of other classes.\nOff: they stay as "
            "they are; they show in pink before."
        )
        self.undo_button = QPushButton("Undo")
        self.redo_button = QPushButton("Redo")
        self.save_button = QPushButton("Save labels…")
        self.save_button.setToolTip("Write the labels, their classes and colours")
        self._arrange()
        self.layers.currentIndexChanged.connect(self._use)
        self.add_button.clicked.connect(self._add)
        self.remove_button.clicked.connect(self._remove)
        self.overwrite.toggled.connect(self._set_overwrite)
        self.undo_button.clicked.connect(self._undo)
        self.redo_button.clicked.connect(self._redo)
        self.save_button.clicked.connect(self._ask_and_save)
        controller.classes.changed.connect(self._show)
        controller.history_changed.connect(self._show_history)
        controller.workspace.image_changed.connect(self._show)
        controller.workspace.images.listed.connect(self._show_layers)
        export.busy_changed.connect(self._show_saving)
        self._show()
        self._show_history()

    def _arrange(self) -> None:
        into = QHBoxLayout()
        into.addWidget(QLabel("Write to"))
        into.addWidget(self.layers, stretch=1)
        edit = QHBoxLayout()
        edit.addWidget(self.add_button)
        edit.addWidget(self.remove_button)
        edit.addStretch()
        edit.addWidget(self.overwrite)
        last = QHBoxLayout()
        last.addWidget(self.undo_button)
        last.addWidget(self.redo_button)
        last.addStretch()
        last.addWidget(self.save_button)
        self.body.addLayout(into)
        self.body.addWidget(self.table)
        self.body.addLayout(edit)
        self.body.addLayout(last)

    # What the buttons do

    def _use(self, index: int) -> None:
        labels = self._layers[index]() if 0 <= index < len(self._layers) else None
        with self._controller.reporting():
            self._controller.classes.use_labels(labels)

    def _add(self) -> None:
        with self._controller.reporting():
            self._controller.classes.add()
        row = self.table.rowCount() - 1
        if row >= 0:
            self.table.editItem(self.table.item(row, 1))

    def _remove(self) -> None:
        chosen = self._controller.classes.chosen
        with self._controller.reporting():
            if chosen is not None:
                self._controller.classes.remove(chosen.value)

    def _set_overwrite(self, overwrite: bool) -> None:
        self._controller.writing.set_overwrite(overwrite)

    def _undo(self) -> None:
        self._controller.undo()

    def _redo(self) -> None:
        self._controller.redo()

    def _ask_and_save(self) -> None:
        labels = self._controller.labels_layer
        if labels is None:
            return
        start = str(Path.home() / f"{labels.name}.png")
        path, _ = QFileDialog.getSaveFileName(self, "Save labels", start, FILES)
        if path:
            self.save(Path(path))

    def save(self, path: Path) -> None:
        """Write the labels as they are now, in the format that the name asks for.

        Parameters
        ----------
        path : Path
            Such as ``eye.png``.
        """
        with self._controller.reporting():
            labels = self._controller.labels_layer
            if labels is None:
                raise PromptError("There are no labels yet: add a mask first.")
            self._export.save(labels, path)

    # What is shown

    def _show(self) -> None:
        self._show_layers()
        controller = self._controller
        has_image = controller.workspace.images.current is not None
        self.add_button.setEnabled(has_image)
        self.remove_button.setEnabled(controller.classes.chosen is not None)
        self._show_saving()

    def _show_saving(self) -> None:
        has_labels = self._controller.labels_layer is not None
        self.save_button.setEnabled(has_labels and not self._export.is_busy)

    def _show_layers(self) -> None:
        classes = self._controller.classes
        current = classes.labels_layer
        layers = classes.candidates
        if current is not None and current not in layers:
            layers.insert(0, current)
        self._layers = [weakref.ref(layer) for layer in layers]
        blocker = QSignalBlocker(self.layers)
        self.layers.clear()
        self.layers.addItems([*(layer.name for layer in layers), NEW_LAYER])
        at = layers.index(current) if current is not None else len(layers)
        self.layers.setCurrentIndex(at)
        blocker.unblock()
        self.layers.setEnabled(self._controller.workspace.images.current is not None)
        self._show_saving()

    def _show_history(self) -> None:
        controller = self._controller
        for button, name, operation in (
            (self.undo_button, "undo", controller.next_undo),
            (self.redo_button, "redo", controller.next_redo),
        ):
            button.setEnabled(operation is not None)
            what = f"{name.capitalize()}: {operation.text}" if operation else "Nothing"
            button.setToolTip(what + controller.keys.hint(name))
