"""A real viewer with the widget in its dock, and clicks on its canvas."""

from collections.abc import Callable

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QEnterEvent, QMouseEvent, QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_localdisc._qt import MainWidget

PLUGIN, WIDGET = "napari-localdisc", "Local discrimination"


@pytest.fixture
def viewer(make_napari_viewer, models):
    """A viewer in a window that is shown, so that its canvas has a size."""
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1400, 900)  # a pixel of the image is some of the canvas
    return viewer


@pytest.fixture
def open_widget() -> Callable:
    """Open the widget as the menu does, with the small model chosen."""

    def opened(viewer) -> MainWidget:
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
        widget.controller.set_model("tiny")
        return widget

    return opened


@pytest.fixture
def docked() -> Callable:
    """Find the widgets of a kind that a viewer's window has."""

    def of(viewer, kind: type) -> list:
        return viewer.window._qt_window.findChildren(kind)

    return of


@pytest.fixture
def wait(qtbot) -> Callable:
    """Wait until a widget's work is done."""

    def until_done(widget: MainWidget) -> None:
        qtbot.waitUntil(
            lambda: not widget.controller.workspace.work.is_busy, timeout=20_000
        )

    return until_done


@pytest.fixture(autouse=True)
def notifications() -> list:
    """What napari has told the user, newest last."""
    notification_manager.records.clear()
    return notification_manager.records


class Mouse:
    """Clicks on a viewer's canvas at points of the world, through Qt."""

    def __init__(self, qtbot, viewer) -> None:
        self._qtbot = qtbot
        self._viewer = viewer
        self._canvas = viewer.window._qt_viewer.canvas

    def rest(self) -> None:
        """Wait until the canvas keeps its size: docks find theirs a little later."""
        native = self._canvas.native
        sizes = [None, native.size()]
        while sizes[-1] != sizes[-2]:
            self._qtbot.wait(50)
            sizes.append(native.size())

    def at(self, world) -> QPoint:
        """Canvas pixel that shows a point of the world."""
        shown = [world[axis] for axis in self._viewer.dims.displayed]
        x, y = self._transform.map(shown[::-1])[:2]
        return QPoint(round(float(x)), round(float(y)))

    def under(self, point: QPoint) -> np.ndarray:
        """Return the point of the world that a canvas pixel shows."""
        world = np.array(self._viewer.dims.point, float)
        x, y = self._transform.imap([point.x(), point.y()])[:2]
        world[list(self._viewer.dims.displayed)] = y, x
        return world

    @property
    def _transform(self):
        view = self._canvas.view
        return view.transform * view.scene.transform

    def click(self, world, modifier=Qt.KeyboardModifier.NoModifier) -> np.ndarray:
        """Click; return the point of the world that the canvas pixel stands for."""
        point = self.at(world)
        # Before the click: a new layer may change the size of the canvas
        hit = self.under(point)
        self._qtbot.mouseMove(self._canvas.native, point)
        self._qtbot.mouseClick(
            self._canvas.native, Qt.MouseButton.LeftButton, modifier, point
        )
        return hit

    def shift_click(self, world) -> np.ndarray:
        """Click with the Shift key held."""
        return self.click(world, Qt.KeyboardModifier.ShiftModifier)

    def double_click(self, world) -> None:
        """Press, release, press again quickly, release."""
        button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self.click(world)
        self._qtbot.mouseDClick(self._canvas.native, button, none, self.at(world))
        self._qtbot.mouseRelease(self._canvas.native, button, none, self.at(world))

    def drag(
        self, start, by: tuple[int, int], held=Qt.MouseButton.LeftButton
    ) -> tuple[np.ndarray, np.ndarray]:
        """Press, move by (x, y) canvas pixels in steps, release.

        Returns the points of the world that were pressed and released at.
        """
        native = self._canvas.native
        none = Qt.MouseButton.NoButton
        self._qtbot.mouseMove(native, self.at(start))
        self.rest()  # what the pointer brings may change the size of the canvas
        first = self.at(start)
        last = first + QPoint(*by)
        hit = []
        # QTest's own moves do not say that a button is held
        for kind, at, button, buttons in (
            (QEvent.Type.MouseMove, first, none, none),
            (QEvent.Type.MouseButtonPress, first, held, held),
            (QEvent.Type.MouseMove, (first + last) / 2, none, held),
            (QEvent.Type.MouseMove, last, none, held),
            (QEvent.Type.MouseButtonRelease, last, held, none),
        ):
            where = native.mapToGlobal(at)
            # What comes meanwhile may change the size of the canvas
            hit.append(self.under(at))
            event = QMouseEvent(
                kind,
                QPointF(at),
                QPointF(where),
                button,
                buttons,
                Qt.KeyboardModifier.NoModifier,
            )
            QApplication.sendEvent(native, event)
            self._qtbot.wait(20)  # as a hand: napari answers moves one by one
        return hit[1], hit[-1]

    def wheel(self, at, degrees: int) -> None:
        """Turn the wheel over a point of the world."""
        native, place = self._canvas.native, QPointF(self.at(at))
        turned, none = QPoint(0, 8 * degrees), Qt.MouseButton.NoButton
        event = QWheelEvent(
            place,
            QPointF(native.mapToGlobal(place.toPoint())),
            turned,
            turned,
            none,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(native, event)


@pytest.fixture
def mouse(qtbot) -> Callable:
    """Make a mouse for a viewer whose camera is at rest."""

    def made(viewer) -> Mouse:
        hand = Mouse(qtbot, viewer)
        hand.rest()
        viewer.reset_view()
        qtbot.wait(50)
        return hand

    return made


@pytest.fixture
def point_at() -> Callable:
    """Bring the mouse to a widget."""

    def pointed(widget) -> None:
        at = QPointF(widget.rect().center())
        QApplication.sendEvent(widget, QEnterEvent(at, at, at))

    return pointed
