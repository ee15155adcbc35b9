"""What the plugin does in one viewer; without Qt, so that scripts drive it too."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from napari.components import ViewerModel
from napari.layers import Image, Labels
from psygnal import Signal

from napari_localdisc.annotation.document import Document
from napari_localdisc.annotation.state import ImageAnnotation, Operation
from napari_localdisc.layers.plane import show_point

from .chosen import clicks_wanted, labels_wanted, model_wanted, models_changed
from .class_areas import ClassAreas
from .classes import Classes
from .clusters import Clusters
from .doubts import Doubts
from .groups import Groups
from .keys import KeyBindings
from .models import ModelFiles
from .one_image import OneImage
from .pieces import Pieces
from .prompt_mask import PromptMask
from .prompts import Prompts
from .strokes import Strokes
from .tuning import Tuning
from .work import Pacer, Runner, disconnect_all, raise_error
from .workspace import Workspace
from .writing import LabelWriting


class Controller:
    """The parts of one viewer, and what concerns them all.

    Parameters
    ----------
    viewer, runner, report, pacer
        As of `Workspace`.

    Attributes
    ----------
    workspace : Workspace
        Image, model, work and status.
    one_image : OneImage
        Which image is worked on, and that it is seen alone.
    doubts : Doubts
        Whether what is shown is what is computed from.
    classes : Classes
        The table of classes, and the Labels layer that holds them.
    groups : Groups
        Which classes exclude each other.
    class_areas : ClassAreas
        How large the classes are, and where.
    writing : LabelWriting
        Clusters, structures and predictions into labels.
    model_files : ModelFiles
        The models there are, and new ones from labels.
    tuning : Tuning
        Named structures, tuned by hand.
    clusters : Clusters
        Cluster labels, and maps of named structures.
    mask : PromptMask
        The mask of the prompts as it is shown.
    prompts : Prompts
        What clicks find, and its mask into the labels.
    strokes : Strokes
        Learning from strokes.
    pieces : Pieces
        The pieces of the chosen class, one by one.
    keys : KeyBindings
        Keys that are ours.
    """

    annotation_changed = Signal()
    """There is something new to save."""
    history_changed = Signal()
    """There may be something else to undo or redo."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
        pacer: Pacer | None = None,
    ) -> None:
        self.workspace = workspace = Workspace(viewer, runner, report, pacer)
        self.one_image = OneImage(workspace)
        self.doubts = Doubts(workspace)
        self.classes = Classes(workspace)
        self.groups = Groups(workspace, self.classes)
        self.class_areas = ClassAreas(workspace, self.classes)
        self.writing = LabelWriting(workspace, self.classes, self.groups)
        self.tuning = Tuning(workspace)
        self.model_files = ModelFiles(workspace)
        self.clusters = Clusters(workspace, self.writing)
        self.mask = PromptMask(workspace, self.classes)
        self.prompts = Prompts(workspace, self.classes, self.writing, self.mask)
        self.strokes = Strokes(workspace, self.classes, self.writing)
        self.pieces = Pieces(workspace, self.classes, lambda: self.prompts.is_finding)
        workspace.annotations.changed.connect(self.annotation_changed.emit)
        workspace.annotations.history_changed.connect(self.history_changed.emit)
        workspace.annotations.changed.connect(workspace.overlays.stirred.emit)
        self.clusters.changed.connect(workspace.overlays.stirred.emit)
        workspace.image_changed.connect(self.history_changed.emit)
        actions = {
            "find similar": lambda: self.prompts.set_finding(
                not self.prompts.is_finding
            ),
            "click, box, lasso": self.prompts.choose_next_tool,
            "add to labels": self.prompts.add_mask,
            "next class": self.classes.choose_next,
            "where next": self.strokes.where_next,
            "outline, fill, off": workspace.overlays.choose_next,
            "undo": self.undo,
            "redo": self.redo,
            "lower threshold": lambda: self.prompts.move_threshold(-1),
            "higher threshold": lambda: self.prompts.move_threshold(1),
        }
        self.keys = KeyBindings(viewer, actions)
        models_changed.connect(self.refresh_models)
        model_wanted.connect(self._on_model_wanted)
        labels_wanted.connect(self._on_labels_wanted)
        clicks_wanted.connect(self._on_clicks_wanted)
        self.prompts.finding_changed.connect(self._on_finding)
        self.prompts.invite()

    def close(self) -> None:
        """Stop all work and give the viewer its own behaviour back; layers stay."""
        if self.workspace.is_closed:
            return
        self.keys.unbind()
        models_changed.disconnect(self.refresh_models)
        model_wanted.disconnect(self._on_model_wanted)
        labels_wanted.disconnect(self._on_labels_wanted)
        clicks_wanted.disconnect(self._on_clicks_wanted)
        for part in (
            self.clusters,
            self.model_files,
            self.pieces,
            self.strokes,
            self.prompts,
            self.tuning,
            self.writing,
            self.classes,
            self.doubts,
            self.one_image,
            self.workspace,
        ):
            part.close()
        disconnect_all(self, self.mask)

    def reporting(self) -> AbstractContextManager[None]:
        """Report what the user can put right; let everything else through."""
        return self.workspace.reporting()

    def set_model(self, name: str) -> None:
        """Choose a model; prompts are shown anew, clusters when they are asked for."""
        if name == self.workspace.models.name:
            return
        self.prompts.hover.hide(self.workspace.place_or_none())
        self.workspace.set_model(name)
        self._look_again()

    def set_magnification(self, magnification: float | None) -> None:
        """Choose how much larger than usual images are seen, likewise.

        None: as large as vessels tell.
        """
        if magnification == self.workspace.models.magnification:
            return
        self.prompts.hover.hide(self.workspace.place_or_none())
        self.workspace.set_magnification(magnification)
        self._look_again()

    def _look_again(self) -> None:
        self.prompts.invite()
        if self.prompts.points:
            with self.reporting():
                self.prompts.refresh(self.workspace.place())

    def refresh_models(self) -> None:
        """Look for models again; the first one there is gets chosen."""
        models = self.workspace.models
        if models.name is None and models.names:
            self.set_model(models.names[0])
        models.listed.emit()

    def _on_model_wanted(self, viewer: ViewerModel, name: str) -> None:
        if viewer is self.workspace.viewer:
            self.set_model(name)

    def _on_labels_wanted(
        self, viewer: ViewerModel, image: Image, labels: Labels
    ) -> None:
        if viewer is self.workspace.viewer:
            self.workspace.images.choose(image)
            with self.reporting():
                self.groups.use_labels(labels)
                self.classes.choose(int(labels.selected_label))

    def _on_finding(self, finding: bool) -> None:
        if finding:
            clicks_wanted.emit(self.workspace.viewer, self)

    def _on_clicks_wanted(self, viewer: ViewerModel, who: object) -> None:
        if viewer is self.workspace.viewer and who is not self:
            self.prompts.set_finding(False)

    # What was done on the image

    @property
    def labels_layer(self) -> Labels | None:
        """The Labels layer that holds the chosen class, while it is in the viewer."""
        return self.classes.labels_layer

    @property
    def next_undo(self) -> Operation | None:
        """What `undo` would take back."""
        document = self.classes.document
        return document.history.next_undo if document is not None else None

    @property
    def next_redo(self) -> Operation | None:
        """What `redo` would do again."""
        document = self.classes.document
        return document.history.next_redo if document is not None else None

    def undo(self) -> None:
        """Take back what was done last on the image, and show where it was."""
        self._step("Undone", lambda document: document.undo())

    def redo(self) -> None:
        """Do again what was undone last."""
        self._step("Done again", lambda document: document.redo())

    def _step(self, said: str, step: Callable[[Document], Operation | None]) -> None:
        workspace, layer = self.workspace, self.workspace.images.current
        operation = None
        if layer is not None:
            with self.classes.writing():
                operation = step(workspace.annotations.of(layer))
        if layer is None or operation is None:
            workspace.status.say("There is nothing to undo or redo.")
            return
        with self.reporting():
            place = workspace.place_of(layer, operation.plane)
            show_point(workspace.viewer, layer, place.plane)
            self.prompts.refresh(place)
            if self.tuning.name:
                self.tuning.refresh(place)
        workspace.status.say(f"{said}: {operation.text}.")

    def annotation(self) -> ImageAnnotation:
        """Describe what was annotated on the image that is worked on.

        Raises
        ------
        ImageError
            If there is no image.
        """
        labels = self.classes.layers.get(0)
        name = labels.name if labels is not None else None
        return self.workspace.place().document.describe(name)

    def restore_annotation(
        self,
        annotation: ImageAnnotation,
        labels: Labels | None = None,
        others: Mapping[int, Labels] | None = None,
    ) -> None:
        """Put a description back on the image that is worked on.

        Parameters
        ----------
        annotation : ImageAnnotation
            From `annotation`.
        labels : Labels, optional
            A layer of the viewer that holds its classes.
        others : mapping of int to Labels, optional
            The layers of further groups of classes.

        Raises
        ------
        PromptError
            If the labels do not fit the image.
        """
        self.workspace.place().document.restore(annotation)
        held = {**({} if labels is None else {0: labels}), **(others or {})}
        for group, layer in held.items():
            self.classes.use_labels(layer, group)
        self.classes.set_may_overlap(self.classes.may_overlap or len(held) > 1)
        self.prompts.changed.emit()
        with self.reporting():
            self.prompts.refresh(self.workspace.place())
