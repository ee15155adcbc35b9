"""Losses and validation measures while a network learns."""

from collections import defaultdict

from matplotlib.axes import Axes
from matplotlib.backends.backend_qtagg import NavigationToolbar2QT
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc._qt.canvas import Canvas
from napari_localdisc._qt.parts import button, row
from napari_localdisc.core.training.progress import Progress
from napari_localdisc.viewer.training.control import Comparison, TrainingControl

HEIGHT = 230
_SMALL = 8
_MOST_POINTS = 2000
_SMOOTHING = 0.9

Curve = tuple[list[int], list[float]]


class LossPlot(Canvas):
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

    def dress(self, background: str, text: str) -> None:
        """Take another theme's colours."""
        self._background, self._text = background, text
        self.refresh()

    def clear(self) -> None:
        """Forget everything."""
        self.loss: Curve = ([], [])
        self.smooth: list[float] = []
        self._terms: set[str] = set()
        self.validation: dict[str, Curve] = defaultdict(lambda: ([], []))
        self.refresh()

    def add(self, state: Progress) -> None:
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


_SIZE = (1000, 620)


class _Toolbar(NavigationToolbar2QT):
    """Pan and zoom, both pictures together."""

    toolitems: list[tuple[str, ...] | tuple[None, ...]] = [  # noqa: RUF012
        item
        for item in NavigationToolbar2QT.toolitems
        if item[0] in ("Home", "Pan", "Zoom")
    ]


class ComparisonDialog(QDialog):
    """What both models see in the current image.

    Parameters
    ----------
    control : TrainingControl
        Does what the user decides.
    comparison : Comparison
        What to show.
    background, text : str
        Colours of the theme.
    parent : QWidget
        The widget that it stays in front of.
    """

    def __init__(
        self,
        control: TrainingControl,
        comparison: Comparison,
        background: str,
        text: str,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._control, self._comparison = control, comparison
        self._text = text
        self.setWindowTitle("Before and after")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*_SIZE)
        self.figure = Figure(layout="constrained", facecolor=background)
        canvas = Canvas(self.figure)
        toolbar = _Toolbar(canvas, self, coordinates=False)  # type: ignore[no-untyped-call]
        self.view = QComboBox()
        self.view.addItems(list(comparison.views))
        self.view.setToolTip("What to compare")
        self.keep_old_button = button(
            "Keep the old one", f"Delete “{comparison.new}”", self._keep_old
        )
        self.keep_new_button = button(
            "Keep adapted", f"Go on with “{comparison.new}”", self._keep_new
        )
        layout = QVBoxLayout(self)
        layout.addLayout(row(QLabel("Show"), self.view, None, toolbar))
        layout.addWidget(canvas, stretch=1)
        layout.addLayout(row(self.keep_old_button, self.keep_new_button))
        self._pictures = []
        names = (f"before: {comparison.old}", f"after: {comparison.new}")
        before, after = self.figure.subplots(1, 2, sharex=True, sharey=True)
        first = next(iter(comparison.views.values()))
        for axes, name, picture in zip((before, after), names, first, strict=True):
            axes.set_axis_off()
            axes.set_title(name, color=text, fontsize=11)
            self._pictures.append(axes.imshow(picture))
        self.view.currentTextChanged.connect(self._show_view)

    def _show_view(self, name: str) -> None:
        pair = self._comparison.views[name]
        for shown, picture in zip(self._pictures, pair, strict=True):
            shown.set_data(picture)
        self.figure.canvas.draw_idle()

    def _keep_old(self) -> None:
        self._control.keep_old(self._comparison)
        self.close()

    def _keep_new(self) -> None:
        self._control.keep_new(self._comparison)
        self.close()
