"""What to train, and what to adapt: one tab each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QLineEdit,
    QWidget,
)

from napari_localdisc.core.model_files import list_models
from napari_localdisc.model_choice import DEFAULT_MODEL
from napari_localdisc.training_request import free_name

from .section import small_print

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
