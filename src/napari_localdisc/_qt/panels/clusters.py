"""Cluster structures: a button, a slider for how many, and a legend."""

from functools import partial

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton
from superqt import QLabeledSlider
from superqt.utils import signals_blocked

from napari_localdisc._qt.parts import (
    Pointing,
    Section,
    bring_into_sight,
    button,
    follow,
)
from napari_localdisc.core.model.card import FEWEST
from napari_localdisc.viewer.controller import Controller

from .class_table import SWATCH, swatch
from .legend import Legend
from .tuning import TuningForm


class ClusterPanel(Section):
    """Labels the structures of the image; the slider follows at once."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("")
        self._controller = controller
        self.button = button(
            "Cluster structures",
            "Label what looks alike, in the whole image.\nThe network looks at an "
            "image once; everything after that is immediate.",
            controller.clusters.show,
        )
        self.slider = QLabeledSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("How many")
        self.slider.setToolTip(
            "How many structures to tell apart.\nA structure is split in two as the "
            "number grows; its colour stays."
        )
        self.legend = Legend(controller)
        self.add_button = button(
            "Add chosen to labels",
            "Make a class of the colour chosen above; Ctrl + click chooses several, "
            "which become one class.\nWhat other classes have of it shows in pink "
            "while you point here.",
            self._add,
        )
        how_many = QLabel("How many")
        how_many.setBuddy(self.slider)
        self.add(self.button, how_many, self.slider)
        self.add(self.legend)
        self.add(self.add_button)
        self.slider.valueChanged.connect(controller.clusters.set_number)
        Pointing(self.add_button, self._preview, controller.writing.preview.hide)
        self.legend.chosen_changed.connect(self._show_chosen)
        follow(
            self._show_number,
            controller.clusters.number_changed,
            controller.workspace.model_changed,
        )
        follow(
            self._show_enabled,
            controller.workspace.image_changed,
            controller.workspace.work.busy_changed,
        )
        self._show_chosen()

    def _add(self) -> None:
        self._controller.clusters.add(sorted(self.legend.chosen))

    def _preview(self) -> None:
        self._controller.clusters.preview(sorted(self.legend.chosen))

    def _show_chosen(self) -> None:
        chosen = sorted(self.legend.chosen)
        self.add_button.setEnabled(bool(chosen))
        name = self._controller.clusters.class_name(chosen) if chosen else ""
        self.add_button.setText(f"Add to “{name}”" if name else "Add chosen to labels")

    def _show_number(self) -> None:
        with signals_blocked(self.slider):
            self.slider.setRange(
                FEWEST, self._controller.workspace.models.most_structures
            )
            self.slider.setValue(self._controller.clusters.number)

    def _show_enabled(self) -> None:
        has_image = self._controller.workspace.images.current is not None
        self.button.setEnabled(
            has_image and not self._controller.workspace.work.is_busy
        )


COLUMNS = 5
"""Of a structure's row."""


class StructurePanel(Section):
    """One row a structure; hidden while the model's card names none."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Known structures")
        self._controller = controller
        self.map_buttons: dict[str, QPushButton] = {}
        self.tune_buttons: dict[str, QPushButton] = {}
        self.add_buttons: dict[str, QPushButton] = {}
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        self._grid.setVerticalSpacing(3)
        self.body.addLayout(self._grid)
        self.tuning_form = TuningForm(controller)
        self.tuning_form.setParent(self)
        self._tuned_line: int | None = None
        controller.tuning.changed.connect(self._show_tuned)
        follow(self._show_structures, controller.workspace.model_changed)
        follow(self._show_enabled, controller.workspace.image_changed)

    def _show_structures(self) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None and widget is not self.tuning_form:
                widget.deleteLater()
        self.map_buttons, self.tune_buttons, self.add_buttons = {}, {}, {}
        self._tuned_line = None
        writing, models = self._controller.writing, self._controller.workspace.models
        colours = models.colours
        for line, name in enumerate(models.structures):
            show = button(
                "Map",
                f"Lay the probability of {name} over the image",
                partial(self._controller.clusters.show_structure, name),
            )
            tune = button(
                "Tune",
                f"Change how {name} is cut out, with a live outline: threshold, gaps, "
                "holes, pieces",
                partial(self._tune, name),
            )
            tune.setCheckable(True)
            add = button(
                f"Add to “{name}”",
                f"Write what is probably {name} into the labels, as the class "
                f"“{name}”.\nWhat other classes have of it shows in pink while you "
                "point here.",
                partial(writing.add_structure, name),
            )
            Pointing(
                add, partial(writing.preview_structure, name), writing.preview.hide
            )
            colour = QLabel()
            colour.setPixmap(swatch(colours[name]).pixmap(SWATCH, SWATCH))
            colour.setToolTip(f"The colour of {name} wherever it is shown")
            for column, widget in enumerate((colour, QLabel(name), show, tune, add)):
                self._grid.addWidget(widget, 2 * line, column)
            self.map_buttons[name], self.add_buttons[name] = show, add
            self.tune_buttons[name] = tune
        self._show_tuned()
        self.setVisible(bool(self.map_buttons))
        self._show_enabled()

    def _tune(self, name: str) -> None:
        tuned = self._controller.tuning.name
        self._controller.tuning.tune("" if tuned == name else name)
        self._show_tuned()

    def _show_tuned(self) -> None:
        for line, (name, made) in enumerate(self.tune_buttons.items()):
            tuned = name == self._controller.tuning.name
            if tuned and line != self._tuned_line:
                # Under its row, and in sight once there is room for it
                self._tuned_line = line
                self._grid.addWidget(self.tuning_form, 2 * line + 1, 0, 1, COLUMNS)
                QTimer.singleShot(50, self._bring_into_sight)
            made.setChecked(tuned)

    def _bring_into_sight(self) -> None:
        bring_into_sight(self.tuning_form)

    def _show_enabled(self) -> None:
        has_image = self._controller.workspace.images.current is not None
        for buttons in (self.map_buttons, self.tune_buttons, self.add_buttons):
            for made in buttons.values():
                made.setEnabled(has_image)
