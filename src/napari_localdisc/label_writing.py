"""Masks, clusters, structures and predictions → labels, as steps to be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from . import labels_target
from .annotation_state import PlaneAnnotation, split
from .core.colours import to_hex
from .core.errors import PromptError
from .labels_target import LabelsEdit
from .masks import mask_of
from .writing_preview import Writing, WritingPreview

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

    from .annotation_state import AnnotationClass
    from .classes import Classes
    from .embedding_work import Embedded
    from .layers import Plane
    from .workspace import Workspace
    from .writing_preview import Make

STRUCTURE_THRESHOLD = 0.5
"""A structure's probability from which a pixel belongs to its mask (IPMI 2021)."""


class LabelWriting:
    """Writes to the labels of the image that is worked on.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        What is written, and where.

    Attributes
    ----------
    preview : WritingPreview
        What adding clusters, a structure or a prediction would do.
    """

    overwrite_changed = Signal(bool)
    """Whether pixels of other classes may be written to."""

    def __init__(self, workspace: Workspace, classes: Classes) -> None:
        self._workspace = workspace
        self._classes = classes
        self._overwrite = False
        self.preview = WritingPreview(workspace, classes)

    def close(self) -> None:
        """Let go of all listeners."""
        self.preview.close()
        self.overwrite_changed.disconnect()

    @property
    def overwrite(self) -> bool:
        """Whether pixels of other classes may be written to; not at first."""
        return self._overwrite

    def set_overwrite(self, overwrite: bool) -> None:
        """Let what is added replace pixels of other classes, or leave them."""
        if overwrite != self._overwrite:
            self._overwrite = overwrite
            self.overwrite_changed.emit(overwrite)
            self.preview.refresh()

    def add_mask(self) -> None:
        """Write the mask of the prompts as the chosen class; the prompts are done."""

        def write(layer: Image, plane: Plane, known: Embedded) -> None:
            state = self._workspace.annotations.on(layer, plane)
            self._workspace.annotations.commit(
                layer, plane, known.embedding.field_of_view
            )
            annotation = state.committed
            positive, negative = split(annotation.prompts)
            if not positive:
                raise PromptError(
                    "There is no mask yet: turn on Find similar and click on what you "
                    "look for."
                )
            mask, threshold = mask_of(known.embedding, annotation)
            options = annotation.options
            entry = self._classes.chosen or self._classes.new()
            done = PlaneAnnotation((), replace(options, threshold=None))
            source = {
                "kind": "prompts",
                "positive": [list(point) for point in positive],
                "negative": [list(point) for point in negative],
                "threshold": threshold,
                "connected": options.connected,
                "smooth": options.smooth,
                "minimum_size": options.minimum_size,
            }
            writing = _of_mask(mask, source, "add the mask", entry)
            self.write(layer, plane, known, writing, done)
            said = self._workspace.status
            self._workspace.refresh_plane(layer, plane)
            self._workspace.say(said)

        self._workspace.request("add mask", write)

    def add_clusters(self, clusters: Sequence[int], number: int) -> None:
        """Write clusters, merged, as a class of their own.

        Parameters
        ----------
        clusters : sequence of int
            Labels of ``embedding.clusters(number)``.
        number : int
            How many clusters the image is shown in.
        """
        self.add("add clusters", self._clusters(clusters, number))

    def preview_clusters(self, clusters: Sequence[int], number: int) -> None:
        """Show what `add_clusters` would do, until ``preview.hide``."""
        self.show_effect(self._clusters(clusters, number))

    def _clusters(self, clusters: Sequence[int], number: int) -> Make:
        chosen = sorted({int(cluster) for cluster in clusters})

        def make(layer: Image, plane: Plane, known: Embedded) -> Writing:
            if not chosen:
                raise PromptError("Choose structures first: click their colours.")
            from .core.clustering import MOST, cluster_colours

            most = min(MOST, len(known.model.centres))
            mask = np.isin(known.embedding.clusters(min(number, most)), chosen)
            one = "structure" if len(chosen) == 1 else "structures"
            name = f"{one} {' + '.join(map(str, chosen))}"
            colour = cluster_colours(known.model, most)[chosen[0]]
            source = {"kind": "clusters", "number": min(number, most)}
            source["clusters"] = chosen
            return _of_mask(mask, source, f"add {name}", self._named(name, colour))

        return make

    def add_structure(self, name: str) -> None:
        """Write a structure that the model names as the class of that name."""
        self.add(f"add structure {name}", self._structure(name))

    def preview_structure(self, name: str) -> None:
        """Show what `add_structure` would do, until ``preview.hide``."""
        self.show_effect(self._structure(name))

    def _structure(self, name: str) -> Make:
        def make(layer: Image, plane: Plane, known: Embedded) -> Writing:
            threshold = STRUCTURE_THRESHOLD
            mask = known.embedding.structure(name) >= threshold
            source = {"kind": "structure", "name": name, "threshold": threshold}
            return _of_mask(mask, source, f"add {name}", self._named(name))

        return make

    def show_effect(self, make: Make) -> None:
        """Show what adding something would do, until ``preview.hide``."""
        self.preview.show(make, lambda: self.overwrite)

    def add(self, purpose: str, make: Make) -> None:
        """Write what is made of the plane that is shown, once it is embedded."""

        def write(layer: Image, plane: Plane, known: Embedded) -> None:
            self.write(layer, plane, known, make(layer, plane, known))

        self._workspace.request(purpose, write)

    def _named(self, name: str, colour: Any = None) -> AnnotationClass:
        for entry in self._classes.entries:
            if entry.name == name and not entry.background:
                return entry
        if colour is None:
            return self._classes.new(name)
        return self._classes.new(name, to_hex(colour))

    def write(
        self,
        layer: Image,
        plane: Plane,
        known: Embedded,
        writing: Writing,
        annotation: PlaneAnnotation | None = None,
    ) -> None:
        """Write to the labels, as a step that can be undone.

        Raises
        ------
        PromptError
            If the labels layer cannot be written to.
        """
        if not writing.wanted.any():
            raise PromptError("The mask is empty: lower the threshold, or click again.")
        classes, entry = self._classes, writing.entry
        entries, chosen = classes.entries, classes.chosen
        value = entry.value if entry is not None else None
        labels = classes.target()
        labels_target.check_value(labels, int(writing.wanted.max()))
        before = np.array(labels_target.read_plane(labels, plane))
        after = labels_target.merge(before, writing.wanted, self.overwrite)
        kept = labels_target.overlap(after, writing.wanted)
        edit = LabelsEdit(labels, plane, before, after)
        with classes.writing():
            edit.redo()
            changes: dict[str, Any] = {"edit": edit}
            if entry is not None and entry not in entries:
                changes["classes"] = (*entries, entry)
            if entry is not None and (chosen is None or chosen.value != value):
                changes["chosen"] = value
            if annotation is not None:
                changes["annotation"] = annotation
            parameters = {
                "source": writing.source,
                "value": value,
                "overwrite": self.overwrite,
                "model": known.model.card.name,
                "model_hash": known.model.hash,
            }
            self._workspace.annotations.do(
                layer, plane.key, "write", writing.text, parameters, **changes
            )
        self._workspace.say(self._written(edit.pixels, kept, entry))

    def _written(
        self, pixels: int, kept: dict[int, int], entry: AnnotationClass | None
    ) -> str:
        what = f"“{entry.name}”" if entry is not None else "the prediction"
        text = f"{pixels:,} pixels written as {what}."
        if kept:
            names = {other.value: other.name for other in self._classes.entries}
            stayed = ", ".join(
                f"{count:,} of “{names.get(value, value)}”"
                for value, count in kept.items()
            )
            text += f" Left as they were: {stayed}."
        return text


def _of_mask(
    mask: NDArray[np.bool_],
    source: dict[str, Any],
    text: str,
    entry: AnnotationClass,
) -> Writing:
    if entry.background:
        raise PromptError(
            f"“{entry.name}” only says what is no class: choose another class."
        )
    wanted = np.where(mask, entry.value, 0).astype(np.uint16)
    return Writing(wanted, source, text, entry)
