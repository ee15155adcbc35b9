"""Progress of long work, a button to cancel it, and the line that says what is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_localdisc.controller import Controller


class ProgressRow(QWidget):
    """Progress bar and Cancel, seen only while there is work, above the status."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._controller = controller
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop; everything stays as it was before")
        self.status = QLabel(controller.status)
        self.status.setWordWrap(True)
        self.status.setToolTip("What was done, and what can be done next")
        row = QHBoxLayout()
        row.addWidget(self.bar, stretch=1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addWidget(self.status)
        layout.addLayout(row)
        self.cancel_button.clicked.connect(self._cancel)
        controller.busy_changed.connect(self._show_busy)
        controller.progressed.connect(self._show_progress)
        controller.status_changed.connect(self._show_status)
        self._show_busy(controller.is_busy)

    def _cancel(self) -> None:
        self._controller.cancel()

    def _show_busy(self, busy: bool) -> None:
        self.bar.setRange(0, 0)  # moves to and fro until the number of tiles is known
        self.bar.setVisible(busy)
        self.cancel_button.setVisible(busy)

    def _show_status(self, text: str) -> None:
        self.status.setText(text)

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
