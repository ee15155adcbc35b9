"""Learn from strokes: napari's brush, a prediction, and where to paint next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget

from napari_localdisc._qt.parts import Pointing, Section

if TYPE_CHECKING:
    from napari_localdisc.viewer.controller import Controller


class StrokesPanel(Section):
    """Begins strokes and turns their prediction into labels."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(
            "Learn from strokes",
            "Paint a few pixels of each class, and of the background. The whole image "
            "is predicted after each stroke.",
            parent=parent,
        )
        self._controller = controller
        self.paint_button = QPushButton("Paint strokes")
        self.paint_button.setToolTip(
            "Take napari's brush and paint on the layer “strokes”.\nThe class chosen "
            "in the table below is painted; Ctrl+Z undoes a stroke."
        )
        self.next_button = QPushButton("Where next?")
        self.next_button.setToolTip(
            "Put a star on the spot whose label would help most"
            + controller.keys.hint("where next")
        )
        self.uncertainty = QCheckBox("Show uncertainty")
        self.uncertainty.setToolTip("Where the classifier is not sure, as a layer")
        self.add_button = QPushButton("Add prediction to labels")
        self.add_button.setToolTip(
            "Write the predicted classes into the labels, without the background.\n"
            "What other classes have of them shows in pink while you point here."
        )
        row = QHBoxLayout()
        row.addWidget(self.next_button)
        row.addWidget(self.uncertainty)
        row.addStretch()
        self.body.addWidget(self.paint_button)
        self.body.addLayout(row)
        self.body.addWidget(self.add_button)
        strokes = controller.strokes
        self.paint_button.clicked.connect(self._paint)
        self.next_button.clicked.connect(self._where_next)
        self.uncertainty.toggled.connect(strokes.set_shows_uncertainty)
        self.add_button.clicked.connect(self._add)
        Pointing(self.add_button, strokes.preview, controller.writing.preview.hide)
        strokes.changed.connect(self._show_enabled)
        controller.prompts.changed.connect(self._show_enabled)
        controller.workspace.plane_changed.connect(self._show_enabled)
        self._show_enabled()

    def _paint(self) -> None:
        self._controller.prompts.set_finding(False)
        self._controller.strokes.start()

    def _where_next(self) -> None:
        self._controller.strokes.where_next()

    def _add(self) -> None:
        self._controller.strokes.accept()

    def _show_enabled(self) -> None:
        self.paint_button.setEnabled(
            self._controller.workspace.images.current is not None
        )
        has_learned = self._controller.strokes.learned is not None
        self.next_button.setEnabled(has_learned)
        self.add_button.setEnabled(has_learned)
