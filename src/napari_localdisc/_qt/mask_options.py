"""Which pieces of a mask are kept, and how its outline is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSpinBox, QWidget

if TYPE_CHECKING:
    from napari_localdisc.controller import Controller

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
        masks = controller.masks
        self.connected.toggled.connect(lambda on: masks.set_options(connected=on))
        self.smooth.toggled.connect(lambda on: masks.set_options(smooth=on))
        self.minimum_size.valueChanged.connect(
            lambda size: masks.set_options(minimum_size=int(size))
        )
        masks.changed.connect(self._show)
        controller.prompts_changed.connect(self._show)
        controller.image_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        options = self._controller.masks.options
        self.setEnabled(self._controller.image is not None)
        widgets = self.connected, self.smooth, self.minimum_size
        blockers = [QSignalBlocker(widget) for widget in widgets]
        self.connected.setChecked(options.connected)
        self.smooth.setChecked(options.smooth)
        self.minimum_size.setValue(options.minimum_size)
        for blocker in blockers:
            blocker.unblock()
