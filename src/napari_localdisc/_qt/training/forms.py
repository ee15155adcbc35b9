"""What to train, and what to adapt: one tab each."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QWidget,
)

from napari_localdisc._qt.parts import Section, small_print
from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.model.card import list_models
from napari_localdisc.viewer.chosen import DEFAULT_MODEL
from napari_localdisc.viewer.training.request import free_name

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_localdisc.viewer.training.control import TrainingControl

PRIORS = {
    "vessel-tree": ("vessel tree", "Dark branching lines; trees are simulated"),
    "disc": ("disc", "The one bright disc of a retina"),
    "bright-lesion": ("bright lesion", "Small bright spots"),
    "dark-lesion": ("dark lesion", "Small dark spots"),
    "lungs": ("lungs", "The pair of dark fields of a chest radiograph"),
    "heart": ("heart", "What lies between the lungs of a chest radiograph"),
}
"""Names that `get_prior` knows, which cannot be asked here without torch."""

OF_THE_CHEST = ("lungs", "heart")
"""Priors of images that fill the frame."""

MODALITIES = {
    "fundus": "round, in a dark frame",
    "frame": "the whole picture",
}

TRAINING_MINUTES, ADAPTING_MINUTES = 30.0, 5.0
_FEWEST_MINUTES, _MOST_MINUTES = 0.1, 6000.0


class _Form(QWidget):
    """Name and time budget, which both tabs ask for."""

    def __init__(self, minutes: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = QLineEdit()
        self.name.setToolTip("What the model is to be called in the list of models")
        self.minutes = QDoubleSpinBox()
        self.minutes.setRange(_FEWEST_MINUTES, _MOST_MINUTES)
        self.minutes.setDecimals(1)
        self.minutes.setSuffix(" minutes")
        self.minutes.setValue(minutes)
        self.minutes.setToolTip(
            "Time to train, once the images are read.\nStop ends it earlier and keeps "
            "the best so far."
        )
        self.form = QFormLayout(self)
        self.form.setFieldGrowthPolicy(
            QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow
        )

    def _add_common(self) -> None:
        self.form.addRow("Time", self.minutes)
        self.form.addRow("Name", self.name)

    def choices(self) -> dict[str, Any]:
        """Return fields of `TrainingChoices`."""
        return {"name": self.name.text().strip(), "minutes": self.minutes.value()}


class TrainForm(_Form):
    """A new model: which structures it is to know, and what images are like."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(TRAINING_MINUTES, parent)
        self.priors = {}
        self._masks: Path | None = None
        self.masks = QCheckBox("folder of masks…")
        self.masks.setToolTip(
            "Shapes of your own: a folder of binary masks, for instance of another "
            "kind of image"
        )
        box = QGridLayout()
        for number, (name, (text, explanation)) in enumerate(PRIORS.items()):
            self.priors[name] = QCheckBox(text)
            self.priors[name].setToolTip(explanation)
            box.addWidget(self.priors[name], number // 2, number % 2)
        box.addWidget(self.masks, len(PRIORS) // 2, len(PRIORS) % 2)
        self.modality = QComboBox()
        self.modality.addItems(list(MODALITIES.values()))
        self.modality.setToolTip("What of a picture shows something")
        self.form.addRow(
            small_print("Tick the shapes that it is to know by name; none is needed.")
        )
        self.form.addRow(box)
        self.form.addRow("Field of view", self.modality)
        self._add_common()
        self.masks.clicked.connect(self._choose_masks)
        for name in OF_THE_CHEST:
            self.priors[name].toggled.connect(self._suit_modality)
        self.refresh()

    def refresh(self) -> None:
        """Suggest a name that is free."""
        self.name.setText(free_name("my model"))

    def set_masks(self, folder: Path | None) -> None:
        """Use a folder of masks, or none."""
        self._masks = folder
        self.masks.setChecked(folder is not None)
        self.masks.setText("folder of masks…" if folder is None else folder.name)

    def choices(self) -> dict[str, Any]:
        """Return fields of `TrainingChoices`."""
        priors = [name for name, box in self.priors.items() if box.isChecked()]
        if self._masks is not None:
            priors.append(str(self._masks))
        modality = list(MODALITIES)[self.modality.currentIndex()]
        return super().choices() | {"priors": tuple(priors), "modality": modality}

    def _choose_masks(self, checked: bool) -> None:
        folder = ""
        if checked:
            folder = QFileDialog.getExistingDirectory(self, "Folder of binary masks")
        self.set_masks(Path(folder) if folder else None)

    def _suit_modality(self) -> None:
        chest = any(self.priors[name].isChecked() for name in OF_THE_CHEST)
        self.modality.setCurrentIndex(int(chest))


class AdaptForm(_Form):
    """A model there is, trained on for a few minutes so that it fits a camera."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(ADAPTING_MINUTES, parent)
        self.model = QComboBox()
        self.model.setToolTip("The model to start from; it stays as it is")
        self.form.addRow(
            small_print(
                "A few minutes on your own images, without labels, fit a model to "
                "your camera; one image is enough. You see before and after, and "
                "keep one."
            )
        )
        self.form.addRow("Model", self.model)
        self._add_common()
        self.model.currentTextChanged.connect(self._suggest_name)
        self.refresh()

    def refresh(self) -> None:
        """Look for models again."""
        current = self.model.currentText() or DEFAULT_MODEL
        names = list(list_models())
        self.model.clear()
        self.model.addItems(names)
        self.set_model(current)

    def set_model(self, name: str) -> None:
        """Choose the model to start from."""
        self.model.setCurrentIndex(max(0, self.model.findText(name)))
        self._suggest_name(self.model.currentText())

    def choices(self) -> dict[str, Any]:
        """Return fields of `TrainingChoices`."""
        return super().choices() | {"model": self.model.currentText()}

    def _suggest_name(self, model: str) -> None:
        if model:
            self.name.setText(free_name(f"{model} adapted"))


_ROWS = 4


class ImagePicker(Section):
    """Open images are ticked until the user unticks them."""

    def __init__(self, control: TrainingControl, parent: QWidget | None = None) -> None:
        super().__init__("Images to learn from", parent=parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._control = control
        self._layers: list[weakref.ref[Image]] = []
        self._unticked: weakref.WeakSet[Image] = weakref.WeakSet()
        self.use_open = QRadioButton("Open images")
        self.use_open.setToolTip("Of a stack every slice counts")
        self.use_folder = QRadioButton("A folder")
        self.use_folder.setToolTip("All image files in it; others are left out")
        self.use_open.setChecked(True)
        self.list = QListWidget()
        self.list.setToolTip("Tick the images to learn from; no labels are needed")
        row = self.list.fontMetrics().height() + 6
        self.list.setFixedHeight(_ROWS * row)
        self.folder = QLineEdit()
        self.folder.setPlaceholderText("folder of images")
        self.browse_button = QPushButton("Browse…")
        kinds = QHBoxLayout()
        kinds.addWidget(self.use_open)
        kinds.addWidget(self.use_folder)
        kinds.addStretch()
        self._folder_row = QWidget()
        folder_row = QHBoxLayout(self._folder_row)
        folder_row.setContentsMargins(0, 0, 0, 0)
        folder_row.addWidget(self.folder, stretch=1)
        folder_row.addWidget(self.browse_button)
        self.body.addLayout(kinds)
        self.body.addWidget(self.list)
        self.body.addWidget(self._folder_row)
        self.use_open.toggled.connect(self._show_kind)
        self.browse_button.clicked.connect(self._browse)
        self.list.itemChanged.connect(self._on_ticked)
        control.images_changed.connect(self._refresh)
        self._refresh()
        self._show_kind()

    @property
    def chosen_layers(self) -> tuple[Image, ...]:
        """Ticked images that are still open."""
        chosen = []
        for row, reference in enumerate(self._layers):
            item, layer = self.list.item(row), reference()
            is_ticked = item is not None and item.checkState() == Qt.CheckState.Checked
            if is_ticked and layer is not None:
                chosen.append(layer)
        return tuple(chosen)

    @property
    def chosen_folder(self) -> Path | None:
        """The folder, if one is to be used.

        Raises
        ------
        TrainingError
            If it is still to be chosen.
        """
        if self.use_open.isChecked():
            return None
        text = self.folder.text().strip()
        if not text:
            raise TrainingError("Choose the folder of images to learn from.")
        return Path(text).expanduser()

    def set_folder(self, folder: Path) -> None:
        """Use a folder."""
        self.folder.setText(str(folder))
        self.use_folder.setChecked(True)

    def _refresh(self) -> None:
        images = self._control.images
        self._layers = [weakref.ref(layer) for layer in images]
        blocker = QSignalBlocker(self.list)
        self.list.clear()
        for layer in images:
            item = QListWidgetItem(layer.name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            is_ticked = layer not in self._unticked
            item.setCheckState(
                Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked
            )
            self.list.addItem(item)
        blocker.unblock()

    def _on_ticked(self, item: QListWidgetItem) -> None:
        layer = self._layers[self.list.row(item)]()
        if layer is None:
            return
        if item.checkState() == Qt.CheckState.Checked:
            self._unticked.discard(layer)
        else:
            self._unticked.add(layer)

    def _show_kind(self) -> None:
        self.list.setVisible(self.use_open.isChecked())
        self._folder_row.setVisible(not self.use_open.isChecked())

    def _browse(self) -> None:
        start = self.folder.text() or str(Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Folder of images", start)
        if folder:
            self.set_folder(Path(folder))
