"""Content that is scrolled only where the window is too low for it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import QScrollArea, QStyle, QWidget


class Scrolling(QScrollArea):
    """As high as its content where there is room, and as wide in any case.

    Parameters
    ----------
    content : QWidget
        What may be scrolled, up and down.
    """

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._content = content
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setStyleSheet("Scrolling { border: none; padding: 0; }")  # else napari's
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)

    def sizeHint(self) -> QSize:
        """Ask for the content's height."""
        return self._content.sizeHint().expandedTo(self.minimumSizeHint())

    def minimumSizeHint(self) -> QSize:
        """Leave room for the scroll bar beside the content."""
        style = self.style()
        bar = style.pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent) if style else 0
        width = self._content.minimumSizeHint().width() + bar
        return QSize(width, super().minimumSizeHint().height())

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Ask for another height when the content grows or shrinks."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            asking: QWidget | None = self
            while asking is not None and not asking.isWindow():
                asking.updateGeometry()  # tabs do not pass it on by themselves
                asking = asking.parentWidget()
        return bool(super().eventFilter(watched, event))
