"""The dock widget “Train a model”: train a new one, or adapt one to a camera."""

from __future__ import annotations

import platform
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_warning
from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.viewer.training.control import TrainingControl
from napari_localdisc.viewer.training.request import (
    PICTURE_SECONDS,
    Comparison,
    TrainingChoices,
    can_resume,
)

from .main_widget import MainWidget
from .parts import Docked, Scrolling, viewer_of
from .threads import report
from .training.forms import AdaptForm, ImagePicker, TrainForm

if TYPE_CHECKING:
    import napari.viewer

    from napari_localdisc.viewer.training.job import Stepped

    from .training.plots import ComparisonDialog, LossPlot

POLL_MILLISECONDS = 150
_DRAW_EVERY = 7
"""Polls between two drawings of the plot."""


class TrainWidget(Docked):
    """A thin skin on `TrainingControl`; closing it stops, which keeps the best.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the widget is docked in.
    picture_seconds : float
        Time between two pictures of the current image.
    """

    def __init__(
        self,
        napari_viewer: napari.viewer.Viewer,
        picture_seconds: float = PICTURE_SECONDS,
    ) -> None:
        super().__init__()
        control = TrainingControl(viewer_of(napari_viewer), report, picture_seconds)
        self.control = control
        self.dialog: ComparisonDialog | None = None
        self.plot: LossPlot | None = None
        self._polls = 0
        self.picker = ImagePicker(control)
        self.train_form, self.adapt_form = TrainForm(), AdaptForm()
        self.tabs = QTabWidget()
        self.tabs.addTab(self.train_form, "Train a new model")
        self.tabs.addTab(self.adapt_form, "Adapt a model")
        self.device = QComboBox()
        self.device.addItems(devices())
        self.device.setToolTip("Where to train; auto takes a GPU if there is one")
        self.start_button = QPushButton("Train")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End now; the best model so far is kept")
        self.resume_button = QPushButton("Resume")
        self.resume_button.setToolTip(
            "Go on with the model of this name, which was stopped or broke off.\n"
            "The time is the time in all."
        )
        self.keep_preview = QCheckBox("Keep the clusters shown when it ends")
        self.keep_preview.setToolTip(
            "While a network learns, a layer shows its clusters of the selected image"
        )
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.status = QLabel(control.status)
        self.status.setWordWrap(True)
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MILLISECONDS)
        self._connect()
        self._show_running(False)
        threading.Thread(target=_warm_up, daemon=True).start()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Device", self.device)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        buttons = QHBoxLayout()
        for button in (self.start_button, self.stop_button, self.resume_button):
            buttons.addWidget(button)
        content = QWidget()
        self._layout = QVBoxLayout(content)
        self._layout.addWidget(self.picker)
        self._layout.addWidget(self.tabs)
        self._layout.addLayout(form)
        self._layout.addLayout(buttons)
        self._layout.addWidget(self.bar)
        self._layout.addWidget(self.status)
        self._layout.addWidget(self.keep_preview)
        self._layout.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(Scrolling(content))

    def _connect(self) -> None:
        control = self.control
        self.start_button.clicked.connect(self._start)
        self.stop_button.clicked.connect(self._stop)
        self.resume_button.clicked.connect(self._resume)
        self.keep_preview.toggled.connect(self._set_keeps_preview)
        self.tabs.currentChanged.connect(self._show_idle)
        for form in (self.train_form, self.adapt_form):
            form.name.textChanged.connect(self._show_idle)
        self._timer.timeout.connect(self._poll)
        control.running_changed.connect(self._show_running)
        control.progressed.connect(self._show_progress)
        control.status_changed.connect(self._show_status)
        control.stepped.connect(self._show_step)
        control.noted.connect(show_warning)
        control.finished.connect(self._on_finished)
        control.compared.connect(self._on_compared)
        control.kept.connect(self._on_kept)
        control.dropped.connect(self._on_dropped)
        # The window may be destroyed without this widget being told first
        self.destroyed.connect(control.close)

    # What the user does

    @property
    def form(self) -> TrainForm | AdaptForm:
        """The tab that is shown."""
        adapting = self.tabs.currentWidget() is self.adapt_form
        return self.adapt_form if adapting else self.train_form

    def choices(self) -> TrainingChoices:
        """Read what the user chose."""
        return TrainingChoices(
            layers=self.picker.chosen_layers,
            folder=self.picker.chosen_folder,
            device=self.device.currentText(),
            **self.form.choices(),
        )

    def show_adapting(self, model: str | None) -> None:
        """Offer to adapt a model."""
        self.tabs.setCurrentWidget(self.adapt_form)
        if model is not None and not self.control.is_running:
            self.adapt_form.set_model(model)

    def show_training(self) -> None:
        """Offer to train a new model."""
        self.tabs.setCurrentWidget(self.train_form)

    def _start(self) -> None:
        self._begin(resume=False)

    def _resume(self) -> None:
        self._begin(resume=True)

    def _begin(self, resume: bool) -> None:
        try:
            choices = self.choices()
        except TrainingError as error:
            report(error)
            return
        self.control.start(choices, resume)
        if self.control.is_running:
            self._ready_plot(clear=not resume)

    def _stop(self) -> None:
        self.stop_button.setEnabled(False)
        self.control.stop()

    def _set_keeps_preview(self, keep: bool) -> None:
        self.control.keeps_preview = keep

    # What is shown

    def _poll(self) -> None:
        self.control.poll()
        self._polls += 1
        if self.plot is not None and self._polls % _DRAW_EVERY == 0:
            self.plot.refresh()

    def _ready_plot(self, clear: bool) -> None:
        if self.plot is None:
            from .training.plots import LossPlot

            self.plot = LossPlot(*self._colours())
            self._layout.insertWidget(self._layout.count() - 2, self.plot)
        elif clear:
            self.plot.clear()

    def _colours(self) -> tuple[str, str]:
        theme = get_theme(self.control.viewer.theme)
        return theme.background.as_hex(), theme.text.as_hex()

    def _show_running(self, running: bool) -> None:
        for widget in (self.picker, self.tabs, self.device, self.start_button):
            widget.setEnabled(not running)
        self.stop_button.setEnabled(running)
        self.bar.setVisible(running)
        self.bar.setRange(0, 0)
        if running:
            self._timer.start()
        else:
            self._timer.stop()
            if self.plot is not None:
                self.plot.refresh()
        self._show_idle()

    def _show_idle(self) -> None:
        idle = not self.control.is_running
        name = self.form.name.text()
        self.start_button.setText("Adapt" if self.form is self.adapt_form else "Train")
        self.resume_button.setEnabled(idle and can_resume(name))

    def _show_progress(self, share: float) -> None:
        self.bar.setRange(0, 0 if share < 0 else 1000)
        self.bar.setValue(round(1000 * share))

    def _show_status(self, text: str) -> None:
        self.status.setText(text)

    def _show_step(self, state: Stepped) -> None:
        if self.plot is not None:
            self.plot.add(state)

    # What became of it

    def _on_finished(self, name: str) -> None:
        self._models_changed()
        self._show_idle()

    def _on_compared(self, comparison: Comparison) -> None:
        from .training.plots import ComparisonDialog

        self.dialog = ComparisonDialog(
            self.control, comparison, *self._colours(), parent=self
        )
        self.dialog.destroyed.connect(self._on_decided)
        self.dialog.show()

    def _on_decided(self) -> None:
        self.dialog = None

    def _on_kept(self, name: str) -> None:
        self._models_changed()
        for widget in self._main_widgets():
            widget.controller.set_model(name)

    def _on_dropped(self, name: str) -> None:
        self._models_changed()

    def _models_changed(self) -> None:
        """Let every list of models in this window look again."""
        name = self.form.name.text()
        self.adapt_form.refresh()
        self.form.name.setText(name)  # so that Resume goes on with it
        for widget in self._main_widgets():
            widget.controller.refresh_models()

    def _main_widgets(self) -> list[MainWidget]:
        top: QWidget = self
        while (parent := top.parentWidget()) is not None:
            top = parent
        return list(top.findChildren(MainWidget))

    # The end

    def leave(self) -> None:
        """Stop, which keeps the best."""
        self._timer.stop()
        self.control.close()


def _warm_up() -> None:
    """Import what plots need: the first time it lists all fonts, which takes long."""
    import matplotlib.font_manager  # noqa: F401


def devices() -> list[str]:
    """Return devices that are likely to be there, without importing torch."""
    found = ["auto", "cpu"]
    torch = sys.modules.get("torch")
    if torch is not None:
        has_cuda = torch.cuda.is_available()
    else:
        drivers = ("/dev/nvidia0", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")
        has_cuda = any(Path(driver).exists() for driver in drivers)
    if has_cuda:
        found.append("cuda")
    if sys.platform == "darwin" and platform.machine() == "arm64":
        found.append("mps")
    return found
