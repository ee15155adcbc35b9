"""State and operations of one viewer; without Qt, so that scripts drive it too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_localdisc.core.model.card import FEWEST

from .keys import KeyBindings
from .large import is_large
from .prompts import Finding
from .shown import show_clusters, show_structure
from .strokes import Strokes
from .work import Pacer, Runner, raise_error

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_localdisc.annotation.state import ImageAnnotation, Operation
    from napari_localdisc.layers.plane import Plane

    from .embeddings import Embedded

DEFAULT_NUMBER = 8
THRESHOLD_STEP = 0.02
"""What a key press moves the threshold by."""


class Controller(Finding):
    """What the plugin does in one viewer.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer; need not have a window.
    runner : Runner, optional
        Runs long work; by default at once, before the call returns.
    report : callable, optional
        Gets every error; by default it is raised.
    pacer : Pacer, optional
        Does what may wait a little; by default at once.

    Attributes
    ----------
    classes : Classes
        The table of classes, and the Labels layer that holds them.
    masks : Masks
        Threshold and options of the prompts' mask.
    writing : LabelWriting
        Masks, clusters and structures into labels.
    strokes : Strokes
        Learning from strokes.
    hover : HoverPreview
        The preview under the cursor.
    keys : KeyBindings
        Keys that are ours.
    """

    number_changed = Signal(int)
    """Another number of structures."""
    clusters_changed = Signal()
    """Cluster labels were written."""
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
        super().__init__(viewer, runner, report, pacer)
        self._wanted_number = DEFAULT_NUMBER
        self.strokes = Strokes(self, self.classes, self.writing)
        self.annotations.changed.connect(self.annotation_changed.emit)
        self.annotations.history_changed.connect(self.history_changed.emit)
        self.image_changed.connect(self.history_changed.emit)
        self.keys = KeyBindings(viewer, self._key_actions())
        self._large.shown.connect(self._on_large_shown)
        self.invite()

    def close(self) -> None:
        """Stop all work and give the viewer its own behaviour back; layers stay."""
        self.keys.unbind()
        self.strokes.close()
        super().close()

    def set_model(self, name: str) -> None:
        """Choose a model; prompts are shown anew, clusters when they are asked for."""
        if name == self.model:
            return
        number = self.number_of_structures
        super().set_model(name)
        if self.number_of_structures != number:
            self.number_changed.emit(self.number_of_structures)

    # Clusters

    @property
    def clusters_layer(self) -> Labels | None:
        """The cluster labels of the plane that is shown, if they are in the viewer."""
        return self._layer_here("clusters")

    @property
    def number_of_structures(self) -> int:
        """How many structures an image is shown in."""
        return min(self._wanted_number, self.most_structures)

    def cluster(self) -> None:
        """Label the structures of the plane that is shown.

        Lazy planes of more than 33 megapixels are read, labelled and shown block by
        block, from the disk.
        """
        with self.reporting():
            layer, plane = self.here()
            if is_large(plane):
                number = self.number_of_structures
                self._large.label(layer, plane, self._models.file, number)
            else:
                self.request_for(layer, plane, "clusters", self._show_clusters)

    def _on_large_shown(self, labels: Labels) -> None:
        self.clusters_changed.emit()
        self.say(
            f"“{labels.name}”: the labels of so large an image are on the disk; export "
            "them to keep them."
        )

    def set_number_of_structures(self, number: int) -> None:
        """Show more or fewer structures; clusters that are shown follow at once.

        They follow after new work only if the embedding is no longer in memory.
        """
        number = max(FEWEST, min(int(number), self.most_structures))
        if number == self.number_of_structures:
            return
        self._wanted_number = number
        self.number_changed.emit(number)
        if self.clusters_layer is not None:
            self.cluster()

    def _show_clusters(self, layer: Image, plane: Plane, known: Embedded) -> None:
        state, number = self.annotations.on(layer, plane), self.number_of_structures
        edited = show_clusters(self.viewer, state, layer, plane, known, number)
        self.clusters_changed.emit()
        if edited:
            self.say("You painted on the labels, so new ones are in their own layer.")
        else:
            self.say(
                f"{number} structures. Move the slider for more or fewer; a "
                "colour means the same in every image."
            )

    def add_clusters(self, clusters: Sequence[int]) -> None:
        """Write clusters that are shown, merged, into the labels as a class."""
        self.writing.add_clusters(clusters, self.number_of_structures)

    def preview_clusters(self, clusters: Sequence[int]) -> None:
        """Show what `add_clusters` would do, until ``writing.preview.hide``."""
        self.writing.preview_clusters(clusters, self.number_of_structures)

    # Structures that the model knows by name

    def show_structure(self, name: str) -> None:
        """Lay the probability of a structure that the model names over the image.

        Over planes that `cluster` labels block by block, the mask at 0.5 is laid.
        """

        def show(layer: Image, plane: Plane, known: Embedded) -> None:
            state = self.annotations.on(layer, plane)
            show_structure(self.viewer, state, layer, plane, known, name)
            self.say(f"The brighter, the more probably {name}.")

        with self.reporting():
            layer, plane = self.here()
            if is_large(plane):
                self._large.label(layer, plane, self._models.file, name)
            else:
                self.request_for(layer, plane, f"structure {name}", show)

    # Annotations as a whole

    @property
    def labels_layer(self) -> Labels | None:
        """The Labels layer that holds the classes, while it is in the viewer."""
        return self.classes.labels_layer

    @property
    def strokes_layer(self) -> Labels | None:
        """The layer that was painted on to learn from, while it is in the viewer."""
        return self.strokes.layer

    @property
    def next_undo(self) -> Operation | None:
        """What `undo` would take back."""
        layer = self.image
        return self.annotations.of(layer).history.next_undo if layer else None

    @property
    def next_redo(self) -> Operation | None:
        """What `redo` would do again."""
        layer = self.image
        return self.annotations.of(layer).history.next_redo if layer else None

    def undo(self) -> None:
        """Take back what was done last on the image, and show where it was."""
        self._step(self.annotations.undo, "Undone")

    def redo(self) -> None:
        """Do again what was undone last."""
        self._step(self.annotations.redo, "Done again")

    def _step(self, step: Callable[[Image], Operation | None], said: str) -> None:
        layer = self.image
        operation = step(layer) if layer is not None else None
        if layer is None or operation is None:
            self.say("There is nothing to undo or redo.")
            return
        plane = self.plane_of(layer, operation.plane)
        with self.reporting():
            self.look_at(layer, plane)
            self.prompts_changed.emit()
            self.refresh_plane(layer, plane)
        self.say(f"{said}: {operation.text}.")

    def annotation(self) -> ImageAnnotation:
        """Describe what was annotated on the image that is worked on.

        Raises
        ------
        ImageError
            If there is no image.
        """
        layer, _ = self.here()
        labels = self.labels_layer
        name = labels.name if labels is not None else None
        return self.annotations.describe(layer, name)

    def restore_annotation(
        self, annotation: ImageAnnotation, labels: Labels | None = None
    ) -> None:
        """Put a description back on the image that is worked on.

        Parameters
        ----------
        annotation : ImageAnnotation
            From `annotation`.
        labels : Labels, optional
            A layer of the viewer that holds its classes.

        Raises
        ------
        PromptError
            If the labels do not fit the image.
        """
        layer, _ = self.here()
        self.annotations.restore(layer, annotation)
        if labels is not None:
            self.classes.use_labels(labels)
        self.prompts_changed.emit()
        self.request("similarity", self._show_similarity)

    # Keys, and what is said

    def _key_actions(self) -> dict[str, Callable[[], None]]:
        return {
            "find similar": lambda: self.set_finding(not self.is_finding),
            "add to labels": lambda: self.writing.add_mask(),
            "next class": lambda: self.classes.choose_next(),
            "where next": lambda: self.strokes.where_next(),
            "undo": self.undo,
            "redo": self.redo,
            "lower threshold": lambda: self._move_threshold(-THRESHOLD_STEP),
            "higher threshold": lambda: self._move_threshold(THRESHOLD_STEP),
        }

    def _move_threshold(self, by: float) -> None:
        threshold = self.masks.threshold
        if threshold is not None:
            wanted = round(min(1.0, max(0.0, threshold + by)), 4)
            self.masks.set_options(threshold=wanted)
