"""How a named structure becomes a mask: sliders and boxes with a live outline."""

from magicgui.widgets import CheckBox, FloatSpinBox
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)
from superqt import QLabeledDoubleSlider
from superqt.utils import signals_blocked

from napari_localdisc._qt.parts import button, follow, form, row
from napari_localdisc.core.embedding.tuning import StructureOptions
from napari_localdisc.viewer.controller import Controller

from .class_table import SWATCH

LARGEST, WIDEST = 10_000_000, 100
"""Pixels that the smallest piece may have to have, and that a gap may be wide."""

DECIMALS = 2

TUNE_WIDTH = 26
"""Pixels of the button that only opens a menu."""


class TuningForm(QWidget):
    """Fields of `StructureOptions`, each named as there; hidden while none is tuned."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._tuning = controller.tuning
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0, 1)
        self.threshold.setDecimals(DECIMALS)
        self.threshold.setAccessibleName("Threshold of the structure")
        self.threshold.setToolTip(
            "How probable a pixel must be to belong to it; 0.5 by default"
        )
        self.fill_holes, self.largest_only = _boxes()
        self.minimum_size, self.bridge_gaps = _numbers()
        self.boxes = form(self.fill_holes, self.largest_only, layout="horizontal")
        self.numbers = form(self.minimum_size, self.bridge_gaps, layout="horizontal")
        self.effect = QLabel()
        self.effect.setWordWrap(True)
        self.effect.setToolTip("How large it is now, and by default")
        self.reset_button = button(
            "As by default", "Cut it at 0.5, and leave it as it is", self._tuning.reset
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SWATCH + 6, 0, 0, 6)
        layout.addLayout(row(QLabel("Threshold"), self.threshold))
        layout.addWidget(self.numbers.native)
        layout.addLayout(row(self.boxes, None, self.reset_button))
        layout.addWidget(self.effect)
        self.threshold.valueChanged.connect(self._on_threshold)
        self.threshold.sliderReleased.connect(self._write_threshold)
        for fields in (self.boxes, self.numbers):
            fields.changed.connect(self._write)
        follow(self._show, self._tuning.changed)

    def _on_threshold(self, value: float) -> None:
        if self.threshold.isSliderDown():
            self._tuning.preview(threshold=round(float(value), DECIMALS))
        else:
            self._write_threshold()

    def _write_threshold(self) -> None:
        value = round(float(self.threshold.value()), DECIMALS)
        self._tuning.set_options(threshold=value)

    def _write(self) -> None:
        self._tuning.set_options(
            fill_holes=bool(self.fill_holes.value),
            largest_only=bool(self.largest_only.value),
            minimum_size=int(self.minimum_size.value),
            bridge_gaps=int(self.bridge_gaps.value),
        )

    def _show(self) -> None:
        name, options = self._tuning.name, self._tuning.options
        self.setVisible(bool(name))
        if not self.threshold.isSliderDown():
            with signals_blocked(self.threshold):
                self.threshold.setValue(options.threshold)
        values = vars(options)
        for fields in (self.boxes, self.numbers):
            with fields.changed.blocked():
                fields.update({field.name: values[field.name] for field in fields})
        self.reset_button.setEnabled(bool(options.given))
        area = self._tuning.area
        self.effect.setText("" if area is None else str(area))


class TuneButton(QPushButton):
    """Fields of `StructureOptions` in a menu, where no image shows what they do.

    Parameters
    ----------
    structure : str
        What is tuned.
    """

    tuned = Signal()
    """The options are others."""

    def __init__(self, structure: str) -> None:
        super().__init__("…")
        self.setAccessibleName(f"Tune {structure}")
        self.setFixedWidth(TUNE_WIDTH)
        self.threshold = FloatSpinBox(
            name="threshold",
            label="Threshold",
            value=StructureOptions().threshold,
            max=1,
            step=0.05,
            tooltip="How probable a pixel must be to belong to it",
        )
        self.minimum_size, self.bridge_gaps = _numbers()
        self.fill_holes, self.largest_only = _boxes()
        self.fields = form(
            self.threshold,
            self.minimum_size,
            self.bridge_gaps,
            self.fill_holes,
            self.largest_only,
        )
        self.fields.margins = (8, 8, 8, 8)
        action = QWidgetAction(self)
        action.setDefaultWidget(self.fields.native)
        menu = QMenu(self)
        menu.addAction(action)
        self.setMenu(menu)
        self.setStyleSheet("QPushButton::menu-indicator { width: 0; image: none; }")
        self.fields.changed.connect(self._show)
        self._show()

    @property
    def options(self) -> StructureOptions:
        """What the fields say."""
        return StructureOptions(
            threshold=round(float(self.threshold.value), DECIMALS),
            bridge_gaps=int(self.bridge_gaps.value),
            fill_holes=bool(self.fill_holes.value),
            minimum_size=int(self.minimum_size.value),
            largest_only=bool(self.largest_only.value),
        )

    def _show(self) -> None:
        said = str(self.options)
        self.setToolTip(f"How the mask is cut: {said or 'as by default'}")
        self.tuned.emit()


def _boxes() -> tuple[CheckBox, CheckBox]:
    return (
        CheckBox(name="fill_holes", text="Fill holes", tooltip="Holes belong to it"),
        CheckBox(
            name="largest_only",
            text="Largest only",
            tooltip="Leave out all pieces but the largest one",
        ),
    )


def _numbers() -> tuple[FloatSpinBox, FloatSpinBox]:
    return (
        _pixels("minimum_size", "Smallest", LARGEST, "Leave out smaller pieces"),
        _pixels("bridge_gaps", "Gaps", WIDEST, "Join pieces that are no farther apart"),
    )


def _pixels(name: str, label: str, most: int, tooltip: str) -> FloatSpinBox:
    # magicgui's whole numbers have no unit
    field = FloatSpinBox(name=name, label=label, max=most, step=1, tooltip=tooltip)
    field.native.setDecimals(0)
    field.native.setSuffix(" px")
    field.native.setKeyboardTracking(False)
    return field
