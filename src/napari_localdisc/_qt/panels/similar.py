"""Find similar: clicks are prompts, and their mask goes into the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from napari_localdisc._qt.parts import Section
from napari_localdisc.viewer.writing import Effect

if TYPE_CHECKING:
    from napari_localdisc.viewer.controller import Controller


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
        self.preview.setChecked(controller.prompts.hover.is_enabled)
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
        self.button.toggled.connect(controller.prompts.set_finding)
        self.preview.toggled.connect(controller.prompts.hover.set_enabled)
        self.clear_button.clicked.connect(self._clear)
        self.add_button.clicked.connect(self._add)
        controller.prompts.finding_changed.connect(self._show_finding)
        controller.prompts.changed.connect(self._show_counts)
        controller.workspace.plane_changed.connect(self._show_counts)
        controller.workspace.image_changed.connect(self._show_enabled)
        controller.mask.changed.connect(self._show_effect)
        controller.prompts.changed.connect(self._show_effect)
        controller.workspace.plane_changed.connect(self._show_effect)
        controller.writing.overwrite_changed.connect(self._show_effect)
        self._show_counts()
        self._show_enabled()
        self._show_effect()

    def _clear(self) -> None:
        self._controller.prompts.clear()

    def _add(self) -> None:
        self._controller.prompts.add_mask()

    def _show_finding(self, finding: bool) -> None:
        self.button.setChecked(finding)

    def _show_counts(self) -> None:
        prompts = self._controller.prompts.points
        positive = sum(prompt.positive for prompt in prompts)
        self.counts.setText(f"+ {positive}    − {len(prompts) - positive}")
        self.clear_button.setEnabled(bool(prompts))

    def _show_enabled(self) -> None:
        has_image = self._controller.workspace.images.current is not None
        self.button.setEnabled(has_image or self._controller.prompts.is_finding)

    def _show_effect(self) -> None:
        masks, classes = self._controller.mask, self._controller.classes
        pixels = masks.pixels
        self.add_button.setEnabled(pixels > 0)
        if not pixels:
            self.effect.setText("No mask yet.")
            return
        effect = Effect(pixels, masks.overlap)
        overwrites = self._controller.writing.overwrite
        self.effect.setText(effect.describe(classes.entries, overwrites))


LARGEST = 10_000_000


class MaskOptionsRow(QWidget):
    """Connected, smooth, and the smallest piece."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.connected = QCheckBox("Connected")
        self.connected.setToolTip("Only what is connected to one of the + prompts")
        self.smooth = QCheckBox("Smooth")
        self.smooth.setToolTip("Round the outline, at the image's own resolution")
        self.minimum_size = QSpinBox()
        self.minimum_size.setRange(0, LARGEST)
        self.minimum_size.setSuffix(" px")
        self.minimum_size.setSingleStep(10)
        self.minimum_size.setKeyboardTracking(False)
        self.minimum_size.setToolTip("Leave out pieces with fewer pixels than this")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.connected)
        layout.addWidget(self.smooth)
        layout.addStretch()
        layout.addWidget(QLabel("Smallest"))
        layout.addWidget(self.minimum_size)
        prompts = controller.prompts
        self.connected.toggled.connect(lambda on: prompts.set_options(connected=on))
        self.smooth.toggled.connect(lambda on: prompts.set_options(smooth=on))
        self.minimum_size.valueChanged.connect(
            lambda size: prompts.set_options(minimum_size=int(size))
        )
        controller.mask.changed.connect(self._show)
        controller.prompts.changed.connect(self._show)
        controller.workspace.plane_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        options = self._controller.prompts.options
        self.setEnabled(self._controller.workspace.images.current is not None)
        widgets = self.connected, self.smooth, self.minimum_size
        blockers = [QSignalBlocker(widget) for widget in widgets]
        self.connected.setChecked(options.connected)
        self.smooth.setChecked(options.smooth)
        self.minimum_size.setValue(options.minimum_size)
        for blocker in blockers:
            blocker.unblock()


DECIMALS = 2


class ThresholdRow(QWidget):
    """Slider and “Auto”; off while there is no mask."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 1)
        self.slider.setDecimals(DECIMALS)
        keys = controller.keys
        self.slider.setToolTip(
            "How similar a pixel must be to belong to the mask.\nWhile you drag only "
            "the display changes; the mask is written when you let go."
            + keys.hint("lower threshold")
            + keys.hint("higher threshold")
        )
        self.automatic = QPushButton("Auto")
        self.automatic.setCheckable(True)
        self.automatic.setToolTip(
            "Choose the threshold automatically: 0.5 where the model names structures, "
            "else Otsu's, where similarities fall\ninto two groups; moved as little as "
            "needed for every + to be in the mask and every − out of it."
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("Threshold"))
        layout.addWidget(self.slider, stretch=1)
        layout.addWidget(self.automatic)
        self.slider.valueChanged.connect(self._on_value)
        self.slider.sliderReleased.connect(self._write)
        self.automatic.clicked.connect(self._on_automatic)
        controller.mask.changed.connect(self._show)
        controller.prompts.changed.connect(self._show)
        controller.workspace.plane_changed.connect(self._show)
        self._show()

    def _on_value(self, value: float) -> None:
        if self.slider.isSliderDown():
            self._controller.mask.preview_threshold(value)
        else:
            self._write()

    def _write(self) -> None:
        value = round(float(self.slider.value()), DECIMALS)
        self._controller.prompts.set_options(threshold=value)

    def _on_automatic(self, wanted: bool) -> None:
        threshold = None if wanted else self._controller.mask.threshold
        self._controller.prompts.set_options(threshold=threshold)

    def _show(self) -> None:
        masks, prompts = self._controller.mask, self._controller.prompts
        threshold = masks.threshold
        self.setEnabled(threshold is not None)
        self.automatic.setChecked(prompts.options.threshold is None)
        if threshold is not None and not self.slider.isSliderDown():
            blocker = QSignalBlocker(self.slider)
            self.slider.setValue(threshold)
            blocker.unblock()
