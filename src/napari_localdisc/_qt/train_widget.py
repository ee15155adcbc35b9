"""The dock widget “Train a model”: train a new one, or adapt one to a camera."""

import platform
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import napari.viewer
from magicgui.widgets import CheckBox, ComboBox
from napari.utils.notifications import show_warning
from napari.utils.theme import get_theme
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QProgressBar, QTabWidget, QVBoxLayout, QWidget

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.training.progress import Progress
from napari_localdisc.viewer.training.control import Comparison, TrainingControl
from napari_localdisc.viewer.training.request import (
    PICTURE_SECONDS,
    TrainingRequest,
    can_resume,
)

from .help import HelpButton
from .parts import (
    BAR,
    Docked,
    Scrolling,
    StatusLine,
    button,
    form,
    row,
    tell_progress,
    viewer_of,
)
from .threads import report
from .training.forms import AdaptForm, ImagePicker, TrainForm

if TYPE_CHECKING:
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
        control = TrainingControl(viewer_of(napari_viewer), report)
        self.control = control
        self.picture_seconds = picture_seconds
        self.dialog: ComparisonDialog | None = None
        self.plot: LossPlot | None = None
        self._polls = 0
        self.picker = ImagePicker(control)
        self.train_form, self.adapt_form = TrainForm(), AdaptForm()
        self.tabs = QTabWidget()
        self.tabs.addTab(self.train_form, "Train a new model")
        self.tabs.addTab(self.adapt_form, "Adapt a model")
        self.device = ComboBox(
            choices=devices(),
            label="Device",
            tooltip="Where to train; auto takes a GPU if there is one",
        )
        self.start_button = button("Train", "", lambda: self._start(resume=False))
        self.stop_button = button(
            "Stop", "End now; the best model so far is kept", self._stop
        )
        self.resume_button = button(
            "Resume",
            "Go on with the model of this name, which was stopped or broke off.\n"
            "The time is the time in all.",
            lambda: self._start(resume=True),
        )
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(BAR)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        self.status = StatusLine()
        self.status.tell(control.status)
        self.keep_preview = CheckBox(
            text="Keep the clusters shown when it ends",
            tooltip="While a network learns, a layer shows its clusters of the "
            "selected image",
        )
        content = QWidget()
        self._layout = QVBoxLayout(content)
        for part in (self.picker, self.tabs, form(self.device).native):
            self._layout.addWidget(part)
        self._layout.addWidget(self.keep_preview.native)
        self._layout.addStretch()
        self.help_button = HelpButton("Train a model")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(2)
        layout.addWidget(Scrolling(content), stretch=1)
        # What is pressed and what is said is seen wherever the rest is scrolled to
        actions = row(
            self.start_button, self.stop_button, self.resume_button, self.help_button
        )
        actions.setContentsMargins(8, 2, 8, 0)
        layout.addLayout(actions)
        said = row(self.status)
        said.setContentsMargins(8, 0, 8, 0)
        layout.addWidget(self.bar)
        layout.addLayout(said)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MILLISECONDS)
        self._connect()
        self._show_running(False)
        threading.Thread(target=_warm_up, daemon=True).start()

    def _connect(self) -> None:
        control = self.control
        self.keep_preview.changed.connect(self._set_keeps_preview)
        self.tabs.currentChanged.connect(self._show_idle)
        for tab in (self.train_form, self.adapt_form):
            tab.name.changed.connect(self._show_idle)
        self._timer.timeout.connect(self._poll)
        control.running_changed.connect(self._show_running)
        control.progressed.connect(self._show_progress)
        control.status_changed.connect(self._show_status)
        control.stepped.connect(self._show_step)
        control.noted.connect(show_warning)
        control.compared.connect(self._on_compared)
        control.models_changed.connect(self._on_models_changed)
        # The window may be destroyed without this widget being told first
        self.destroyed.connect(control.close)

    # What the user does

    @property
    def form(self) -> TrainForm | AdaptForm:
        """The tab that is shown."""
        adapting = self.tabs.currentWidget() is self.adapt_form
        return self.adapt_form if adapting else self.train_form

    def request(self, resume: bool = False) -> TrainingRequest:
        """Read what the user chose.

        Raises
        ------
        TrainingError
            If something is missing.
        """
        return TrainingRequest(
            folder=self.picker.chosen_folder,
            device=self.device.value,
            resume=resume,
            picture_seconds=self.picture_seconds,
            **self.form.asked(),
        )

    def show_adapting(self, model: str | None) -> None:
        """Offer to adapt a model."""
        self.tabs.setCurrentWidget(self.adapt_form)
        if model is not None and not self.control.is_running:
            self.adapt_form.set_model(model)

    def show_training(self) -> None:
        """Offer to train a new model."""
        self.tabs.setCurrentWidget(self.train_form)

    def _start(self, resume: bool) -> None:
        try:
            request = self.request(resume)
        except TrainingError as error:
            self.control.fail(error)
            return
        self.control.start(request, self.picker.layers)
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
            self.control.viewer.events.theme.connect(self._on_theme)
            self._layout.insertWidget(0, self.plot)
        elif clear:
            self.plot.clear()

    def _on_theme(self, event: object = None) -> None:
        if self.plot is not None:
            self.plot.dress(*self._colours())

    def _colours(self) -> tuple[str, str]:
        theme = get_theme(self.control.viewer.theme)
        return theme.background.as_hex(), theme.text.as_hex()

    def _show_running(self, running: bool) -> None:
        fields = (self.picker, self.tabs, self.device.native, self.start_button)
        for widget in fields:
            widget.setEnabled(not running)
        self.stop_button.setEnabled(running)
        self.bar.setVisible(running)
        tell_progress(self.bar, 0, 0)
        if running or self.control.is_saving:
            self._timer.start()
        else:
            self._timer.stop()
        if not running and self.plot is not None:
            self.plot.refresh()
        self._show_idle()

    def _show_idle(self) -> None:
        idle = not self.control.is_running
        self.start_button.setText("Adapt" if self.form is self.adapt_form else "Train")
        self.resume_button.setEnabled(idle and can_resume(self.form.name.value))

    def _show_progress(self, share: float) -> None:
        tell_progress(self.bar, round(1000 * share), 0 if share < 0 else 1000)

    def _show_status(self, text: str) -> None:
        self.status.tell(text, self.control.has_failed)

    def _show_step(self, state: Progress) -> None:
        if self.plot is not None:
            self.plot.add(state)

    # What became of it

    def _on_compared(self, comparison: Comparison) -> None:
        from .training.plots import ComparisonDialog

        self.dialog = ComparisonDialog(
            self.control, comparison, *self._colours(), parent=self
        )
        self.dialog.destroyed.connect(self._on_decided)
        self.dialog.show()

    def _on_decided(self) -> None:
        self.dialog = None

    def _on_models_changed(self) -> None:
        name = self.form.name.value
        self.adapt_form.set_model(self.adapt_form.model.value)
        self.form.name.value = name  # so that Resume goes on with it
        self._show_idle()

    # The end

    def leave(self) -> None:
        """Stop, which keeps the best."""
        self._timer.stop()
        if self.plot is not None:
            self.control.viewer.events.theme.disconnect(self._on_theme)
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
