"""The way from the main widget to “Train a model”."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_localdisc._qt.parts import Section, button, open_widget
from napari_localdisc.viewer.controller import Controller

if TYPE_CHECKING:
    from napari_localdisc._qt.train_widget import TrainWidget


class TrainingSection(Section):
    """Opens the training panel, ready to adapt the chosen model or to train one."""

    def __init__(self, controller: Controller) -> None:
        super().__init__("Models of your own")
        self._controller = controller
        self.adapt_button = button(
            "Adapt to my images",
            "Fit the model to your camera: a few minutes on your own images, without "
            "labels",
            lambda: self._open().show_adapting(controller.workspace.models.name),
        )
        self.train_button = button(
            "Train a model",
            "Train a new model on images, without labels",
            lambda: self._open().show_training(),
        )
        self.add(self.adapt_button, self.train_button)

    def _open(self) -> TrainWidget:
        opened: TrainWidget = open_widget(
            self._controller.workspace.viewer, "Train a model"
        )
        return opened
