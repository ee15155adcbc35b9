"""The way from the main widget to “Train a model”."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_localdisc._qt.parts import Section

if TYPE_CHECKING:
    from napari_localdisc._qt.train_widget import TrainWidget
    from napari_localdisc.viewer.controller import Controller

PLUGIN, WIDGET = "napari-localdisc", "Train a model"


class TrainingSection(Section):
    """Opens the training panel, ready to adapt the chosen model or to train one."""

    def __init__(self, controller: Controller, parent: QWidget | None = None) -> None:
        super().__init__("Models of your own", parent=parent)
        self._controller = controller
        self.adapt_button = QPushButton("Adapt to my images")
        self.adapt_button.setToolTip(
            "Fit the model to your camera: a few minutes on your own images, without "
            "labels"
        )
        self.train_button = QPushButton("Train a model")
        self.train_button.setToolTip("Train a new model on images, without labels")
        row = QHBoxLayout()
        row.addWidget(self.adapt_button)
        row.addWidget(self.train_button)
        self.body.addLayout(row)
        self.adapt_button.clicked.connect(self._adapt)
        self.train_button.clicked.connect(self._train)

    def _adapt(self) -> None:
        self._open().show_adapting(self._controller.workspace.models.name)

    def _train(self) -> None:
        self._open().show_training()

    def _open(self) -> TrainWidget:
        window = self._controller.workspace.viewer.window
        dock, widget = window.add_plugin_dock_widget(PLUGIN, WIDGET, tabify=True)
        dock.show()
        dock.raise_()
        opened: TrainWidget = widget
        return opened
