"""Learn from strokes: napari's brush, a prediction, and where to paint next."""

from magicgui.widgets import CheckBox

from napari_localdisc._qt.parts import Pointing, Section, button, follow
from napari_localdisc.viewer.controller import Controller


class StrokesPanel(Section):
    """Begins strokes and turns their prediction into labels."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(
            "Learn from strokes",
            "Paint a few pixels of each class, and of the background. The whole image "
            "is predicted after each stroke.",
        )
        self._controller = controller
        strokes = controller.strokes
        self.paint_button = button(
            "Paint strokes",
            "Take napari's brush and paint on the layer “strokes”.\nThe class chosen "
            "in the table below is painted; Ctrl+Z undoes a stroke.",
            self._paint,
        )
        self.paint_button.setCheckable(True)
        self.next_button = button(
            "Where next?",
            "Put a star on the spot whose label would help most"
            + controller.keys.hint("where next"),
            strokes.where_next,
        )
        self.uncertainty = CheckBox(
            text="Show uncertainty",
            tooltip="Where the classifier is not sure, as a layer",
        )
        self.add_button = button(
            "Add prediction to labels",
            "Write the predicted classes into the labels, without the background.\n"
            "What other classes have of them shows in pink while you point here.",
            strokes.accept,
        )
        self.add(self.paint_button)
        self.add(self.next_button, self.uncertainty, None)
        self.add(self.add_button)
        self.uncertainty.changed.connect(strokes.set_shows_uncertainty)
        Pointing(self.add_button, strokes.preview, controller.writing.preview.hide)
        follow(
            self._show_painting,
            strokes.painting_changed,
            controller.workspace.plane_changed,
        )
        follow(
            self._show_enabled,
            strokes.changed,
            controller.prompts.changed,
            controller.workspace.plane_changed,
        )

    def _paint(self) -> None:
        if self.paint_button.isChecked():
            self._controller.prompts.set_finding(False)
            self._controller.strokes.start()
        else:
            self._controller.strokes.stop()
        self._show_painting()

    def _show_painting(self) -> None:
        self.paint_button.setChecked(self._controller.strokes.is_painting)

    def _show_enabled(self) -> None:
        self.paint_button.setEnabled(
            self._controller.workspace.images.current is not None
        )
        has_learned = self._controller.strokes.learned is not None
        self.next_button.setEnabled(has_learned)
        self.add_button.setEnabled(has_learned)
