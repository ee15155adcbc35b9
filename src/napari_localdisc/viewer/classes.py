"""The classes of an image's labels: a table, and the layers that hold them.

Classes of one group exclude each other and lie in one layer; classes of different
groups may overlap.
"""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from psygnal import Signal
from pydantic_core import to_jsonable_python

from napari_localdisc.annotation.by_hand import ByHand
from napari_localdisc.annotation.document import Document
from napari_localdisc.annotation.state import (
    LARGEST_CLASS,
    AnnotationClass,
    PlaneKey,
    Run,
    changed_class,
    free_group,
    groups_in,
)
from napari_localdisc.core.colours import known_colour
from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.names import find_name
from napari_localdisc.layers.files import (
    group_of,
    our_metadata,
    said_classes,
    source_of,
)
from napari_localdisc.layers.labels import (
    MOST_CLASSES,
    LabelsEdit,
    colour_of,
    dress_labels,
    erase_class,
    image_shape,
    labels_candidates,
    new_labels,
    read_plane,
    values_in,
    why_no_target,
)
from napari_localdisc.layers.plane import Plane

from .shown import Destination, Place
from .work import disconnect_all
from .workspace import Workspace

COLOURS = (
    "#00e5ff",
    "#ffd600",
    "#d500f9",
    "#76ff03",
    "#448aff",
    "#ff9100",
    "#ffffff",
    "#1de9b6",
    "#ff80ab",
    "#b388ff",
)
"""Of new classes, in turn; none is a retina's own."""

BACKGROUND_COLOUR = "#5a5a5a"
BACKGROUND = "background"


class Held(NamedTuple):
    """What a plane holds of a group of classes.

    Attributes
    ----------
    pixels : ndarray
        (H, W) labels as they are.
    by_hand : ByHand
        What a hand painted and rubbed out, as last noticed.
    """

    pixels: NDArray[np.integer]
    by_hand: ByHand


class Classes:
    """Classes of the image that is worked on; changes can be undone.

    Parameters
    ----------
    workspace : Workspace
        Whose image it is.
    """

    changed = Signal()
    """Another table, class chosen or labels layer; the areas may be others, too."""
    areas_changed = Signal()
    """Labels were written or painted, and nothing else changed."""
    may_overlap_changed = Signal(bool)
    """Whether classes may overlap from now on."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.may_overlap = False
        """Whether new classes, and old ones that would lose pixels, get own groups."""
        self._followed: list[Labels] = []
        self._hands: weakref.WeakKeyDictionary[Labels, dict[PlaneKey, ByHand]]
        self._hands = weakref.WeakKeyDictionary()
        self._begun_empty: weakref.WeakSet[Labels] = weakref.WeakSet()
        self._is_writing = self._is_behind = False
        workspace.annotations.classes_changed.connect(self._on_changed)
        workspace.image_changed.connect(self._on_changed)
        workspace.viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Follow the labels layer no longer."""
        self._workspace.viewer.layers.events.removed.disconnect(self._on_removed)
        self._follow([])
        disconnect_all(self)

    # The table

    @property
    def document(self) -> Document | None:
        """What was done on the image that is worked on."""
        layer = self._workspace.images.current
        return None if layer is None else self._workspace.annotations.of(layer)

    @property
    def entries(self) -> tuple[AnnotationClass, ...]:
        """The classes, in the order of the table."""
        document = self.document
        return () if document is None else document.classes

    @property
    def chosen(self) -> AnnotationClass | None:
        """The class that masks become."""
        document = self.document
        return None if document is None else _chosen(document)

    def of(
        self, layer: Image, document: Document, group: int | None = None
    ) -> tuple[AnnotationClass | None, Labels | None]:
        """Return the chosen class of an image, and the layer that holds its group.

        Or the layer of another group.
        """
        chosen = _chosen(document)
        if group is None:
            group = 0 if chosen is None else chosen.group
        held = document.layers.get(group)
        labels = held() if held is not None else None
        if labels is not None and (
            labels not in self._workspace.viewer.layers
            or tuple(labels.data.shape) != image_shape(layer)  # it has other data now
        ):
            labels = None
        return chosen, labels

    def find(self, value: int) -> AnnotationClass:
        """Return a class.

        Raises
        ------
        PromptError
            If there is none of this value.
        """
        for entry in self.entries:
            if entry.value == value:
                return entry
        raise PromptError(f"There is no class {value}: choose one of the table.")

    def destination(
        self, place: Place, meaning: str = ""
    ) -> tuple[Destination, Held | None]:
        """Say which class the mask of a place's prompts becomes.

        The class that was chosen while the prompts were there.  Else, in this order:
        the selected class if it is new, that is, of no known structure's name and empty
        so far; the class that the same meaning was written to last; the one of its
        name; a new one of that name.  Prompts that mean no structure go to the
        selected class.

        Parameters
        ----------
        place : Place
            Where the prompts are.
        meaning : str
            The structure that they mean; empty: what looks like them.

        Returns
        -------
        destination : Destination
            The class.
        held : Held or None
            What the plane holds of that class's group; None: there are no labels.
        """
        selected, labels = self.of(place.layer, place.document)
        pixels = None if labels is None else read_plane(labels, place.plane)
        found = self._destination(place, meaning, pixels)
        group = 0 if found.entry is None else found.entry.group
        if group != (0 if selected is None else selected.group):
            labels = self.of(place.layer, place.document, group)[1]
            pixels = None if labels is None else read_plane(labels, place.plane)
        if labels is None or pixels is None:
            return found, None
        return found, Held(pixels, self._by_hand(labels, place.plane, pixels))

    def _destination(
        self, place: Place, meaning: str, pixels: NDArray[np.integer] | None
    ) -> Destination:
        document, into = place.document, place.state.committed.into
        table = {e.value: e for e in document.classes if not e.background}
        selected = _chosen(document)
        if into in table:
            return _into(table[into])
        if not meaning:
            return Destination() if selected is None else _into(selected)
        if selected is not None and selected.value in table:
            has_pixels = pixels is not None and (pixels == selected.value).any()
            if not has_pixels and not self._is_known(selected.name):
                return _into(selected)
        written = (
            operation.parameters["value"]
            for operation in reversed(document.history.log)
            if operation.parameters.get("meaning") == meaning
        )
        value = next((value for value in written if value in table), None)
        if value is not None:
            return _into(table[value])
        named = {entry.name: entry for entry in reversed(table.values())}
        found = named.get(meaning)
        if found is None and named:
            found = named.get(find_name(list(named), meaning) or "")
        return Destination(None, meaning) if found is None else _into(found)

    def _is_known(self, name: str) -> bool:
        return find_name(self._workspace.models.structures, name) is not None

    def choose(self, value: int | None) -> None:
        """Choose what brushes paint, and what a mask that is there becomes."""
        document = self.document
        if document is None:
            return
        if value is not None:
            self.find(value)
        document.set_classes(document.classes, value)
        self._let_into(value)
        labels = self.labels_layer
        active = self._workspace.viewer.layers.selection.active
        others = [each for each in self._followed if each is not labels]
        brush = next((each for each in others if each is active), None)
        if value is not None and brush is not None:  # it goes with the class
            labels = self.target()
            labels.mode, labels.brush_size = brush.mode, brush.brush_size
            self._workspace.viewer.layers.selection.active = labels
        if labels is not None and value is not None:
            labels.selected_label = value

    def choose_meant(self) -> None:
        """Let the mask become what its prompts mean, whatever was chosen since."""
        self._let_into(None)

    def choose_next(self) -> None:
        """Choose the class that follows in the table."""
        values = [entry.value for entry in self.entries]
        if values:
            chosen = self.chosen
            at = values.index(chosen.value) + 1 if chosen is not None else 0
            self.choose(values[at % len(values)])

    def new(
        self, name: str = "", colour: str = "", background: bool = False
    ) -> AnnotationClass:
        """Make a class that is not in the table yet; see `add`."""
        entries = self.entries
        used = {entry.value for entry in entries}
        for labels in self.layers.values():
            used.update(values_in(labels))
        own = self.may_overlap and not background
        value = next(value for value in range(1, LARGEST_CLASS) if value not in used)
        free = [c for c in COLOURS if c not in {e.colour for e in entries}]
        colour = (
            colour
            or known_colour(name)
            or (free or COLOURS)[0 if free else value % len(COLOURS)]
        )
        return AnnotationClass(
            value,
            name.strip() or f"class {value}",
            colour,
            background=background,
            group=free_group(entries) if own else 0,
        )

    def add(self, name: str = "", colour: str = "", background: bool = False) -> int:
        """Add a class and choose it.

        Returns
        -------
        int
            Its value.
        """
        entry = self.new(name, colour, background)
        self._do(f"add class “{entry.name}”", (*self.entries, entry), entry.value)
        if not background:
            self._let_into(entry.value)
        return entry.value

    def _let_into(self, value: int | None) -> None:
        place = self._workspace.place_or_none()
        if place is not None and place.state.annotation.prompts:
            place.document.choose_into(place.plane.index, value)

    def rename(self, value: int, name: str) -> None:
        """Give a class another name."""
        name = name.strip()
        if name and name != self.find(value).name:
            self._change(value, f"rename class to “{name}”", name=name)

    def recolour(self, value: int, colour: str) -> None:
        """Give a class another colour, ``#rrggbb``."""
        if colour != self.find(value).colour:
            self._change(value, "change a class's colour", colour=colour)

    def set_visible(self, value: int, visible: bool) -> None:
        """Show or hide a class; nothing that would be undone."""
        document = self.document
        if document is not None:
            entries = changed_class(document.classes, value, visible=visible)
            document.set_classes(entries, document.chosen)

    def remove(self, value: int) -> None:
        """Remove a class, and its pixels from the labels; both can be undone."""
        entry, place = self.find(value), self._workspace.place()
        document = place.document
        labels = self.of(place.layer, document, entry.group)[1]
        left = tuple(other for other in document.classes if other.value != value)
        document.do(
            place.plane.index,
            "erase",
            f"remove class “{entry.name}”",
            {"value": value, "classes": to_jsonable_python(left)},
            classes=left,
            chosen=None if document.chosen == value else document.chosen,
            edits=()
            if labels is None
            else erase_class(labels, value, lambda plane: self.by_hand(labels, plane)),
        )

    def _change(self, value: int, text: str, **changes: Any) -> None:
        chosen = self.chosen
        self._do(
            text,
            changed_class(self.entries, value, **changes),
            None if chosen is None else chosen.value,
        )

    def _do(
        self, text: str, classes: tuple[AnnotationClass, ...], chosen: int | None
    ) -> None:
        place, described = self._workspace.place(), to_jsonable_python(classes)
        changes = {"classes": classes, "chosen": chosen}
        parameters = {"classes": described}
        place.document.do(place.plane.index, "classes", text, parameters, **changes)

    def set_may_overlap(self, may: bool) -> None:
        """Let classes overlap from now on, or exclude each other as they are."""
        if may != self.may_overlap:
            self.may_overlap = may
            self.may_overlap_changed.emit(may)

    def groups(self) -> dict[int, list[AnnotationClass]]:
        """Return the classes of each group."""
        return groups_in(self.entries)

    # The layers

    @property
    def layers(self) -> dict[int, Labels]:
        """The Labels layers that hold the classes and are in the viewer, by group."""
        layer = self._workspace.images.current
        if layer is None:
            return {}
        return self._layers_of(layer, self._workspace.annotations.of(layer))

    def _layers_of(self, layer: Image, document: Document) -> dict[int, Labels]:
        found = {}
        for group in sorted(document.layers):
            labels = self.of(layer, document, group)[1]
            if labels is not None:
                found[group] = labels
        return found

    @property
    def labels_layer(self) -> Labels | None:
        """The Labels layer that holds the chosen class, while it is in the viewer."""
        layer = self._workspace.images.current
        if layer is None:
            return None
        return self.of(layer, self._workspace.annotations.of(layer))[1]

    @property
    def candidates(self) -> list[Labels]:
        """Labels layers of the viewer that could hold the classes."""
        layer = self._workspace.images.current
        if layer is None:
            return []
        return labels_candidates(self._workspace.viewer, layer)

    def use_labels(self, labels: Labels | None, group: int | None = None) -> None:
        """Let masks go into one of the user's layers; None: into a new one.

        Its values become classes, with the colours that they have.

        Parameters
        ----------
        labels : Labels or None
            The layer.
        group : int, optional
            The group that it holds.  By default the one that it was saved as, else the
            chosen class's; that class goes into a layer that holds another group.

        Raises
        ------
        PromptError
            If it is not of the image's size, does not lie on it, or has labels of
            classes that another layer holds.
        """
        place = self._workspace.place()
        document, layer = place.document, place.layer
        chosen, held = _chosen(document), self._layers_of(layer, document)
        asked = group
        if group is None:
            group = 0 if chosen is None else chosen.group
        if labels is None:
            document.set_labels(None, group)
            return
        ours = our_metadata({"metadata": labels.metadata})
        saved = group_of(ours)
        if asked is None and saved not in held:
            group = saved
        reason = why_no_target(labels, layer)
        if reason:
            raise PromptError(
                f"“{labels.name}” cannot hold the classes of “{layer.name}”: {reason}."
            )
        known = {entry.value for entry in document.classes}
        elsewhere = {e.value: e.name for e in document.classes if e.group != group}
        table = said_classes(ours) or {}
        values = {*values_in(labels), *table}
        clash = next((value for value in sorted(values) if value in elsewhere), None)
        if clash is not None and asked is None:
            raise PromptError(
                f"Label {clash} of “{labels.name}” is “{elsewhere[clash]}” in another "
                "layer: give it another number first."
            )
        document.classes += tuple(
            AnnotationClass(
                value,
                table.get(value, f"class {value}"),
                colour_of(labels, value),
                group=group,
            )
            for value in sorted(values - known)
        )
        if document.chosen is None and document.classes:
            document.chosen = document.classes[0].value
        labels.metadata = {**labels.metadata, **source_of(layer)}
        self.by_hand(labels, place.plane)
        document.set_labels(labels, group)

    def target(
        self, place: Place | None = None, group: int | None = None, name: str = ""
    ) -> Labels:
        """Return the labels layer of a group; make one if there is none.

        Parameters
        ----------
        place : Place, optional
            By default what is shown.
        group : int, optional
            By default the chosen class's.
        name : str
            Of the class that a new layer is called after, if it is not of group 0.
        """
        place = place or self._workspace.place()
        layer, document = place.layer, place.document
        chosen, labels = self.of(layer, document, group)
        if labels is None:
            viewer = self._workspace.viewer
            if group is None:
                group = 0 if chosen is None else chosen.group
            if not name and chosen is not None and chosen.group == group:
                name = chosen.name
            labels = new_labels(viewer, layer, document.classes, group, name)
            self._begun_empty.add(labels)
            document.set_labels(labels, group)
        return labels

    def by_hand(self, labels: Labels, plane: Plane) -> ByHand:
        """Return what a hand painted and rubbed out on a plane of a layer, up to now.

        What a layer of the user's own held before it was worked on is not by hand.
        """
        pixels = read_plane(labels, plane)
        hand = self._by_hand(labels, plane, pixels)
        hand.notice(pixels)
        return hand

    def _by_hand(
        self, labels: Labels, plane: Plane, pixels: NDArray[np.integer]
    ) -> ByHand:
        planes = self._hands.setdefault(labels, {})
        hand = planes.get(plane.index)
        if hand is None:
            is_ours = labels in self._begun_empty
            hand = ByHand(np.zeros_like(pixels) if is_ours else pixels)
            planes[plane.index] = hand
        return hand

    def runs_by_hand(self, labels: Labels) -> list[tuple[PlaneKey, list[Run]]]:
        """Return the same on all planes that something was done on, as runs."""
        known = self._hands.get(labels, {})
        found = [
            (key, self.by_hand(labels, Plane(labels.data, key)).to_runs())
            for key in known
        ]
        return [(key, entries) for key, entries in found if entries]

    # What happens elsewhere

    def _on_changed(self) -> None:
        """Show the table as it is now."""
        if self._is_writing:
            self._is_behind = True
            return
        place = self._workspace.place_or_none()
        layer = self._workspace.images.current if place is None else place.layer
        document = self.document if place is None else place.document
        layers: dict[int, Labels] = {}
        if layer is not None and document is not None:
            layers = self._layers_of(layer, document)
        self._follow([*layers.values()])
        if document is not None:
            for group, labels in layers.items():
                self._adopt_painted(labels, place, group)
                self._dress(labels, document, group)
        self.changed.emit()

    def _dress(self, labels: Labels, document: Document, group: int) -> None:
        """Give a layer its classes' colours: nobody has painted meanwhile."""
        before, self._is_writing = self._is_writing, True
        own = [e for e in document.classes if e.background or e.group == group]
        dress_labels(labels, own)
        self._is_writing = before

    def _adopt_painted(self, labels: Labels, place: Place | None, group: int) -> bool:
        """Take labels that the user painted into the table, if there are new ones."""
        if place is None:
            return False
        document = place.document
        known = {entry.value for entry in document.classes}
        found = np.flatnonzero(np.bincount(read_plane(labels, place.plane).ravel()))
        new = [int(value) for value in found if value and int(value) not in known]
        if not new or len(known) + len(new) > MOST_CLASSES:
            return False
        document.classes += tuple(
            AnnotationClass(
                v, f"class {v}", COLOURS[(v - 1) % len(COLOURS)], group=group
            )
            for v in new
        )
        return True

    def _on_painted(self) -> None:
        layers, place = self.layers, self._workspace.place_or_none()
        if not layers or place is None:
            return
        adopted = False
        for group, labels in layers.items():
            if self._adopt_painted(labels, place, group):
                self._dress(labels, place.document, group)
                adopted = True
        if adopted:
            self.changed.emit()
            self._workspace.annotations.changed.emit()
        if len(layers) > 1:
            self._put_right(layers)

    def _put_right(self, layers: dict[int, Labels]) -> None:
        """Move what was painted of a class in another group's layer into its own."""
        place = self._workspace.place_or_none()
        if place is None:
            return
        for group, labels in layers.items():
            pixels = np.array(read_plane(labels, place.plane))
            for entry in self.entries:
                stray = pixels == entry.value
                if entry.group == group or entry.background or not stray.any():
                    continue
                with self.writing():
                    target = self.target(place, entry.group, entry.name)
                    for layer, value in ((target, entry.value), (labels, 0)):
                        hand = self.by_hand(layer, place.plane)
                        before = np.array(read_plane(layer, place.plane))
                        after = np.where(stray, value, before)
                        edit = LabelsEdit(
                            layer, place.plane, before, after, hand, value > 0
                        )
                        edit.redo()
                self._workspace.status.say(
                    f"What was painted of “{entry.name}” is in “{target.name}” now, "
                    "which holds it."
                )

    def _on_removed(self, event: Any) -> None:
        if any(layer is event.value for layer in self._followed):
            self._on_changed()

    def _follow(self, layers: Sequence[Labels]) -> None:
        for layer in self._followed:
            if not any(layer is other for other in layers):
                layer.events.set_data.disconnect(self._on_pixels)
                layer.events.paint.disconnect(self._on_pixels)
        for layer in layers:
            if not any(layer is other for other in self._followed):
                layer.events.set_data.connect(self._on_pixels)
                layer.events.paint.connect(self._on_pixels)
        self._followed = [*layers]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Know that pixels change because we write them: no classes are found in them.

        What is written becomes a class of the table, and is told of once, at the end.
        """
        self._is_writing, self._is_behind = True, False
        try:
            yield
        finally:
            self._is_writing = False
            if self._is_behind:
                self._on_changed()
            else:
                self.areas_changed.emit()

    def _on_pixels(self, event: Any = None) -> None:
        if self._is_writing:
            return
        self._workspace.pacer.soon("painted classes", 300, self._on_painted)
        self.areas_changed.emit()


def _into(entry: AnnotationClass) -> Destination:
    return Destination(entry, entry.name)


def _chosen(document: Document) -> AnnotationClass | None:
    value = document.chosen
    return next((entry for entry in document.classes if entry.value == value), None)
