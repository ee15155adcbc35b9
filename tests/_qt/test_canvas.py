"""A figure of matplotlib in a window that may go at any time."""

from matplotlib.figure import Figure
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_localdisc._qt.canvas import Canvas


def drawn(canvas) -> list:
    """Note each drawing of a canvas."""
    seen: list = []
    canvas.mpl_connect("draw_event", seen.append)
    return seen


def test_what_is_asked_for_several_times_is_drawn_once(qtbot):
    canvas = Canvas(Figure())
    qtbot.addWidget(canvas)
    canvas.resize(90, 60)
    seen = drawn(canvas)
    for _ in range(3):
        canvas.draw_idle()
    assert not seen
    qtbot.waitUntil(lambda: bool(seen))
    qtbot.wait(30)
    assert len(seen) == 1


def test_a_window_that_is_gone_is_drawn_no_more(qtbot):
    canvas = Canvas(Figure())
    seen = drawn(canvas)
    with qtbot.capture_exceptions() as exceptions:
        canvas.draw_idle()
        canvas.deleteLater()
        QApplication.sendPostedEvents(canvas, QEvent.Type.DeferredDelete.value)
        qtbot.wait(30)
    assert not seen
    assert not exceptions
