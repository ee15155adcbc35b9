"""The labels: which layer, which classes, undo and redo, and saving."""

from magicgui.widgets import CheckBox
from napari.layers import Labels
from qtpy.QtWidgets import QFileDialog, QLabel

from napari_localdisc._qt.parts import Choice, Section, button, follow
from napari_localdisc.io.labels import FORMATS
from napari_localdisc.viewer.controller import Controller
from napari_localdisc.viewer.export import ExportControl

from .class_table import ClassTable

NEW_LAYER = "a new layer"


class LabelsPanel(Section):
    """What masks, clusters, structures and predictions are written to."""

    def __init__(self, controller: Controller, export: ExportControl) -> None:
        super().__init__("Labels")
        self._controller = controller
        self._export = export
        self.layers = Choice(
            self._offered,
            lambda: controller.labels_layer or NEW_LAYER,
            NEW_LAYER,
            label="Write to",
            tooltip="The Labels layer that the classes are written to: one of your "
            "own of the image's size, or a new one",
        )
        self.table = ClassTable(controller)
        self.add_button = button("New class", "Add a class and choose it", self._add)
        self.remove_button = button(
            "Remove",
            "Remove the chosen class, and its pixels from the labels; Undo brings them "
            "back",
            self._remove,
        )
        self.overwrite = CheckBox(
            text="Overwrite other classes",
            tooltip="Let what is added replace pixels of other classes.\nOff: they "
            "stay as they are; they show in pink before.",
        )
        self.may_overlap = CheckBox(
            text="May overlap",
            tooltip="Let each class be whole, also where others are: a cup in a disc, "
            "vessels over it.\nClasses that overlap are in Labels layers of their own; "
            "a right click on one of them\nputs it into another. On: nothing is "
            "overwritten, and nothing is left out.",
        )
        self.undo_button = button("Undo", "", controller.undo)
        self.redo_button = button("Redo", "", controller.redo)
        self.save_button = button(
            "Save labels…",
            "Write the labels, their classes and colours",
            self._ask_and_save,
        )
        self.heading.hide()
        title = QLabel("Labels to")
        title.setFont(self.heading.font())
        title.setBuddy(self.layers.native)
        self.layers.native.setAccessibleName("Write to")
        self.add(title, self.layers)
        self.add(self.table)
        self.add(
            *(self.add_button, self.remove_button, None),
            *(self.may_overlap, self.overwrite),
        )
        self.add(self.undo_button, self.redo_button, None, self.save_button)
        self.layers.changed.connect(self._use)
        self.overwrite.changed.connect(controller.writing.set_overwrite)
        self.may_overlap.changed.connect(controller.classes.set_may_overlap)
        follow(self._show_may_overlap, controller.classes.may_overlap_changed)
        controller.workspace.images.listed.connect(self._show_layers)
        export.busy_changed.connect(self._show_saving)
        follow(
            self._show, controller.classes.changed, controller.workspace.image_changed
        )
        follow(self._show_history, controller.history_changed)

    # What the buttons do

    def _use(self, chosen: Labels | str) -> None:
        labels = chosen if isinstance(chosen, Labels) else None
        with self._controller.reporting():
            self._controller.groups.use_labels(labels)

    def _add(self) -> None:
        with self._controller.reporting():
            self._controller.classes.add()
        line = self.table.rowCount() - 1
        if line >= 0:
            self.table.editItem(self.table.item(line, 1))

    def _remove(self) -> None:
        chosen = self._controller.classes.chosen
        with self._controller.reporting():
            if chosen is not None:
                self._controller.classes.remove(chosen.value)

    def _ask_and_save(self) -> None:
        labels = self._controller.labels_layer
        if labels is None:
            return
        workspace = self._controller.workspace
        start = str(workspace.folder / f"{labels.name}.png")
        files = ";;".join(each.filter for each in FORMATS.values() if not each.missing)
        path, _ = QFileDialog.getSaveFileName(self, "Save labels", start, files)
        if path:
            workspace.remember(path)
            self._export.save(labels, path)

    # What is shown

    def _show_may_overlap(self, *_: bool) -> None:
        may = self._controller.classes.may_overlap
        with self.may_overlap.changed.blocked():
            self.may_overlap.value = may
        self.overwrite.enabled = not may

    def _offered(self) -> list[Labels | str]:
        classes = self._controller.classes
        current = classes.labels_layer
        layers = classes.candidates
        if self._controller.workspace.images.current is None:
            return []
        if current is not None and current not in layers:
            layers.insert(0, current)
        return [*layers, NEW_LAYER]

    def _show(self) -> None:
        self._show_layers()
        self.add_button.setEnabled(
            self._controller.workspace.images.current is not None
        )
        self.remove_button.setEnabled(self._controller.classes.chosen is not None)

    def _show_layers(self) -> None:
        self.layers.reset_choices()
        self._show_saving()

    def _show_saving(self) -> None:
        has_labels = self._controller.labels_layer is not None
        self.save_button.setEnabled(has_labels and not self._export.is_busy)

    def _show_history(self) -> None:
        controller = self._controller
        for shown, name, operation in (
            (self.undo_button, "undo", controller.next_undo),
            (self.redo_button, "redo", controller.next_redo),
        ):
            shown.setEnabled(operation is not None)
            what = f"{name.capitalize()}: {operation.text}" if operation else "Nothing"
            shown.setToolTip(what + controller.keys.hint(name))
