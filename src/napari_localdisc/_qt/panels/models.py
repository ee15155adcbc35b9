"""Models: the chosen one's card, files of the user's own, and new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QMessageBox,
    QTextBrowser,
)

from napari_localdisc._qt.parts import (
    Choice,
    Section,
    button,
    follow,
    open_widget,
    small_print,
)
from napari_localdisc.viewer.clusters import seen_at
from napari_localdisc.viewer.controller import Controller

if TYPE_CHECKING:
    from napari_localdisc._qt.train_widget import TrainWidget

MODEL_FILTER = "Models (*.safetensors *.zip)"
_LINES = 8
"""Of a card that are seen at least."""

_SIZES: dict[str, float | None] = {
    "As vessels tell": None,
    "0.67 times: a narrow angle": 0.67,
    "1: a camera of some 45°": 1.0,
    "1.33 times: a wide angle": 1.33,
    "2 times: small structures": 2.0,
}


class SizeSection(Section):
    """Says how large the image that is shown was seen, and lets it be changed."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("How large images are seen")
        self._workspace = controller.workspace
        self.choice = ComboBox(
            choices=[(text, at) for at, text in enumerate(_SIZES)],
            tooltip="The network knows structures at the size that a camera of some "
            "45° shows them.\nWhere the layer's scale or narrow vessels tell a wider "
            "angle, it looks closer.",
        )
        self.said = small_print("")
        self.add(self.choice)
        self.add(self.said)
        self.choice.changed.connect(self._choose)
        self._set = controller.set_magnification
        follow(
            self._show,
            self._workspace.model_changed,
            self._workspace.plane_changed,
            self._workspace.outgrown,
            controller.clusters.changed,
        )

    def _choose(self, at: int) -> None:
        self._set(list(_SIZES.values())[at])

    def _show(self) -> None:
        chosen = self._workspace.models.magnification
        sizes = list(_SIZES.values())
        with self.choice.changed.blocked():
            self.choice.value = sizes.index(chosen) if chosen in sizes else 0
        known = self._workspace.known(self._workspace.place_or_none())
        text = "" if known is None else "The image was seen at its usual size."
        if known is not None and known.embedding.magnification != 1:
            text = seen_at(known)
        self.said.setText(text.partition(";")[0].rstrip(".") + "." * bool(text))


class ModelSection(Section):
    """What the chosen model is, and what can be done with it as a file."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("")
        self._workspace, self._files = controller.workspace, controller.model_files
        self.card = QTextBrowser()
        self.card.setAccessibleName("The model's card")
        self.card.setMinimumHeight(_LINES * self.card.fontMetrics().lineSpacing())
        self.import_button = button(
            "Import…",
            "Copy a model's file, or a package of bioimage.io, to your models",
            self._import,
        )
        self.rename_button = button(
            "Rename…", "Give this model of yours another name", self._rename
        )
        self.delete_button = button(
            "Delete…", "Delete this model of yours", self._delete
        )
        self.folder_button = button(
            "Open folder", "Show the folder of your models", self._open_folder
        )
        self.add(self.card)
        self.add(
            self.import_button,
            self.rename_button,
            self.delete_button,
            self.folder_button,
        )
        follow(
            self._show,
            self._workspace.model_changed,
            self._workspace.models.listed,
        )

    def _show(self) -> None:
        self.card.setHtml(self._files.card())
        own = self._files.is_own(self._workspace.models.name)
        for made in (self.rename_button, self.delete_button):
            made.setEnabled(own)

    def _import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Import a model", "", MODEL_FILTER)
        if path:
            self._files.import_file(path)

    def _rename(self) -> None:
        name = str(self._workspace.models.name)
        wanted, done = QInputDialog.getText(
            self, "Rename a model", f"Another name for “{name}”:", text=name
        )
        if done and wanted.strip() != name:
            self._files.rename(name, wanted.strip())

    def _delete(self) -> None:
        name = str(self._workspace.models.name)
        asked = QMessageBox.question(
            self, "Delete a model", f"Delete “{name}”? There is no way back."
        )
        if asked == QMessageBox.StandardButton.Yes:
            self._files.delete(name)

    def _open_folder(self) -> None:
        self._files.folder.mkdir(parents=True, exist_ok=True)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._files.folder)))


class TrainingSection(Section):
    """New models: from labels here, without any in the training panel."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("New models")
        self._controller, self._files = controller, controller.model_files
        self.structures = Choice(
            lambda: self._files.structures,
            placeholder="no labels yet",
            tooltip="The class to learn, from the labels of all open images",
        )
        self.structures.native.setAccessibleName("Structure to learn")
        self.tune_button = button(
            "Fine-tune",
            "Train a network for this class from the corrected labels of the open "
            "images; a minute or two",
            self._tune,
        )
        self.stop_button = button(
            "Stop", "End the fine-tuning", self._files.work.cancel
        )
        self.adapt_button = button(
            "Adapt to my images",
            "Train the model on for a few minutes on your own images, without labels.\n"
            "You see before and after, and keep one",
            lambda: self._open().show_adapting(controller.workspace.models.name),
        )
        self.train_button = button(
            "Train a model",
            "Train a new model on images, without labels",
            lambda: self._open().show_training(),
        )
        self.add(self.structures, self.tune_button, self.stop_button)
        self.add(self.adapt_button, self.train_button)
        self._files.work.busy_changed.connect(self._show)
        follow(self._show, self._files.changed)

    def _tune(self) -> None:
        if self.structures.value:
            self._files.finetune(self.structures.value)

    def _show(self) -> None:
        busy = self._files.work.is_busy
        self.structures.reset_choices()
        self.structures.enabled = self.structures.enabled and not busy
        self.tune_button.setEnabled(self.structures.enabled)
        self.stop_button.setVisible(busy)

    def _open(self) -> TrainWidget:
        opened: TrainWidget = open_widget(
            self._controller.workspace.viewer, "Train a model"
        )
        return opened
