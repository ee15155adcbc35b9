"""Find similar: a mode in which clicks in the canvas are prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from .section import Section

if TYPE_CHECKING:
    from napari_localdisc.controller import Controller


class SimilarPanel(Section):
    """Switches the mode, counts the prompts and clears them."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Similarity", parent=parent)
        self._controller = controller
        self.button = QPushButton("Find similar")
        self.button.setCheckable(True)
        self.button.setToolTip(
            "While this is on, a click on the image shows what is similar to it.\n"
            "Click: this is meant.  Shift + click: this is not meant.\n"
            "Dragging still pans, the wheel still zooms."
        )
        self.counts = QLabel()
        self.counts.setToolTip("Clicks on what is meant (+) and on what is not (−)")
        self.clear_button = QPushButton("Clear")
        self.clear_button.setToolTip("Forget the clicks on this image and their map")
        row = QHBoxLayout()
        row.addWidget(self.counts, stretch=1)
        row.addWidget(self.clear_button)
        self.body.addWidget(self.button)
        self.body.addLayout(row)
        self.button.toggled.connect(controller.set_finding)
        self.clear_button.clicked.connect(self._clear)
        controller.finding_changed.connect(self._show_finding)
        controller.prompts_changed.connect(self._show_counts)
        controller.image_changed.connect(self._show_enabled)
        self._show_counts()
        self._show_enabled()

    def _clear(self) -> None:
        self._controller.clear_prompts()

    def _show_finding(self, finding: bool) -> None:
        self.button.setChecked(finding)

    def _show_counts(self) -> None:
        prompts = self._controller.prompts
        positive = sum(prompt.positive for prompt in prompts)
        self.counts.setText(f"+ {positive}    − {len(prompts) - positive}")
        self.clear_button.setEnabled(bool(prompts))

    def _show_enabled(self) -> None:
        has_image = self._controller.image is not None
        self.button.setEnabled(has_image or self._controller.is_finding)
