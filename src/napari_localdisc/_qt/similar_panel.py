"""Find similar: clicks are prompts, and their mask goes into the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QWidget

from napari_localdisc.writing_preview import Effect

from .mask_options import MaskOptionsRow
from .section import Section
from .threshold_row import ThresholdRow

if TYPE_CHECKING:
    from napari_localdisc.controller import Controller


class SimilarPanel(Section):
    """Switches the mode, counts the prompts, and says what the mask would do."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Similarity", parent=parent)
        self._controller = controller
        self.button = QPushButton("Find similar")
        self.button.setCheckable(True)
        self.button.setToolTip(
            "While this is on, what is like the pixel under the cursor shows in "
            "yellow, and a click keeps it.\n"
            "Click: this is meant.  Shift + click: this is not meant.\n"
            "Dragging still pans, with the left button or the middle one; the wheel "
            "still zooms." + controller.keys.hint("find similar")
        )
        self.counts = QLabel()
        self.counts.setToolTip(
            "Clicks on what is meant (+) and on what is not (−).\nThey are points in "
            "the layer “prompts”: select it to drag or delete them."
        )
        self.preview = QCheckBox("Preview")
        self.preview.setChecked(controller.hover.is_enabled)
        self.preview.setToolTip("Show what is like the pixel under the cursor")
        self.clear_button = QPushButton("Clear")
        self.clear_button.setToolTip("Forget the clicks on this image and their map")
        self.threshold_row = ThresholdRow(controller)
        self.options_row = MaskOptionsRow(controller)
        self.add_button = QPushButton("Add to labels")
        self.add_button.setToolTip(
            "Write the mask into the labels as the class chosen below"
            + controller.keys.hint("add to labels")
        )
        self.effect = QLabel()
        self.effect.setWordWrap(True)
        self.effect.setToolTip("What adding the mask would do")
        row = QHBoxLayout()
        row.addWidget(self.counts, stretch=1)
        row.addWidget(self.preview)
        row.addWidget(self.clear_button)
        self.body.addWidget(self.button)
        self.body.addLayout(row)
        self.body.addWidget(self.threshold_row)
        self.body.addWidget(self.options_row)
        self.body.addWidget(self.effect)
        self.body.addWidget(self.add_button)
        self.button.toggled.connect(controller.set_finding)
        self.preview.toggled.connect(controller.hover.set_enabled)
        self.clear_button.clicked.connect(self._clear)
        self.add_button.clicked.connect(self._add)
        controller.finding_changed.connect(self._show_finding)
        controller.prompts_changed.connect(self._show_counts)
        controller.image_changed.connect(self._show_enabled)
        controller.masks.changed.connect(self._show_effect)
        controller.prompts_changed.connect(self._show_effect)
        controller.writing.overwrite_changed.connect(self._show_effect)
        self._show_counts()
        self._show_enabled()
        self._show_effect()

    def _clear(self) -> None:
        self._controller.clear_prompts()

    def _add(self) -> None:
        self._controller.writing.add_mask()

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

    def _show_effect(self) -> None:
        masks, classes = self._controller.masks, self._controller.classes
        pixels = masks.pixels
        self.add_button.setEnabled(pixels > 0)
        if not pixels:
            self.effect.setText("No mask yet.")
            return
        effect = Effect(pixels, masks.overlap)
        overwrites = self._controller.writing.overwrite
        self.effect.setText(effect.describe(classes.entries, overwrites))
