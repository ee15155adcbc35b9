"""A figure of matplotlib in a window."""

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from qtpy.QtCore import QTimer


class Canvas(FigureCanvasQTAgg):
    """A canvas that draws no more once its window is gone.

    What is to be drawn later has a timer of the canvas, which goes with it; matplotlib
    before 3.11 asks a canvas for its size that PySide6 has deleted.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What it shows.
    """

    _later: QTimer | None = None

    def __init__(self, figure: Figure) -> None:
        super().__init__(figure)  # type: ignore[no-untyped-call]
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._draw_now)

    def draw_idle(self) -> None:
        """Draw when there is time, once for all that asked."""
        if self._later is not None:
            self._later.start()

    def _draw_now(self) -> None:
        if self.width() > 0 and self.height() > 0:
            self.draw()  # type: ignore[no-untyped-call]
