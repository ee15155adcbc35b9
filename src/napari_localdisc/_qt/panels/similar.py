"""Find similar: clicks are prompts, and their mask goes into the labels."""

from collections.abc import Callable
from functools import partial

from magicgui.widgets import CheckBox, FloatSpinBox
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QButtonGroup, QLabel, QMenu, QPushButton, QWidget
from superqt import QLabeledDoubleSlider
from superqt.utils import signals_blocked

from napari_localdisc._qt.parts import Section, button, follow, form, row
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.mouse import TOOLS
from napari_localdisc.viewer.writing import Effect

from .class_table import swatch

LARGEST = 10_000_000
"""Pixels that the smallest piece may have to have."""

MENU_WIDTH = 32
"""Pixels of the button that only opens a menu."""

DECIMALS = 2
"""Of the threshold."""


def _follow_mask(show: Callable[[], None], controller: Controller) -> None:
    """Show something now, and again when the mask or what it is made of changes."""
    prompts, plane = controller.prompts.changed, controller.workspace.plane_changed
    follow(show, controller.mask.changed, prompts, plane)


class SimilarPanel(Section):
    """Switches the mode, counts the prompts, and says what the mask would do."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("")
        self._controller = controller
        self.button = button(
            "Find similar",
            "While this is on, what is like the pixel under the cursor shows in "
            "yellow, and a click keeps it.\n"
            "Click: this is meant.  Shift + click: this is not meant.\n"
            "Dragging still pans, with the left button or the middle one; the wheel "
            "still zooms." + controller.keys.hint("find similar"),
            lambda: controller.prompts.set_finding(self.button.isChecked()),
        )
        self.button.setCheckable(True)
        self.tools = ToolButtons(controller)
        self.counts = QLabel()
        self.counts.setToolTip(
            "Clicks, boxes and lassos: what is meant (+), and what is not (−).\nThey "
            "are in the layers “prompts” and “frames”: select one to drag or delete "
            "them."
        )
        self.preview = CheckBox(
            value=controller.prompts.hover.is_enabled,
            text="Preview",
            tooltip="Show what is like the pixel under the cursor",
        )
        self.clear_button = button(
            "Clear",
            "Forget the clicks and frames on this image, and their map",
            controller.prompts.clear,
        )
        self.threshold_row = ThresholdRow(controller)
        self.options_form = MaskOptionsForm(controller)
        self.effect = QLabel()
        self.effect.setWordWrap(True)
        self.effect.setToolTip("What adding the mask would do")
        self.add_button = button(
            "Add to labels",
            "Write the mask into the labels as this class.\nAnother one: the menu "
            "beside this button, or a click in the table of classes."
            + controller.keys.hint("add to labels"),
            controller.prompts.add_mask,
        )
        self.into_button = IntoButton(controller)
        finding = row(self.button, self.tools)
        finding.setStretch(0, 1)
        self.body.addLayout(finding)
        self.add(self.counts, None, self.preview, self.clear_button)
        self.add(self.threshold_row)
        self.add(self.options_form.fields)
        self.add(self.effect)
        adding = row(self.add_button, self.into_button)
        adding.setStretch(0, 1)
        self.body.addLayout(adding)
        self.preview.changed.connect(controller.prompts.hover.set_enabled)
        controller.prompts.finding_changed.connect(self._show_finding)
        follow(
            self._show_counts,
            controller.prompts.changed,
            controller.workspace.plane_changed,
        )
        follow(self._show_enabled, controller.workspace.image_changed)
        controller.writing.overwrite_changed.connect(self._show_effect)
        _follow_mask(self._show_effect, controller)

    def _show_finding(self, finding: bool) -> None:
        self.button.setChecked(finding)

    def _show_counts(self) -> None:
        prompts = self._controller.prompts.points
        positive = sum(prompt.positive for prompt in prompts)
        self.counts.setText(f"+ {positive}    − {len(prompts) - positive}")
        self.clear_button.setEnabled(bool(prompts))

    def _show_enabled(self) -> None:
        has_image = self._controller.workspace.images.current is not None
        self.button.setEnabled(has_image or self._controller.prompts.is_finding)

    def _show_effect(self) -> None:
        masks, classes = self._controller.mask, self._controller.classes
        pixels = masks.pixels
        self.add_button.setEnabled(pixels > 0)
        self.into_button.setEnabled(pixels > 0)
        into = masks.destination if pixels else "labels"
        self.add_button.setText(f"Add to {into}")
        if not pixels:
            self.effect.setText("No mask yet.")
            return
        effect = Effect(pixels, masks.overlap, masks.by_hand)
        overwrites = self._controller.writing.overwrite
        self.effect.setText(effect.describe(classes.entries, overwrites))


class ToolButtons(QWidget):
    """What a drag in the canvas does: pan, or draw a box or a lasso."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        about = {
            "click": "Prompts are clicks; dragging pans.",
            "box": "Drag a box around an object: that object, and nothing outside.\n"
            "With Shift: not what is in it, nor what looks like that.\nThe middle "
            "button pans; a click is a click still.",
            "lasso": "The same, with a line drawn around it by hand.",
        }
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QPushButton] = {}
        for tool in TOOLS:
            each = QPushButton(tool.capitalize())
            each.setCheckable(True)
            each.setToolTip(about[tool] + controller.keys.hint("click, box, lasso"))
            each.clicked.connect(partial(self._choose, tool))
            self._group.addButton(each)
            self.buttons[tool] = each
        layout = row(*self.buttons.values())
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        self.setLayout(layout)
        controller.prompts.tool_changed.connect(self._show)
        follow(self._show_enabled, controller.workspace.image_changed)
        self._show(controller.prompts.tool)

    def _choose(self, tool: str) -> None:
        with self._controller.reporting():
            self._controller.prompts.set_tool(tool)

    def _show(self, tool: str) -> None:
        self.buttons[tool].setChecked(True)

    def _show_enabled(self) -> None:
        self.setEnabled(self._controller.workspace.images.current is not None)


class IntoButton(QPushButton):
    """A menu of classes that the mask could become instead of the proposed one."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.setAccessibleName("Another class")
        self.setToolTip("Choose the class that the mask becomes")
        self.setFixedWidth(MENU_WIDTH)
        menu = QMenu(self)
        menu.aboutToShow.connect(self._fill)
        self.setMenu(menu)

    def _fill(self) -> None:
        menu, classes = self.menu(), self._controller.classes
        assert menu is not None
        menu.clear()
        entry = self._controller.mask.destination.entry
        meaning = self._controller.mask.meaning
        for each in classes.entries:
            if not each.background:
                action = self._offer(each.name, partial(classes.choose, each.value))
                action.setIcon(swatch(each.colour))
                action.setCheckable(True)
                action.setChecked(each == entry)
        menu.addSeparator()
        if meaning and meaning not in {each.name for each in classes.entries}:
            self._offer(f"New class “{meaning}”", partial(classes.add, meaning))
        self._offer("New class", classes.add)
        if self._controller.prompts.annotation.into is not None:
            self._offer("What the clicks mean", classes.choose_meant)

    def _offer(self, text: str, choose: Callable[[], object]) -> QAction:
        def chosen() -> None:
            with self._controller.reporting():
                choose()

        action = QAction(text, self)
        action.triggered.connect(chosen)
        menu = self.menu()
        assert menu is not None
        menu.addAction(action)
        return action


class MaskOptionsForm:
    """Fields of `MaskOptions`, each named as there, but for the threshold."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self.connected = CheckBox(
            name="connected",
            text="Connected",
            tooltip="Only what is connected to one of the + prompts",
        )
        self.smooth = CheckBox(
            name="smooth",
            text="Smooth",
            tooltip="Round the outline, at the image's own resolution",
        )
        self.minimum_size = FloatSpinBox(  # magicgui's whole numbers have no unit
            name="minimum_size",
            label="Smallest",
            max=LARGEST,
            step=10,
            tooltip="Leave out pieces with fewer pixels than this",
        )
        self.minimum_size.native.setDecimals(0)
        self.minimum_size.native.setSuffix(" px")
        self.minimum_size.native.setKeyboardTracking(False)
        self.fields = form(
            self.connected, self.smooth, self.minimum_size, layout="horizontal"
        )
        self.fields.changed.connect(self._write)
        _follow_mask(self._show, controller)

    def _write(self) -> None:
        prompts, size = self._controller.prompts, int(self.minimum_size.value)
        wanted = self.fields.asdict() | {"minimum_size": size}
        shown = vars(prompts.options)
        changes = {name: to for name, to in wanted.items() if to != shown[name]}
        if changes:
            prompts.set_options(**changes)

    def _show(self) -> None:
        options = self._controller.prompts.options
        self.fields.enabled = self._controller.workspace.images.current is not None
        with self.fields.changed.blocked():
            self.fields.update(
                {name: getattr(options, name) for name in self.fields.asdict()}
            )


class ThresholdRow(QWidget):
    """Slider and “Auto”; off while there is no mask."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 1)
        self.slider.setDecimals(DECIMALS)
        self.slider.setAccessibleName("Threshold")
        self.slider.setToolTip(
            "How similar a pixel must be to belong to the mask.\nWhile you drag only "
            "the display changes; the mask is written when you let go."
            + controller.keys.hint("lower threshold")
            + controller.keys.hint("higher threshold")
        )
        self.automatic = button(
            "Auto",
            "Choose the threshold automatically: 0.5 where the model names structures, "
            "else Otsu's, where similarities fall\ninto two groups; moved as little as "
            "needed for every + to be in the mask and every − out of it.",
            self._on_automatic,
        )
        self.automatic.setCheckable(True)
        layout = row(QLabel("Threshold"), self.slider, self.automatic)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setLayout(layout)
        self.slider.valueChanged.connect(self._on_value)
        self.slider.sliderReleased.connect(self._write)
        _follow_mask(self._show, controller)

    def _on_value(self, value: float) -> None:
        if self.slider.isSliderDown():
            self._controller.mask.preview_threshold(value)
        else:
            self._write()

    def _write(self) -> None:
        value = round(float(self.slider.value()), DECIMALS)
        self._controller.prompts.set_options(threshold=value)

    def _on_automatic(self) -> None:
        masks, prompts = self._controller.mask, self._controller.prompts
        wanted = None if self.automatic.isChecked() else masks.threshold
        prompts.set_options(threshold=wanted)

    def _show(self) -> None:
        masks, prompts = self._controller.mask, self._controller.prompts
        threshold = masks.threshold
        self.setEnabled(threshold is not None)
        self.automatic.setChecked(prompts.options.threshold is None)
        if threshold is not None and not self.slider.isSliderDown():
            with signals_blocked(self.slider):
                self.slider.setValue(threshold)
