"""What a hand did to images, plane by plane: proposed, committed, undone, described.

Every change goes through here, so that it can be undone and is in the log.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal
from pydantic_core import to_jsonable_python

from .history import Edit, History, Snapshot, Step
from .state import (
    AnnotationClass,
    ImageAnnotation,
    Operation,
    PlaneAnnotation,
    PlaneKey,
    Point,
    within,
)


class Annotations:
    """A document for each image, for as long as the image lives."""

    changed = Signal()
    """There is something new to save."""
    classes_changed = Signal()
    """Classes, or which one is chosen, or the layer that holds them."""
    history_changed = Signal()
    """There may be something else to undo or redo."""

    def __init__(self) -> None:
        self._documents: weakref.WeakKeyDictionary[Any, Document]
        self._documents = weakref.WeakKeyDictionary()

    def of(self, image: Any) -> Document:
        """Return the document of an image, such as its layer."""
        document = self._documents.get(image)
        if document is None:
            document = self._documents[image] = Document(self)
        return document

    def on(self, image: Any, key: PlaneKey) -> tuple[Document, PlaneState]:
        """Return the document of an image, and what was done on a plane of it."""
        document = self.of(image)
        return document, document.plane(key)


class Proposal(NamedTuple):
    """A change of prompts or options that waits for the embedding."""

    kind: str
    text: str
    annotation: PlaneAnnotation


@dataclass
class PlaneState:
    """What was done on one plane."""

    committed: PlaneAnnotation = field(default_factory=PlaneAnnotation)
    """Prompts and options; cancelling goes back to them."""
    pending: list[Proposal] = field(default_factory=list)
    """What waits for the embedding, oldest first."""

    @property
    def annotation(self) -> PlaneAnnotation:
        """Prompts and options as the user wants them."""
        return self.pending[-1].annotation if self.pending else self.committed

    def settle(self, annotation: PlaneAnnotation) -> None:
        """Let prompts and options be these, and nothing wait."""
        self.pending.clear()
        self.committed = annotation


class Document:
    """What was done on one image.

    Parameters
    ----------
    told : Annotations
        Whose signals tell of changes.

    Attributes
    ----------
    planes : dict of PlaneKey to PlaneState
        Those that were looked at.
    classes : tuple of AnnotationClass
        In the order of the table.
    chosen : int or None
        Value of the class that masks become.
    layers : dict of int to weakref
        Of the layers that hold the classes, by group.
    history : History
        Its steps.
    """

    def __init__(self, told: Annotations) -> None:
        self._told = told
        self.planes: dict[PlaneKey, PlaneState] = {}
        self.classes: tuple[AnnotationClass, ...] = ()
        self.chosen: int | None = None
        self.layers: dict[int, weakref.ref[Any]] = {}
        self.history = History(told.history_changed.emit)

    def plane(self, key: PlaneKey) -> PlaneState:
        """Return what was done on a plane."""
        return self.planes.setdefault(key, PlaneState())

    # Prompts and options, which wait for the embedding

    def propose(
        self, key: PlaneKey, kind: str, text: str, annotation: PlaneAnnotation
    ) -> None:
        """Change a plane's prompts or options; it counts once `commit` is called."""
        self.plane(key).pending.append(Proposal(kind, text, annotation))

    def commit(self, key: PlaneKey, field_of_view: NDArray[np.bool_]) -> int:
        """Make what was proposed steps that can be undone.

        Returns
        -------
        int
            How many prompts lie outside the field of view; they are dropped.
        """
        state = self.plane(key)
        if not state.pending:
            return 0
        proposed = state.pending[:]
        state.pending.clear()
        for kind, text, wanted in proposed:
            after = replace(wanted, prompts=within(wanted.prompts, field_of_view))
            if after != state.committed:
                parameters = {kind: to_jsonable_python(getattr(after, kind))}
                self._push(Operation(kind, text, key, parameters), annotation=after)
        self._told.changed.emit()
        return len(wanted.prompts) - len(state.committed.prompts)

    def choose_into(self, key: PlaneKey, value: int | None) -> None:
        """Say which class the mask of a plane's prompts becomes; not to be undone."""
        state = self.plane(key)
        state.committed = replace(state.committed, into=value)
        state.pending[:] = [
            each._replace(annotation=replace(each.annotation, into=value))
            for each in state.pending
        ]
        self._tell()

    def accept(
        self, key: PlaneKey, text: str, accepted: tuple[tuple[int, Point], ...]
    ) -> None:
        """Note which pieces of a plane are accepted, as a step to be undone."""
        annotation = replace(self.plane(key).committed, accepted=accepted)
        parameters = {"accepted": to_jsonable_python(accepted)}
        self.do(key, "accept", text, parameters, annotation=annotation)

    # Everything else

    def do(
        self,
        key: PlaneKey,
        kind: str,
        text: str,
        parameters: Mapping[str, Any],
        **changes: Any,
    ) -> None:
        """Apply a change as a step that can be undone.

        Parameters
        ----------
        key : PlaneKey
            The plane that it was done on.
        kind, text, parameters
            As in `Operation`.
        **changes
            ``annotation`` of the plane, ``classes``, ``chosen``: what they are now; and
            ``edits``: the pixels that were changed already, in that order.
        """
        self._push(Operation(kind, text, key, parameters), **changes)
        self._tell("classes" in changes or "chosen" in changes)

    def _push(
        self, operation: Operation, *, edits: tuple[Edit, ...] = (), **changes: Any
    ) -> None:
        state = self.plane(operation.plane)
        before = Snapshot(state.committed, self.classes, self.chosen)
        if "annotation" in changes:
            state.settle(changes["annotation"])
        self.classes = changes.get("classes", self.classes)
        self.chosen = changes.get("chosen", self.chosen)
        after = Snapshot(state.committed, self.classes, self.chosen)
        self.history.push(Step(operation, before, after, edits))

    def set_classes(
        self, classes: tuple[AnnotationClass, ...], chosen: int | None
    ) -> None:
        """Change what is seen or chosen: nothing that would be undone."""
        if (classes, chosen) != (self.classes, self.chosen):
            self.classes, self.chosen = classes, chosen
            self._tell()

    def set_labels(self, labels: Any | None, group: int = 0) -> None:
        """Say which layer holds the classes of a group."""
        self.layers.pop(group, None)
        if labels is not None:
            self.layers[group] = weakref.ref(labels)
        self._tell()

    @property
    def labels(self) -> dict[int, Any]:
        """The layers that hold the classes and are still there, by group."""
        held = {group: layer() for group, layer in sorted(self.layers.items())}
        return {group: layer for group, layer in held.items() if layer is not None}

    def _tell(self, classes: bool = True) -> None:
        if classes:
            self._told.classes_changed.emit()
        self._told.changed.emit()

    # Undo and redo

    def undo(self) -> Operation | None:
        """Take back the newest step; None if there is none."""
        for key, state in self.planes.items():
            if state.pending:
                last = state.pending.pop()
                return Operation(last.kind, last.text, key, {})
        return self._move(undoes=True)

    def redo(self) -> Operation | None:
        """Do again what was undone last; None if there is nothing."""
        return self._move(undoes=False)

    def _move(self, undoes: bool) -> Operation | None:
        step = self.history.undo() if undoes else self.history.redo()
        if step is None:
            return None
        for edit in reversed(step.edits) if undoes else step.edits:
            (edit.undo if undoes else edit.redo)()
        snapshot = step.before if undoes else step.after
        self.plane(step.operation.plane).settle(snapshot.plane)
        seen = {entry.value: entry.visible for entry in self.classes}
        classes = tuple(
            replace(entry, visible=seen.get(entry.value, entry.visible))
            for entry in snapshot.classes
        )
        others = (classes, snapshot.chosen) != (self.classes, self.chosen)
        self.classes, self.chosen = classes, snapshot.chosen
        self._tell(others or bool(step.edits))
        return step.operation

    # As a whole

    def forget_planes(self) -> None:
        """Drop prompts and history: the image has other data now, or is gone."""
        for state in self.planes.values():
            state.settle(PlaneAnnotation())
        self.history.restart()
        self._told.changed.emit()

    def describe(self, labels_name: str | None = None) -> ImageAnnotation:
        """Describe what was annotated, in a layer of this name."""
        return ImageAnnotation(
            planes={
                key: state.committed
                for key, state in self.planes.items()
                if not state.committed.is_empty
            },
            classes=self.classes,
            chosen=self.chosen,
            labels_name=labels_name,
            log=self.history.log,
        )

    def restore(self, annotation: ImageAnnotation) -> None:
        """Put a description back; what was done before is forgotten."""
        for key in {*self.planes, *annotation.planes}:
            plane = annotation.planes.get(key, PlaneAnnotation())
            self.plane(key).settle(plane)
        self.classes, self.chosen = annotation.classes, annotation.chosen
        self.history.restart(annotation.log)
        self._tell()
