"""The similarity threshold: a slider whose drag moves the display alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget
from superqt import QLabeledDoubleSlider

if TYPE_CHECKING:
    from napari_localdisc.controller import Controller

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
        controller.masks.changed.connect(self._show)
        controller.prompts_changed.connect(self._show)
        controller.image_changed.connect(self._show)
        self._show()

    def _on_value(self, value: float) -> None:
        if self.slider.isSliderDown():
            self._controller.masks.preview_threshold(value)
        else:
            self._write()

    def _write(self) -> None:
        value = round(float(self.slider.value()), DECIMALS)
        self._controller.masks.set_options(threshold=value)

    def _on_automatic(self, wanted: bool) -> None:
        threshold = None if wanted else self._controller.masks.threshold
        self._controller.masks.set_options(threshold=threshold)

    def _show(self) -> None:
        masks = self._controller.masks
        threshold = masks.threshold
        self.setEnabled(threshold is not None)
        self.automatic.setChecked(masks.options.threshold is None)
        if threshold is not None and not self.slider.isSliderDown():
            blocker = QSignalBlocker(self.slider)
            self.slider.setValue(threshold)
            blocker.unblock()
