"""How large the model sees images, and the way to “Train a model”."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox

from napari_localdisc._qt.parts import Section, button, follow, open_widget, small_print
from napari_localdisc.viewer.clusters import seen_at
from napari_localdisc.viewer.controller import Controller

if TYPE_CHECKING:
    from napari_localdisc._qt.train_widget import TrainWidget

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
            "45° shows them.\nWhere vessels are narrow, it looks again, closer.",
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
            text = seen_at(
                known.embedding.magnification, known.magnification is not None
            )
        self.said.setText(text.partition(";")[0].rstrip(".") + "." * bool(text))


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
