"""Plots of what was measured, in the colours of the theme."""

from typing import Any

from napari.utils.theme import get_theme
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_localdisc._qt.parts import Choice, follow, form
from napari_localdisc.viewer.measure import Measuring

HEIGHT = 190
_SMALL = 8


class PlotPanel(QWidget):
    """One plot of those that there are; out of sight while there is none."""

    def __init__(self, viewer: Any, measuring: Measuring) -> None:
        super().__init__()
        self._viewer, self._measuring = viewer, measuring
        self.choice = Choice(
            lambda: list(measuring.result.plots) if measuring.result else [],
            label="Plot",
            tooltip="What to plot",
        )
        self.canvas: Any = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(form(self.choice).native)
        self.choice.changed.connect(self.refresh)
        self._follows = True
        viewer.events.theme.connect(self.refresh)
        follow(self._show, measuring.changed)

    def _show(self) -> None:
        self.choice.reset_choices()
        self.refresh()

    def refresh(self, *_: Any) -> None:
        """Draw what is chosen, as it is now."""
        result = self._measuring.result
        plot = result.plots.get(self.choice.value) if result is not None else None
        self.setVisible(plot is not None)
        if plot is None:
            return
        if self.canvas is None:
            self._make_canvas()
        figure, theme = self.canvas.figure, get_theme(self._viewer.theme)
        figure.clear()
        figure.set_facecolor(theme.background.as_hex())
        axes = figure.subplots()
        plot.draw(axes, theme.text.as_hex(), _SMALL)
        self.canvas.draw_idle()

    def _make_canvas(self) -> None:
        from matplotlib.figure import Figure

        from napari_localdisc._qt.canvas import Canvas

        self.canvas = Canvas(Figure(layout="constrained"))
        self.canvas.setFixedHeight(HEIGHT)
        self.canvas.setMinimumWidth(100)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self.canvas)

    def leave(self) -> None:
        """Follow the theme no longer."""
        if self._follows:
            self._viewer.events.theme.disconnect(self.refresh)
        self._follows = False
