"""A titled part of the dock widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QStyle, QVBoxLayout, QWidget

if TYPE_CHECKING:
    import napari.viewer


class Section(QFrame):
    """A heading, one line of explanation, and what belongs under it.

    Parameters
    ----------
    title : str
        The heading.
    explanation : str
        Small print under it; none if empty.
    parent : QWidget, optional
        As for every widget.
    """

    def __init__(
        self, title: str, explanation: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(10, 8, 10, 10)
        self.body.setSpacing(6)
        heading = QLabel(title)
        font = heading.font()
        font.setBold(True)
        heading.setFont(font)
        self.body.addWidget(heading)
        if explanation:
            self.body.addWidget(small_print(explanation))


def small_print(text: str) -> QLabel:
    """Return a dimmed label that wraps its lines."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setStyleSheet("color: palette(mid);")
    return label


def viewer_of(napari_viewer: napari.viewer.Viewer) -> Any:
    """Return the viewer behind napari's proxy, whose layers are those of events."""
    return getattr(napari_viewer, "__wrapped__", napari_viewer)


class Docked(QWidget):
    """A widget of napari's docks; `leave` is called when it is closed or taken out."""

    def leave(self) -> None:
        """End the work; may be called more than once."""
        raise NotImplementedError

    def event(self, event: Any) -> bool:
        """End the work when napari takes the widget out of its dock."""
        handled = bool(super().event(event))
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
        return handled

    def closeEvent(self, event: Any) -> None:
        """End the work when the widget is closed by itself."""
        self._leave()
        super().closeEvent(event)

    def _leave(self) -> None:
        self.leave()
        self.setEnabled(False)


_BY_KEYS = Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason
_END = QEvent.Type.Leave, QEvent.Type.FocusOut, QEvent.Type.Hide


class Pointing(QObject):
    """Calls when the mouse, or the focus by a key, comes to a widget, and when it goes.

    Parameters
    ----------
    widget : QWidget
        What is pointed at; also the parent.
    begin, end : callable
        What to do.
    """

    def __init__(
        self, widget: QWidget, begin: Callable[[], None], end: Callable[[], None]
    ) -> None:
        super().__init__(widget)
        self._widget, self._begin, self._end = widget, begin, end
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Listen only."""
        if event is None:
            return False
        kind = event.type()
        begins = kind == QEvent.Type.Enter
        if kind == QEvent.Type.FocusIn and isinstance(event, QFocusEvent):
            begins = event.reason() in _BY_KEYS
        if kind in _END:
            self._end()
        elif begins and self._widget.isEnabled():
            self._begin()
        return False


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
