"""Before and after an adaptation, side by side; the user keeps one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg, NavigationToolbar2QT
from matplotlib.figure import Figure
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from napari_localdisc.training_choices import Comparison
    from napari_localdisc.training_control import TrainingControl

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
    parent : QWidget, optional
        As for every dialog.
    """

    def __init__(
        self,
        control: TrainingControl,
        comparison: Comparison,
        background: str,
        text: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._control, self._comparison = control, comparison
        self._text = text
        self.setWindowTitle("Before and after")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*_SIZE)
        self.figure = Figure(layout="constrained", facecolor=background)
        canvas = FigureCanvasQTAgg(self.figure)
        toolbar = _Toolbar(canvas, self, coordinates=False)
        self.view = QComboBox()
        self.view.addItems(list(comparison.views))
        self.view.setToolTip("What to compare")
        self.keep_old_button = QPushButton("Keep the old one")
        self.keep_old_button.setToolTip(f"Delete “{comparison.new}”")
        self.keep_new_button = QPushButton("Keep adapted")
        self.keep_new_button.setToolTip(f"Go on with “{comparison.new}”")
        top = QHBoxLayout()
        top.addWidget(QLabel("Show"))
        top.addWidget(self.view)
        top.addStretch()
        top.addWidget(toolbar)
        bottom = QHBoxLayout()
        bottom.addWidget(self.keep_old_button, stretch=1)
        bottom.addWidget(self.keep_new_button, stretch=1)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(canvas, stretch=1)
        layout.addLayout(bottom)
        self._pictures = []
        names = (f"before: {comparison.old}", f"after: {comparison.new}")
        before, after = self.figure.subplots(1, 2, sharex=True, sharey=True)
        first = next(iter(comparison.views.values()))
        for axes, name, picture in zip((before, after), names, first, strict=True):
            axes.set_axis_off()
            axes.set_title(name, color=text, fontsize=11)
            self._pictures.append(axes.imshow(picture))
        self.view.currentTextChanged.connect(self._show_view)
        self.keep_old_button.clicked.connect(self._keep_old)
        self.keep_new_button.clicked.connect(self._keep_new)

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
