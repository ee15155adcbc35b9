"""Masks, clusters, structures and predictions → labels, as steps to be undone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.annotation import sources
from napari_localdisc.annotation.by_hand import HandedOn
from napari_localdisc.annotation.state import (
    AnnotationClass,
    PlaneAnnotation,
    by_group,
    changed_class,
    free_group,
    groups_of,
    merge_classes,
    take_back,
)
from napari_localdisc.core.colours import to_hex
from napari_localdisc.core.errors import LocalDiscError, PromptError
from napari_localdisc.core.model.card import MOST
from napari_localdisc.layers.colours import overlap_colours
from napari_localdisc.layers.labels import (
    LabelsEdit,
    check_value,
    overlap_by_class,
    read_plane,
    taken_pixels,
)
from napari_localdisc.layers.ours import Look
from napari_localdisc.layers.plane import grid_of

from .classes import Classes
from .embeddings import Embedded
from .groups import Groups
from .shown import Place, Shown
from .work import disconnect_all
from .workspace import Workspace


class LabelWriting:
    """Writes to the labels of the image that is worked on.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        What is written, and where.
    groups : Groups
        Gives classes that would take each other's pixels groups of their own.

    Attributes
    ----------
    preview : WritingPreview
        What adding clusters, a structure or a prediction would do.
    """

    overwrite_changed = Signal(bool)
    """Whether pixels of other classes may be written to."""

    def __init__(self, workspace: Workspace, classes: Classes, groups: Groups) -> None:
        self._workspace = workspace
        self._classes = classes
        self._groups = groups
        self.overwrite = False
        """Whether pixels of other classes may be written to."""
        self.preview = WritingPreview(workspace, classes, lambda: self.overwrite)
        classes.may_overlap_changed.connect(self.preview.refresh)

    def close(self) -> None:
        """Let go of all listeners."""
        self.preview.close()
        disconnect_all(self)

    def set_overwrite(self, overwrite: bool) -> None:
        """Let what is added replace pixels of other classes, or leave them."""
        if overwrite != self.overwrite:
            self.overwrite = overwrite
            self.overwrite_changed.emit(overwrite)
            self.preview.refresh()

    def clusters(self, clusters: Sequence[int], number: int) -> Make:
        """Make clusters, merged, a class of their own.

        Parameters
        ----------
        clusters : sequence of int
            Labels of ``embedding.clusters(number)``.
        number : int
            How many clusters the image is shown in.
        """
        chosen = sorted({int(cluster) for cluster in clusters})

        def make(place: Place, known: Embedded) -> Writing:
            if not chosen:
                raise PromptError("Choose structures first: click their colours.")
            from napari_localdisc.core.embedding.clusters import cluster_colours
            from napari_localdisc.core.embedding.named import cluster_names

            most = min(MOST, len(known.model.centres))
            source = sources.Clusters(min(number, most), tuple(chosen))
            names = cluster_names(known.model.card, source.number)
            name = class_of_clusters(chosen, names)
            colour = to_hex(cluster_colours(known.model, most)[chosen[0]])
            entry = self._named(name, colour)
            return of_source(known, source, f"add {name}", entry)

        return make

    def add_structure(self, name: str) -> None:
        """Write a structure that the model names as the class of that name."""
        self.add(f"add structure {name}", self._structure(name), name)

    def preview_structure(self, name: str) -> None:
        """Show what `add_structure` would do, until ``preview.hide``."""
        make = self._structure(name)

        def unless_it_takes_a_look(place: Place, known: Embedded) -> Writing:
            if not known.embedding.is_looked_at(name):
                raise PromptError(f"“{name}” is looked at closer once it is added.")
            return make(place, known)

        self.preview.show(unless_it_takes_a_look)

    def _structure(self, name: str) -> Make:
        def make(place: Place, known: Embedded) -> Writing:
            colour = self._workspace.models.colours.get(name, "")
            options = place.state.annotation.structures.get(name)
            tuned = {} if options is None else options.given
            source = sources.Structure(name=name, **tuned)
            entry = self._named(name, colour)
            return of_source(known, source, f"add {name}", entry)

        return make

    def add(self, purpose: str, make: Make, structure: str = "") -> None:
        """Write what is made of the plane that is shown, once it is embedded.

        ``structure`` is one that it is made of.
        """

        def write(place: Place, known: Embedded) -> None:
            self.write(place, known, make(place, known))

        self._workspace.do(purpose, write, structure)

    def _named(self, name: str, colour: str = "") -> AnnotationClass:
        for entry in self._classes.entries:
            if entry.name == name and not entry.background:
                return entry
        return self._classes.new(name, colour)

    def write(
        self,
        place: Place,
        known: Embedded,
        writing: Writing,
        annotation: PlaneAnnotation | None = None,
    ) -> str:
        """Write to the labels, as a step that can be undone.

        Returns
        -------
        str
            What is said of it.

        Raises
        ------
        PromptError
            If the labels layer cannot be written to.
        """
        if not writing.wanted.any():
            raise PromptError("The mask is empty: lower the threshold, or click again.")
        document, entry = place.document, writing.entry
        earlier = self._earlier(place, known, writing)
        with self._classes.writing():
            written = self._write_groups(place, known, writing, earlier)
            changes: dict[str, Any] = {"edits": written.edits}
            if written.classes != document.classes:
                changes["classes"] = written.classes
            if entry is not None and document.chosen != entry.value:
                changes["chosen"] = entry.value
            if annotation is not None:
                changes["annotation"] = annotation
            parameters = {
                "source": writing.source.to_json(),
                "value": entry.value if entry is not None else None,
                "overwrite": self.overwrite,
                **({"meaning": writing.meaning} if writing.meaning else {}),
                **({} if earlier is None else {"instead": earlier.to_json()}),
                **({"groups": written.groups} if written.groups else {}),
                **known.provenance(),
            }
            document.do(place.plane.index, "write", writing.text, parameters, **changes)
        what = f"“{entry.name}”" if entry is not None else "the prediction"
        where = " and ".join(f"“{name}”" for name in written.names)
        text = f"{written.pixels:,} pixels written as {what} in {where}"
        if written.gone:
            text += f"; {written.gone:,} that it no longer has were taken away"
        if written.taken:
            fate = "overwriting" if self.overwrite else "left as they were"
            text += f"; {fate}: {_whose(written.taken, document.classes)}"
        if written.by_hand:
            text += f"; {written.by_hand:,} stay as they are by hand"
        if written.apart:
            text += f"; {' and '.join(written.apart)} may overlap other classes now"
        text += "."
        if not self.overwrite and sum(written.taken.values()) > written.pixels:
            text += " To have it whole tick “May overlap” and add it again."
        self._workspace.status.say(text)
        return text

    def _write_groups(
        self,
        place: Place,
        known: Embedded,
        writing: Writing,
        earlier: sources.Structure | None,
    ) -> _Written:
        """Write each class to the layer of its group; nothing that would be undone."""
        entry, classes = writing.entry, place.document.classes
        if entry is not None and entry not in classes:
            classes = (*classes, entry)
        written = _Written(classes)
        if self._classes.may_overlap:
            self._set_apart(place, writing, written)
        groups = groups_of(written.classes)
        if groups or written.edits:
            values = np.flatnonzero(np.bincount(writing.wanted.ravel()))
            written.groups = {int(v): groups.get(int(v), 0) for v in values if v}
        for group, wanted in by_group(writing.wanted, groups).items():
            name = "" if entry is None else entry.name
            labels = self._classes.target(place, group, name)
            check_value(labels, int(wanted.max()))
            before = np.array(read_plane(labels, place.plane))
            hand = self._classes.by_hand(labels, place.plane)
            left = hand.left_out(before, wanted, writing.source.pointed_at)
            kept = wanted = np.where(left, 0, wanted)
            base = before
            if earlier is not None and entry is not None:
                was = earlier.labels(known.embedding, entry.value)
                base = take_back(before, wanted, was)
                painted = hand.painted(before) & (base == 0)
                base = np.where(painted, before, base)
            after = merge_classes(base, wanted, self.overwrite)
            edit = LabelsEdit(labels, place.plane, before, after, hand)
            edit.redo()
            gone = int(np.count_nonzero((after == 0) & (before != 0)))
            written.edits += (edit,)
            written.names.append(labels.name)
            written.gone += gone
            written.pixels += edit.pixels - gone
            held = taken_pixels(before, kept)
            written.taken.update(overlap_by_class(before, held))
            written.by_hand += int(np.count_nonzero(left))
        return written

    def _set_apart(self, place: Place, writing: Writing, written: _Written) -> None:
        """Give classes groups of their own that would take pixels, or not get them."""
        for entry in written.classes:
            mask = writing.wanted == entry.value
            labels = self._classes.of(place.layer, place.document, entry.group)[1]
            if labels is None or not mask.any():
                continue
            wanted = np.where(mask, entry.value, 0)
            before = np.asarray(read_plane(labels, place.plane))
            if not taken_pixels(before, wanted).any():
                continue
            others = [e for e in written.classes if e.value != entry.value]
            group = free_group(others)
            written.edits += self._groups.regroup(place, entry, group)
            written.classes = changed_class(written.classes, entry.value, group=group)
            written.apart.append(f"“{entry.name}”")

    @staticmethod
    def _earlier(
        place: Place, known: Embedded, writing: Writing
    ) -> sources.Structure | None:
        """Return how a structure was tuned that is now to be written otherwise."""
        source, entry = writing.source, writing.entry
        if not isinstance(source, sources.Structure) or entry is None:
            return None
        return sources.structure_written(
            place.document.history.log,
            place.plane.index,
            entry.value,
            source.name,
            known.model.hash,
        )


@dataclass
class _Written:
    classes: tuple[AnnotationClass, ...]
    edits: tuple[LabelsEdit | HandedOn, ...] = ()
    groups: dict[int, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)
    apart: list[str] = field(default_factory=list)
    pixels: int = 0
    gone: int = 0
    by_hand: int = 0


def class_of_clusters(clusters: Sequence[int], names: Mapping[int, str]) -> str:
    """Name the class that clusters become, some of which have names."""
    if len(clusters) == 1 and names.get(clusters[0]):
        return names[clusters[0]]
    one = "structure" if len(clusters) == 1 else "structures"
    return f"{one} {' + '.join(map(str, sorted(clusters)))}"


def _whose(counts: Mapping[int, int], classes: Iterable[AnnotationClass]) -> str:
    names = {entry.value: entry.name for entry in classes}
    return ", ".join(
        f"{count:,} of “{names.get(value, value)}”" for value, count in counts.items()
    )


def of_source(
    known: Embedded,
    source: sources.Source,
    text: str,
    entry: AnnotationClass,
    mask: NDArray[np.bool_] | None = None,
    meaning: str = "",
) -> Writing:
    """Write what a source makes of an image, or its mask if it is there, as a class.

    Raises
    ------
    PromptError
        If that only says what is no class.
    """
    if entry.background:
        raise PromptError(
            f"“{entry.name}” only says what is no class: choose another class."
        )
    wanted = (
        source.labels(known.embedding, entry.value)
        if mask is None
        else np.where(mask, entry.value, 0).astype(np.uint16)
    )
    return Writing(wanted, source, text, entry, meaning)


OPACITY = 0.85
DELAY = 100
"""Milliseconds after which what is pointed at shows."""

_TAKEN = "taken pixels"


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
    meaning : str
        The structure that prompts mean; empty if none.
    """

    wanted: NDArray[np.integer]
    source: sources.Source
    text: str
    entry: AnnotationClass | None = None
    meaning: str = ""


Make = Callable[["Place", "Embedded"], Writing]
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
    by_hand : int
        Those beside them that stay as they were painted or rubbed out by hand.
    """

    pixels: int
    taken: Mapping[int, int] = field(default_factory=dict)
    by_hand: int = 0

    def describe(self, classes: Iterable[AnnotationClass], overwrites: bool) -> str:
        """Say it in a sentence."""
        taken = sum(self.taken.values())
        text = f"{self.pixels - taken:,} pixels"
        if taken:
            fate = "would be overwritten" if overwrites else "would stay"
            text += f"; in pink {_whose(self.taken, classes)} {fate}"
        if self.by_hand:
            text += f"; {self.by_hand:,} would stay as they are by hand"
        return text + "."


class WritingPreview:
    """Shows in pink what other classes have of what would be added.

    The prompts' mask shows it by itself, see `Masks`; this is for clusters, structures
    and predictions.  Nothing is embedded for it.  In napari's grid, where a layer that
    comes moves the others to other cells, it is said and not shown.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        What has been written, and where.
    overwrites : callable
        Whether pixels of other classes would be written to.
    """

    changed = Signal()
    """Another effect, or none any more."""

    def __init__(
        self, workspace: Workspace, classes: Classes, overwrites: Callable[[], bool]
    ) -> None:
        self._workspace = workspace
        self._classes = classes
        self._overwrites = overwrites
        self._make: Make | None = None
        self.effect: Effect | None = None
        """What adding what is previewed would do; None while nothing is."""
        self._shown: Shown | None = None
        self._grid = grid_of(workspace.viewer)
        self._grid.events.enabled.connect(self._soon)
        for signal in (
            classes.changed,
            classes.areas_changed,
            workspace.plane_changed,
            workspace.model_changed,
        ):
            signal.connect(self._soon)

    def close(self) -> None:
        """Take the preview away, and let go of all listeners."""
        self.hide()
        self._grid.events.enabled.disconnect(self._soon)
        disconnect_all(self)

    @property
    def layer(self) -> Labels | None:
        """The pixels that other classes have, if there are any, while in the viewer."""
        return self._shown.layer(_TAKEN) if self._shown is not None else None

    def show(self, make: Make) -> None:
        """Preview what ``make`` makes of the plane that is shown, until `hide`."""
        self._make = make
        self._workspace.status.begin_aside()
        self._soon()  # and not at once for what the mouse only passes

    def hide(self) -> None:
        """Preview nothing any more."""
        if self._make is not None:
            self._make = None
            self._workspace.status.end_aside()
            self._take_away()
            self._set_effect(None)

    def _soon(self) -> None:
        if self._make is not None:
            self._workspace.pacer.soon("writing preview", DELAY, self.refresh)

    def refresh(self) -> None:
        """Look again at what is previewed, and at the labels."""
        if self._make is None:
            return
        place = self._workspace.place_or_none()
        known = self._workspace.known(place)
        effect = None
        if place is not None and known is not None:
            # What cannot be written is said when it is to be added
            with contextlib.suppress(LocalDiscError):
                effect = self._show(place, self._make(place, known))
        if effect is None or not effect.taken:
            self._take_away()
        self._set_effect(effect)
        if effect is not None:
            described = effect.describe(self._classes.entries, self._overwrites())
            self._workspace.status.say_aside(f"Adding it: {described}")

    def _set_effect(self, effect: Effect | None) -> None:
        if effect != self.effect:
            self.effect = effect
            self.changed.emit()

    def _take_away(self) -> None:
        if self._shown is not None:
            self._shown.remove(_TAKEN)
            self._shown = None

    def _show(self, place: Place, writing: Writing) -> Effect:
        classes, wanted = self._classes, writing.wanted
        pixels, by_hand = int(np.count_nonzero(wanted)), 0
        taken, counts = np.zeros(wanted.shape, bool), dict[int, int]()
        new = () if writing.entry is None else (writing.entry,)
        for group, labels in classes.layers.items():
            entries = (*classes.entries, *new)
            others = [entry.value for entry in entries if entry.group != group]
            own = np.where(np.isin(wanted, others), 0, wanted) if others else wanted
            before = read_plane(labels, place.plane)
            hand = classes.by_hand(labels, place.plane)
            left = hand.left_out(before, own, writing.source.pointed_at)
            by_hand += int(np.count_nonzero(left))
            if not classes.may_overlap:
                held = taken_pixels(before, np.where(left, 0, own))
                taken |= held
                counts |= overlap_by_class(before, held)
        if place.shown is not self._shown or self._grid.enabled:
            self._take_away()
        if taken.any() and not self._grid.enabled:
            look = Look(overlap_colours(), OPACITY, editable=False)
            place.show(_TAKEN, taken.view(np.uint8), look, {"overlap": True})
            self._shown = place.shown
        return Effect(pixels - by_hand, counts, by_hand)
