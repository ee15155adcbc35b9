"""Losses and validation measures while a network learns."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_localdisc.training_messages import Stepped

HEIGHT = 230
_SMALL = 8
_MOST_POINTS = 2000
_SMOOTHING = 0.9

Curve = tuple[list[int], list[float]]


class LossPlot(FigureCanvasQTAgg):
    """The loss above, what validation measured below.

    Parameters
    ----------
    background, text : str
        Colours of the theme.
    """

    def __init__(self, background: str, text: str) -> None:
        figure = Figure(layout="constrained")
        super().__init__(figure)
        self.setFixedHeight(HEIGHT)
        self.setMinimumWidth(100)
        self._background, self._text = background, text
        self.losses, self.measures = figure.subplots(2, 1, sharex=True)
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.loss: Curve = ([], [])
        self.smooth: list[float] = []
        self._terms: set[str] = set()
        self.validation: dict[str, Curve] = defaultdict(lambda: ([], []))
        self._draw()

    def add(self, state: Stepped) -> None:
        """Take in a step."""
        total = state.losses["total"]
        # Where a stage adds terms to the sum, the curve begins anew
        same = self.smooth and self._terms == state.losses.keys()
        last = self.smooth[-1] if same else total
        self._terms = set(state.losses)
        self.loss[0].append(state.step)
        self.loss[1].append(total)
        self.smooth.append(_SMOOTHING * last + (1 - _SMOOTHING) * total)
        for name, value in (state.validation or {}).items():
            self.validation[name][0].append(state.step)
            self.validation[name][1].append(value)
        if len(self.smooth) > _MOST_POINTS:  # a long training needs no finer curve
            for points in (*self.loss, self.smooth):
                del points[1::2]

    def refresh(self) -> None:
        """Draw what was added."""
        self._draw()

    def _draw(self) -> None:
        self.figure.set_facecolor(self._background)
        for axes, title in ((self.losses, "loss"), (self.measures, "validation")):
            axes.clear()
            self._dress(axes, title)
            axes.axison = bool(self.loss[0])  # no scales of nothing
        steps, totals = self.loss
        self.losses.plot(steps, totals, color="#56b4e9", alpha=0.3, linewidth=1)
        self.losses.plot(steps, self.smooth, color="#56b4e9", linewidth=1.6)
        colours = {"score": self._text, "drawn": "#e69f00", "fitted": "#009e73"}
        for name, (at, values) in self.validation.items():
            self.measures.plot(
                at,
                values,
                marker=".",
                linewidth=1.2,
                color=colours.get(name, "#cc79a7"),
                label=name,
            )
        self.measures.set_ylim(0, 1)
        self.measures.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if self.validation:
            legend = self.measures.legend(
                fontsize=_SMALL - 1, ncols=4, frameon=False, handlelength=1
            )
            for text in legend.get_texts():
                text.set_color(self._text)
        self.draw_idle()

    def _dress(self, axes: Axes, title: str) -> None:
        axes.set_facecolor(self._background)
        axes.set_title(
            title,
            fontsize=_SMALL,
            color=self._text,
            loc="left",
            pad=3,
            fontweight="bold",
        )
        axes.tick_params(colors=self._text, labelsize=_SMALL)
        for name, side in axes.spines.items():
            side.set_visible(name in ("left", "bottom"))
            side.set_color(self._text)
