"""What to learn from, what to train, and what to adapt."""

import weakref
from pathlib import Path
from typing import Any

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSpinBox,
    LineEdit,
    RadioButtons,
)
from magicgui.widgets.bases import Widget
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_localdisc._qt.parts import (
    Choice,
    Section,
    form,
    path_field,
    path_text,
    small_print,
)
from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.model.card import list_models
from napari_localdisc.core.priors import PRIORS
from napari_localdisc.viewer.chosen import DEFAULT_MODEL
from napari_localdisc.viewer.training.control import TrainingControl
from napari_localdisc.viewer.training.request import free_name, model_file

MODALITIES = {"round, in a dark frame": "fundus", "the whole picture": "frame"}
TRAINING_MINUTES, ADAPTING_MINUTES = 30.0, 5.0
OPEN, FOLDER = "Open images", "A folder"
_ROWS = 4


class _Form(QWidget):
    """Some fields, and the time budget and name that both tabs ask for."""

    def __init__(self, explanation: str, minutes: float, *fields: Widget) -> None:
        super().__init__()
        self.minutes = FloatSpinBox(
            value=minutes,
            min=0.1,
            max=6000,
            step=1,
            label="Time",
            tooltip="Time to train, once the images are read.\nStop ends it earlier "
            "and keeps the best so far.",
        )
        self.minutes.native.setDecimals(1)
        self.minutes.native.setSuffix(" minutes")
        self.name = LineEdit(
            label="Name",
            tooltip="What the model is to be called in the list of models",
        )
        layout = QVBoxLayout(self)
        layout.addWidget(small_print(explanation))
        layout.addWidget(form(*fields, self.minutes, self.name).native)
        layout.addStretch()

    def asked(self) -> dict[str, Any]:
        """Return fields of a `TrainingRequest`.

        Raises
        ------
        TrainingError
            If no model can have this name.
        """
        return {"out": str(model_file(self.name.value)), "minutes": self.minutes.value}


class TrainForm(_Form):
    """A new model: which structures it is to know, and what images are like."""

    def __init__(self) -> None:
        self.priors = {
            name: CheckBox(text=name.replace("-", " "), tooltip=prior.explanation)
            for name, prior in PRIORS.items()
        }
        boxes = list(self.priors.values())
        shapes: Container[Widget] = Container(
            widgets=[form(*boxes[k::2]) for k in (0, 1)],
            layout="horizontal",
            labels=False,
            label="Shapes",
        )
        shapes.margins = (0, 0, 0, 0)
        self.masks = path_field(
            "Masks",
            "Folder of binary masks",
            tooltip="Shapes of your own: a folder of binary masks, for instance of "
            "another kind of image",
        )
        self.modality = ComboBox(
            choices=list(MODALITIES.items()),
            label="Field of view",
            tooltip="What of a picture shows something",
        )
        super().__init__(
            "Tick the shapes that it is to know by name; none is needed.",
            TRAINING_MINUTES,
            shapes,
            self.masks,
            self.modality,
        )
        for name, prior in PRIORS.items():
            if prior.modality == "frame":
                self.priors[name].changed.connect(self._suit_modality)
        self.name.value = free_name("my model")

    def asked(self) -> dict[str, Any]:
        """Return fields of a `TrainingRequest`."""
        priors = [name for name, box in self.priors.items() if box.value]
        if folder := path_text(self.masks):
            priors.append(str(Path(folder).expanduser().resolve()))
        return super().asked() | {
            "modality": self.modality.value,
            "settings": {"priors": priors},
        }

    def _suit_modality(self) -> None:
        chosen = {
            PRIORS[name].modality for name, box in self.priors.items() if box.value
        }
        self.modality.value = "frame" if "frame" in chosen else "fundus"


class AdaptForm(_Form):
    """A model there is, trained on for a few minutes on images of a camera."""

    def __init__(self) -> None:
        self.model = Choice(
            list_models,
            label="Model",
            tooltip="The model to start from; it stays as it is",
        )
        super().__init__(
            "Trains a model on for a few minutes on your own images, without labels; "
            "one image is enough. It may gain nothing: see before and after, and keep "
            "one.",
            ADAPTING_MINUTES,
            self.model,
        )
        self.model.changed.connect(self._suggest_name)
        self.set_model(DEFAULT_MODEL)

    def set_model(self, name: str) -> None:
        """Choose the model to start from, if it is there."""
        self.model.reset_choices()
        if name in self.model.choices:
            self.model.value = name
        self._suggest_name()

    def asked(self) -> dict[str, Any]:
        """Return fields of a `TrainingRequest`."""
        return super().asked() | {"model": self.model.value}

    def _suggest_name(self) -> None:
        if self.model.value:
            self.name.value = free_name(f"{self.model.value} adapted")


class ImagePicker(Section):
    """Open images are ticked until the user unticks them."""

    def __init__(self, control: TrainingControl) -> None:
        super().__init__("Images to learn from")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._control = control
        self._unticked: weakref.WeakSet[Image] = weakref.WeakSet()
        self.source = RadioButtons(
            choices=[OPEN, FOLDER],
            orientation="horizontal",
            tooltip="Of an open stack every slice counts;\nof a folder all image "
            "files, and others are left out",
        )
        self.source.value = OPEN
        self.source.native.setStyleSheet("QGroupBox { border: none; margin: 0; }")
        self.list = QListWidget()
        self.list.setToolTip("Tick the images to learn from; no labels are needed")
        self.list.setFixedHeight(_ROWS * (self.list.fontMetrics().height() + 6))
        self.folder = path_field("Folder", "Folder of images")
        self.folder.line_edit.native.setPlaceholderText("folder of images")
        for part in (self.source, self.list, self.folder):
            self.add(part)
        self.source.changed.connect(self._show_source)
        self.list.itemChanged.connect(self._on_ticked)
        control.images_changed.connect(self._refresh)
        self._refresh()
        self._show_source()

    @property
    def layers(self) -> list[Image]:
        """Ticked images that are still open."""
        items = [self.list.item(row) for row in range(self.list.count())]
        layers = [_layer(item) for item in items if item and _is_ticked(item)]
        return [layer for layer in layers if layer is not None]

    @property
    def chosen_folder(self) -> str | None:
        """The folder, if one is to be used.

        Raises
        ------
        TrainingError
            If it is still to be chosen.
        """
        if self.source.value == OPEN:
            return None
        if not (text := path_text(self.folder)):
            raise TrainingError("Choose the folder of images to learn from.")
        return str(Path(text).expanduser().resolve())

    def _refresh(self) -> None:
        with signals_blocked(self.list):
            self.list.clear()
            for layer in self._control.images:
                item = QListWidgetItem(layer.name, self.list)
                item.setData(Qt.ItemDataRole.UserRole, weakref.ref(layer))
                ticked = layer not in self._unticked
                item.setCheckState(
                    Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
                )

    def _on_ticked(self, item: QListWidgetItem) -> None:
        layer = _layer(item)
        if layer is not None:
            change = self._unticked.discard if _is_ticked(item) else self._unticked.add
            change(layer)

    def _show_source(self) -> None:
        self.list.setVisible(self.source.value == OPEN)
        self.folder.native.setVisible(self.source.value == FOLDER)


def _is_ticked(item: QListWidgetItem) -> bool:
    return bool(item.checkState() == Qt.CheckState.Checked)


def _layer(item: QListWidgetItem) -> Image | None:
    layer: Image | None = item.data(Qt.ItemDataRole.UserRole)()
    return layer
