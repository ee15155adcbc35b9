"""What happens while the mouse or the keyboard points at a widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QFocusEvent

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

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
