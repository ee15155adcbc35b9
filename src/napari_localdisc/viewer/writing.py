"""Masks, clusters, structures and predictions → labels, as steps to be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.annotation.sources import (
    Clusters,
    Prompts,
    Source,
    Structure,
)
from napari_localdisc.annotation.state import (
    AnnotationClass,
    PlaneAnnotation,
    merge_classes,
)
from napari_localdisc.core.colours import to_hex
from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.layers.colours import overlap_colours
from napari_localdisc.layers.labels import (
    LabelsEdit,
    check_value,
    overlap_by_class,
    read_plane,
    taken_pixels,
)
from napari_localdisc.layers.ours import DerivedLabels

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_localdisc.layers.plane import Plane

    from .classes import Classes
    from .embeddings import Embedded
    from .workspace import Workspace


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
            source = Prompts.of(annotation.prompts, annotation.options)
            if not source.positive:
                raise PromptError(
                    "There is no mask yet: turn on Find similar and click on what you "
                    "look for."
                )
            reading = source.read(known.embedding)
            source = replace(source, threshold=reading.threshold)
            entry = self._classes.chosen or self._classes.new()
            done = PlaneAnnotation((), replace(annotation.options, threshold=None))
            writing = _of_source(known, source, "add the mask", entry, reading.mask)
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
            from napari_localdisc.core.embedding.clusters import cluster_colours
            from napari_localdisc.core.model.card import MOST

            most = min(MOST, len(known.model.centres))
            source = Clusters(min(number, most), tuple(chosen))
            one = "structure" if len(chosen) == 1 else "structures"
            name = f"{one} {' + '.join(map(str, chosen))}"
            colour = cluster_colours(known.model, most)[chosen[0]]
            entry = self._named(name, colour)
            return _of_source(known, source, f"add {name}", entry)

        return make

    def add_structure(self, name: str) -> None:
        """Write a structure that the model names as the class of that name."""
        self.add(f"add structure {name}", self._structure(name))

    def preview_structure(self, name: str) -> None:
        """Show what `add_structure` would do, until ``preview.hide``."""
        self.show_effect(self._structure(name))

    def _structure(self, name: str) -> Make:
        def make(layer: Image, plane: Plane, known: Embedded) -> Writing:
            source, entry = Structure(name), self._named(name)
            return _of_source(known, source, f"add {name}", entry)

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
        check_value(labels, int(writing.wanted.max()))
        before = np.array(read_plane(labels, plane))
        after = merge_classes(before, writing.wanted, self.overwrite)
        kept = overlap_by_class(after, writing.wanted)
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
                "source": writing.source.to_json(),
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


def _of_source(
    known: Embedded,
    source: Source,
    text: str,
    entry: AnnotationClass,
    mask: NDArray[np.bool_] | None = None,
) -> Writing:
    if entry.background:
        raise PromptError(
            f"“{entry.name}” only says what is no class: choose another class."
        )
    wanted = (
        source.labels(known.embedding, entry.value)
        if mask is None
        else np.where(mask, entry.value, 0).astype(np.uint16)
    )
    return Writing(wanted, source, text, entry)


OPACITY = 0.85
DELAY = 100
"""Milliseconds after which what is pointed at shows."""


@dataclass(frozen=True)
class Writing:
    """What is to be written to labels, and how it was made.

    Attributes
    ----------
    wanted : ndarray
        (H, W) labels, 0 = nothing.
    source : Source
        What it was made from.
    text : str
        What it is, for people.
    entry : AnnotationClass or None
        The class that all of it becomes; None: several classes that are there already.
    """

    wanted: NDArray[np.integer]
    source: Source
    text: str
    entry: AnnotationClass | None = None


Make = Callable[["Image", "Plane", "Embedded"], Writing]
"""Makes what is to be written of a plane; changes nothing."""


@dataclass(frozen=True)
class Effect:
    """What adding something would do.

    Attributes
    ----------
    pixels : int
        How many are wanted.
    taken : mapping of int to int
        Those of them that other classes have, per class.
    """

    pixels: int
    taken: Mapping[int, int] = field(default_factory=dict)

    def describe(self, classes: Iterable[AnnotationClass], overwrites: bool) -> str:
        """Say it in a sentence."""
        taken = sum(self.taken.values())
        text = f"{self.pixels - taken:,} pixels"
        if taken:
            names = {entry.value: entry.name for entry in classes}
            whose = ", ".join(
                f"{count:,} of “{names.get(value, value)}”"
                for value, count in self.taken.items()
            )
            fate = "would be overwritten" if overwrites else "would stay"
            text += f"; in pink {whose} {fate}"
        return text + "."


class WritingPreview:
    """Shows in pink what other classes have of what would be added.

    The prompts' mask shows it by itself, see `Masks`; this is for clusters, structures
    and predictions.  Nothing is embedded for it.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        What has been written, and where.
    """

    changed = Signal()
    """Another effect, or none any more."""

    def __init__(self, workspace: Workspace, classes: Classes) -> None:
        self._workspace = workspace
        self._classes = classes
        self._make: Make | None = None
        self._overwrites: Callable[[], bool] = lambda: False
        self._effect: Effect | None = None
        self._shown: DerivedLabels | None = None
        self._said = self._said_before = ""
        classes.changed.connect(self._soon)
        classes.areas_changed.connect(self._soon)
        for signal in (
            workspace.image_changed,
            workspace.prompts_changed,  # also where another plane is shown
            workspace.model_changed,
        ):
            signal.connect(self._soon)

    def close(self) -> None:
        """Take the preview away, and let go of all listeners."""
        self.hide()
        self.changed.disconnect()

    @property
    def effect(self) -> Effect | None:
        """What adding what is previewed would do; None while nothing is."""
        return self._effect

    @property
    def layer(self) -> Labels | None:
        """The pixels that other classes have, if there are any, while in the viewer."""
        shown = self._shown
        layer: Labels | None = shown.layer(self._workspace.viewer) if shown else None
        return layer

    def show(self, make: Make, overwrites: Callable[[], bool]) -> None:
        """Preview what ``make`` makes of the plane that is shown, until `hide`.

        Parameters
        ----------
        make : callable
            Makes what would be written.
        overwrites : callable
            Whether pixels of other classes would be written to.
        """
        self._make, self._overwrites = make, overwrites
        if self._workspace.status != self._said:
            self._said = self._said_before = self._workspace.status
        # Not for what the mouse only passes
        self._workspace.pacer.soon("writing preview", DELAY, self.refresh)

    def hide(self) -> None:
        """Preview nothing any more."""
        if self._make is None:
            return
        self._make = None
        if self._workspace.status == self._said:
            self._workspace.say(self._said_before)
        self._show(None)

    def _soon(self) -> None:
        if self._make is not None:
            self._workspace.pacer.soon("writing preview", DELAY, self.refresh)

    def refresh(self) -> None:
        """Look again at what is previewed, and at the labels."""
        layer, plane = self._workspace.image, self._workspace.plane_here()
        known = self._workspace.known_here()
        if self._make is None:
            return
        if layer is None or plane is None or known is None:
            self._show(None)
            return
        try:
            writing = self._make(layer, plane, known)
        except LocalDiscError:
            self._show(None)  # it is said when it is to be added
            return
        labels = self._classes.labels_layer
        pixels = int(np.count_nonzero(writing.wanted))
        if labels is None:
            self._show(Effect(pixels))
        else:
            before = read_plane(labels, plane)
            taken = taken_pixels(before, writing.wanted)
            self._paint(layer, plane, taken)
            overlap = overlap_by_class(before, writing.wanted)
            self._show(Effect(pixels, overlap))
        self._say()

    def _say(self) -> None:
        """Say the effect, unless something else was said since."""
        if self._effect is None or self._workspace.status != self._said:
            return
        described = self._effect.describe(self._classes.entries, self._overwrites())
        self._said = f"Adding it: {described}"
        self._workspace.say(self._said)

    def _show(self, effect: Effect | None) -> None:
        if self._shown is not None and not (effect and effect.taken):
            self._shown.remove(self._workspace.viewer)
            self._shown = None
        if effect != self._effect:
            self._effect = effect
            self.changed.emit()

    def _paint(self, layer: Image, plane: Plane, taken: NDArray[np.bool_]) -> None:
        if not taken.any():
            return
        viewer = self._workspace.viewer
        pixels, placement = plane.expand(taken.view(np.uint8)), plane.placement(layer)
        colours = overlap_colours()
        metadata = {"overlap": True}
        if self._shown is not None and self._shown.update(
            viewer, pixels, colours, placement, metadata
        ):
            return
        self._shown = DerivedLabels(
            viewer,
            pixels,
            colours,
            placement,
            f"{layer.name} taken pixels{plane.caption}",
            metadata,
            keep_selection=True,
        )
        shown = self.layer
        if shown is not None:
            shown.opacity = OPACITY
            shown.editable = False
