"""What panels are made of: sections, rows, forms, buttons and lists of layers."""

from collections.abc import Callable, Iterable
from typing import Any

import napari.viewer
import qtpy
from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container, FileEdit
from magicgui.widgets.bases import ButtonWidget, Widget
from psygnal import SignalInstance
from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc.viewer.preferences import PLUGIN

from .garbage import collect_where_windows_are
from .grids import keep_no_old_grids, make_one_grid_for_all_that_is_shown
from .opengl import keep_to_own_context
from .thumbnails import keep_their_pixels

CHARACTERS = 12
"""Least width of a list; longer names are shown when it is opened."""


class Section(QFrame):
    """A heading, one line of explanation, and what belongs under it.

    Parameters
    ----------
    title : str
        The heading; none if empty.
    explanation : str
        Small print under it; none if empty.
    """

    def __init__(self, title: str, explanation: str = "") -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(8, 4, 8, 6)
        self.body.setSpacing(4)
        self.heading = QLabel(title)
        font = self.heading.font()
        font.setBold(True)
        self.heading.setFont(font)
        self.add(self.heading)
        self.heading.setVisible(bool(title))
        if explanation:
            self.add(small_print(explanation))

    def add(self, *parts: QWidget | Widget | None) -> None:
        """Put a widget, or a `row` of several, below what there is."""
        if len(parts) == 1 and parts[0] is not None:
            self.body.addWidget(native(parts[0]))
        else:
            self.body.addLayout(row(*parts))


def native(part: QWidget | Widget) -> QWidget:
    """Return a widget of Qt's or magicgui's as one of Qt's."""
    qt: QWidget = part.native if isinstance(part, Widget) else part
    return qt


def row(*parts: QWidget | Widget | None) -> QHBoxLayout:
    """Return widgets beside each other; None is free room."""
    layout = QHBoxLayout()
    for part in parts:
        if part is None:
            layout.addStretch()
        else:
            layout.addWidget(native(part))
    return layout


def small_print(text: str) -> QLabel:
    """Return a label in italics that wraps its lines."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setStyleSheet("font-style: italic;")  # dimmed, a light theme hides it
    return label


def button(
    text: str, tooltip: str, press: Callable[[], object] | None = None
) -> QPushButton:
    """Return a button that calls ``press``, if anything."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    if press is not None:
        made.clicked.connect(lambda: press())
    return made


def form(
    *fields: Widget, layout: str = "vertical", labels: bool = True
) -> Container[Widget]:
    """Return fields, each after its label, which screen readers say as well."""
    made: Container[Widget] = Container(layout=layout, labels=labels)
    made.extend(fields)  # one by one, else labels are not made equally wide
    made.margins = (0, 0, 0, 0)
    for field in fields:
        if not isinstance(field, ButtonWidget):  # these say their text
            field.native.setAccessibleName(field.label)
    if layout == "vertical":  # magicgui does not ask for the width in napari's font
        width = 0.6 * max(len(field.label) for field in fields)
        made.native.setStyleSheet(f"QLabel {{ min-width: {width}em; }}")
    return made


def path_field(
    label: str, what: str, kinds: str | None = None, tooltip: str = ""
) -> FileEdit:
    """Return a field for a path with a small button for “what” to choose.

    It asks for a file of some kinds, given as Qt's dialogs take them, or for a folder.
    """
    mode = FileDialogMode("d" if kinds is None else "r")
    field = FileEdit(mode, kinds, label=label, tooltip=tooltip, nullable=True)
    field.choose_btn.text = "…"
    field.choose_btn.max_width = 32
    field.choose_btn.tooltip = what
    field.line_edit.native.setAccessibleName(what)
    return field


def path_text(field: FileEdit) -> str:
    """Return what is written in a path's field: an address is no path."""
    return field.line_edit.value.strip()


class Choice(ComboBox):
    """A list to choose from that is made anew by `reset_choices`, and when pointed at.

    magicgui's own lists of layers take all of a type, also those that we made.

    Parameters
    ----------
    offered : callable
        Returns what there is now: layers or texts.
    current : callable, optional
        Returns which of it is chosen; by default what was, else the first.
    placeholder : str
        Shown while nothing is chosen.
    **options
        Of magicgui's widget, such as ``label`` and ``tooltip``.
    """

    def __init__(
        self,
        offered: Callable[[], Iterable[Any]],
        current: Callable[[], Any] | None = None,
        placeholder: str = "",
        **options: Any,
    ) -> None:
        self._offered, self._chosen = offered, current
        super().__init__(**options)
        narrow(self)
        self.native.setPlaceholderText(placeholder)
        Pointing(self.native, self.reset_choices)

    def reset_choices(self, *_: Any) -> None:
        """Look again at what there is; nobody is told."""
        offered = list(self._offered())
        chosen = self._chosen() if self._chosen is not None else self.value
        at = offered.index(chosen) if chosen in offered else -1
        if at < 0 and self._chosen is None:
            at = min(0, len(offered) - 1)
        with self.changed.blocked():
            self.native.clear()
            for choice in offered:
                self.native.addItem(str(choice), choice)
            self.native.setCurrentIndex(at)
        self.enabled = bool(offered)


def narrow(box: ComboBox) -> None:
    """Let a list be narrower than its longest text, and as wide as there is room."""
    box.native.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    box.native.setMinimumContentsLength(CHARACTERS)
    box.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


def follow(show: Callable[..., None], *signals: SignalInstance) -> None:
    """Show something now, and again after each of some signals."""
    for signal in signals:
        signal.connect(show)
    show()


def viewer_of(napari_viewer: napari.viewer.Viewer) -> Any:
    """Return the viewer behind napari's proxy, whose layers are those of events."""
    return getattr(napari_viewer, "__wrapped__", napari_viewer)


def open_widget(viewer: Any, name: str) -> Any:
    """Open a widget of this plugin in a dock, in front of the others; return it."""
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, name, tabify=True)
    dock.show()
    dock.raise_()
    return widget


def tell_progress(bar: QProgressBar, done: int, total: int) -> None:
    """Show steps done soon; without a number of steps, 0, it moves to and fro.

    By itself a bar has all of the window drawn at once, canvas included, and waits.
    """
    bar.setUpdatesEnabled(False)
    bar.setRange(0, total)
    bar.setValue(done)
    bar.setUpdatesEnabled(True)


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that a widget is in."""
    parent: Any = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


_FIRST = 1
"""Qt's high priority of an event, as a number, which bindings agree on."""

_PLACED = QEvent.Type.User
"""Sent to a widget of ours when its dock has a place."""


class Docked(QWidget):
    """A widget of napari's docks; `leave` is called when it is closed or taken out."""

    def __init__(self) -> None:
        super().__init__()
        keep_to_own_context()
        keep_their_pixels()
        keep_no_old_grids()
        make_one_grid_for_all_that_is_shown()
        collect_where_windows_are()

    def leave(self) -> None:
        """End the work; may be called more than once."""
        raise NotImplementedError

    def event(self, event: Any) -> bool:
        """End the work when there is no more window around it."""
        handled = bool(super().event(event))
        kind = event.type()
        undocked = kind == QEvent.Type.ParentChange and self.parent() is None
        if undocked or kind == QEvent.Type.Close:
            self.leave()
            self.setEnabled(False)
            if undocked and qtpy.PYSIDE6:
                # Python alone has it now, and does not see that what PySide6's signals
                # are connected to leads back to it: it would stay for ever
                self.deleteLater()
        elif kind == QEvent.Type.ParentChange:
            # Once napari has put the dock into its place, and before the window is
            # made higher for docks that lie below each other
            QApplication.postEvent(self, QEvent(_PLACED), _FIRST)
        elif kind == _PLACED:
            self._join()
        return handled

    def _join(self) -> None:
        """Share the place of our other docks, in front: together they are too high."""
        dock = dock_of(self)
        window = dock.parent() if dock is not None else None
        if dock is not None:
            # On the tab, where the plugin's name would leave no room for it
            dock.setWindowTitle(dock.windowTitle().partition(" (")[0])
        if dock is None or not isinstance(window, QMainWindow) or dock.isFloating():
            return
        area = window.dockWidgetArea(dock)
        others = [
            other
            for other in map(dock_of, window.findChildren(Docked))
            if other not in (None, dock)
            and not other.isFloating()
            and window.dockWidgetArea(other) == area
        ]
        if others and not window.tabifiedDockWidgets(dock):
            window.tabifyDockWidget(others[-1], dock)
            dock.show()
            dock.raise_()


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
        self,
        widget: QWidget,
        begin: Callable[[], None],
        end: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(widget)
        self._widget, self._begin, self._end = widget, begin, end
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Listen only."""
        kind = event.type() if event is not None else None
        if kind == QEvent.Type.FocusIn and isinstance(event, QFocusEvent):
            begins = event.reason() in _BY_KEYS
        else:
            begins = kind == QEvent.Type.Enter
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
        What is scrolled.
    asks_hidden : bool
        Whether it asks for that height while it is hidden, as a page of tabs.
    """

    def __init__(self, content: QWidget, asks_hidden: bool = True) -> None:
        super().__init__()
        self._content = content
        self._asks_hidden = asks_hidden
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setStyleSheet("Scrolling { border: none; padding: 0; }")  # else napari's
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)

    def sizeHint(self) -> QSize:
        """Ask for the content's height."""
        wanted, least = self._content.sizeHint(), self.minimumSizeHint()
        if self.isHidden() and not self._asks_hidden:
            wanted.setHeight(0)
        return wanted.expandedTo(least)

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


def bring_into_sight(widget: QWidget) -> None:
    """Scroll the page that a widget is on until it is seen."""
    around = widget.parentWidget()
    while around is not None and not isinstance(around, QScrollArea):
        around = around.parentWidget()
    if around is not None and widget.isVisible():
        around.ensureWidgetVisible(widget)


_LINES = 2
"""Of text that there is always room for, so that nothing moves when it comes."""

BAR = 6
"""Pixels of the height of a bar without text."""


class StatusLine(QLabel):
    """What was done and what to do next; what went wrong stands out."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setMinimumHeight(_LINES * self.fontMetrics().lineSpacing() + 2)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def tell(self, text: str, is_error: bool = False) -> None:
        """Show a text; of an error with a sign, not only in another colour."""
        self.setText(f"⚠ {text}" if is_error else text)
        self.setStyleSheet("QLabel { color: #d9541e; }" if is_error else "")
