"""The annotations of a viewer's images: proposed, committed, undone, described.

Every change goes through here, so that it can be undone and is in the log.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray
from psygnal import Signal

from .history import Edit, History, Snapshot, Step
from .state import (
    AnnotationClass,
    ImageAnnotation,
    Operation,
    PlaneAnnotation,
    PlaneKey,
    Prompt,
    to_json,
    within,
)

if TYPE_CHECKING:
    import numpy as np
    from napari.layers import Image, Labels

    from napari_localdisc.layers.ours import DerivedLabels, DerivedMap
    from napari_localdisc.layers.plane import Plane
    from napari_localdisc.layers.points import PromptPoints
    from napari_localdisc.layers.strokes import StrokeLayers


class Annotations:
    """What was annotated on each image layer, held for as long as the layer lives."""

    changed = Signal()
    """There is something new to save."""
    classes_changed = Signal()
    """Classes, or which one is chosen, or the labels layer."""
    history_changed = Signal()
    """There may be something else to undo or redo."""

    def __init__(self) -> None:
        self._images: weakref.WeakKeyDictionary[Image, ImageState]
        self._images = weakref.WeakKeyDictionary()

    def of(self, layer: Image) -> ImageState:
        """Return what is kept for an image layer."""
        state = self._images.get(layer)
        if state is None:
            state = self._images[layer] = ImageState()
            state.history.changed.connect(self.history_changed.emit)
        return state

    def on(self, layer: Image, plane: Plane) -> PlaneState:
        """Return what is kept for a plane."""
        return self.of(layer).plane(plane.key)

    def planes(self, layer: Image) -> list[PlaneState]:
        """Return what is kept for all planes of a layer."""
        state = self._images.get(layer)
        return list(state.planes.values()) if state is not None else []

    # Prompts and options, which wait for the embedding

    def propose(
        self,
        layer: Image,
        plane: Plane,
        kind: str,
        text: str,
        annotation: PlaneAnnotation,
    ) -> None:
        """Change prompts or options; it counts once `commit` is called."""
        state = self.on(layer, plane)
        state.annotation = annotation
        state.pending.append(Proposal(kind, text, annotation))

    def commit(
        self, layer: Image, plane: Plane, field_of_view: NDArray[np.bool_]
    ) -> int:
        """Make what was proposed steps that can be undone.

        Returns
        -------
        int
            How many prompts lie outside the field of view; they are dropped.
        """
        image, state = self.of(layer), self.on(layer, plane)
        for kind, text, wanted in state.pending:
            inside = within(wanted.prompts, field_of_view)
            after = replace(wanted, prompts=inside)
            if after != state.committed:
                parameters: dict[str, Any] = (
                    {"prompts": to_json(inside)}
                    if kind == "prompts"
                    else {"options": to_json(after.options)}
                )
                self._push(
                    image,
                    Operation(kind, text, plane.key, parameters),
                    state,
                    annotation=after,
                )
        inside = within(state.annotation.prompts, field_of_view)
        dropped = len(state.annotation.prompts) - len(inside)
        state.annotation = replace(state.annotation, prompts=inside)
        state.committed = state.annotation
        if state.pending:
            state.pending.clear()
            self.changed.emit()
        return dropped

    @staticmethod
    def withdraw(state: PlaneState) -> bool:
        """Drop what was proposed and not committed; whether there was something."""
        changed = bool(state.pending)
        state.annotation = state.committed
        state.pending.clear()
        return changed

    # Everything else

    def do(
        self,
        layer: Image,
        key: PlaneKey,
        kind: str,
        text: str,
        parameters: Mapping[str, Any],
        **changes: Any,
    ) -> None:
        """Apply a change as a step that can be undone.

        Parameters
        ----------
        layer : Image
            What it was done on.
        key : PlaneKey
            Its plane.
        kind, text, parameters
            As in `Operation`.
        **changes
            ``annotation`` of the plane, ``classes``, ``chosen``: what they are now; and
            ``edit``: the pixels that were changed already.
        """
        image = self.of(layer)
        operation = Operation(kind, text, key, parameters)
        self._push(image, operation, image.plane(key), **changes)
        self.changed.emit()
        if "classes" in changes or "chosen" in changes:
            self.classes_changed.emit()

    def _push(
        self,
        image: ImageState,
        operation: Operation,
        state: PlaneState,
        *,
        edit: Edit | None = None,
        **changes: Any,
    ) -> None:
        before = Snapshot(state.committed, image.classes, image.chosen)
        if "annotation" in changes:
            state.annotation = state.committed = changes["annotation"]
        image.classes = changes.get("classes", image.classes)
        image.chosen = changes.get("chosen", image.chosen)
        after = Snapshot(state.committed, image.classes, image.chosen)
        image.history.push(Step(operation, before, after, edit))

    def set_classes(
        self,
        layer: Image,
        classes: tuple[AnnotationClass, ...],
        chosen: int | None,
    ) -> None:
        """Change what is seen or chosen: nothing that would be undone."""
        state = self.of(layer)
        if (classes, chosen) != (state.classes, state.chosen):
            state.classes, state.chosen = classes, chosen
            self.classes_changed.emit()
            self.changed.emit()

    def set_labels(self, layer: Image, labels: Labels | None) -> None:
        """Say which layer holds an image's classes."""
        self.of(layer).labels = None if labels is None else weakref.ref(labels)
        self.classes_changed.emit()
        self.changed.emit()

    # Undo and redo

    def undo(self, layer: Image) -> Operation | None:
        """Take back the newest step; None if there is none."""
        image = self.of(layer)
        for key, state in image.planes.items():
            if state.pending:
                last = state.pending.pop()
                newest = state.pending[-1].annotation if state.pending else None
                state.annotation = newest or state.committed
                return Operation(last.kind, last.text, key, {})
        step = image.history.undo()
        if step is None:
            return None
        if step.edit is not None:
            step.edit.undo()
        self._apply(image, step.operation.plane, step.before)
        return step.operation

    def redo(self, layer: Image) -> Operation | None:
        """Do again what was undone last; None if there is nothing."""
        image = self.of(layer)
        step = image.history.redo()
        if step is None:
            return None
        if step.edit is not None:
            step.edit.redo()
        self._apply(image, step.operation.plane, step.after)
        return step.operation

    def _apply(self, image: ImageState, key: PlaneKey, snapshot: Snapshot) -> None:
        state = image.plane(key)
        state.pending.clear()
        state.annotation = state.committed = snapshot.plane
        seen = {entry.value: entry.visible for entry in image.classes}
        image.classes = tuple(
            replace(entry, visible=seen.get(entry.value, entry.visible))
            for entry in snapshot.classes
        )
        image.chosen = snapshot.chosen
        self.classes_changed.emit()
        self.changed.emit()

    # As a whole

    def forget_planes(self, layer: Image) -> None:
        """Drop prompts and history of a layer that has other data now, or is gone."""
        image = self._images.get(layer)
        if image is None:
            return
        for state in image.planes.values():
            state.pending.clear()
            state.annotation = state.committed = PlaneAnnotation()
        image.history.restart()
        self.changed.emit()

    def describe(self, layer: Image, labels_name: str | None) -> ImageAnnotation:
        """Describe what was annotated on a layer."""
        image = self.of(layer)
        return ImageAnnotation(
            planes={
                key: state.committed
                for key, state in image.planes.items()
                if not state.committed.is_empty
            },
            classes=image.classes,
            chosen=image.chosen,
            labels_name=labels_name,
            log=image.history.log,
        )

    def restore(self, layer: Image, annotation: ImageAnnotation) -> None:
        """Put a description back; what was done on the layer before is forgotten."""
        image = self.of(layer)
        for key, state in image.planes.items():
            if key not in annotation.planes:
                state.pending.clear()
                state.annotation = state.committed = PlaneAnnotation()
        for key, plane in annotation.planes.items():
            state = image.plane(key)
            state.pending.clear()
            state.annotation = state.committed = plane
        image.classes, image.chosen = annotation.classes, annotation.chosen
        image.history.restart(annotation.log)
        self.classes_changed.emit()
        self.changed.emit()

    def close(self) -> None:
        """Let go of all listeners."""
        for signal in (self.changed, self.classes_changed, self.history_changed):
            signal.disconnect()


class Proposal(NamedTuple):
    """A change of prompts or options that waits for the embedding."""

    kind: str
    text: str
    annotation: PlaneAnnotation


@dataclass
class PlaneState:
    """What was done on one plane, and the layers that show it."""

    annotation: PlaneAnnotation = field(default_factory=PlaneAnnotation)
    """Prompts and options as the user wants them."""
    committed: PlaneAnnotation = field(default_factory=PlaneAnnotation)
    """The same without what waits for the embedding: cancelling goes back to it."""
    pending: list[Proposal] = field(default_factory=list)
    shown: tuple[Prompt, ...] = ()
    """The prompts that map and mask show."""
    threshold: float | None = None
    """The similarity that the mask is cut at."""
    wanted: NDArray[np.bool_] | None = None
    """(H, W) mask of the prompts."""
    taken: dict[int, int] = field(default_factory=dict)
    """Its pixels that other classes have, per class."""
    hides_mask: bool = False
    """Whether the mask is out of sight because a threshold is being dragged."""
    clusters: DerivedLabels | None = None
    similarity: DerivedMap | None = None
    mask: DerivedLabels | None = None
    points: PromptPoints | None = None
    preview: DerivedMap | None = None
    strokes: StrokeLayers | None = None
    structures: dict[str, DerivedMap] = field(default_factory=dict)


@dataclass
class ImageState:
    """What was done on one image layer."""

    planes: dict[PlaneKey, PlaneState] = field(default_factory=dict)
    classes: tuple[AnnotationClass, ...] = ()
    chosen: int | None = None
    labels: weakref.ref[Labels] | None = None
    history: History = field(default_factory=History)

    def plane(self, key: PlaneKey) -> PlaneState:
        """Return what was done on a plane."""
        return self.planes.setdefault(key, PlaneState())
