"""The classes of an image's labels: a table, and the layer that holds them."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
)
from napari_localdisc.core.colours import known_colour
from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.names import find_name
from napari_localdisc.io.areas import ClassArea
from napari_localdisc.layers.files import CLASSES, source_of
from napari_localdisc.layers.labels import (
    MOST_CLASSES,
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
from napari_localdisc.layers.plane import METADATA_KEY, Plane, show_point

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

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._followed: Labels | None = None
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
        self._follow(None)
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
        self, layer: Image, document: Document
    ) -> tuple[AnnotationClass | None, Labels | None]:
        """Return the chosen class of an image, and the layer that holds its classes."""
        labels = document.labels() if document.labels is not None else None
        if labels is not None and (
            labels not in self._workspace.viewer.layers
            or tuple(labels.data.shape) != image_shape(layer)  # it has other data now
        ):
            labels = None
        return _chosen(document), labels

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
    ) -> tuple[Destination, NDArray[np.integer] | None]:
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
        pixels : ndarray or None
            (H, W) labels of the plane as they are; None: there are none.
        """
        labels = self.of(place.layer, place.document)[1]
        pixels = None if labels is None else read_plane(labels, place.plane)
        return self._destination(place, meaning, pixels), pixels

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
        entries, labels = self.entries, self.labels_layer
        used = {entry.value for entry in entries}
        if labels is not None:
            used.update(values_in(labels))
        value = next(value for value in range(1, LARGEST_CLASS) if value not in used)
        free = [c for c in COLOURS if c not in {e.colour for e in entries}]
        colour = (
            colour
            or known_colour(name)
            or (free or COLOURS)[0 if free else value % len(COLOURS)]
        )
        return AnnotationClass(
            value, name.strip() or f"class {value}", colour, background=background
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
        document, labels = place.document, self.labels_layer
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

    # The layer

    @property
    def labels_layer(self) -> Labels | None:
        """The Labels layer that holds the classes, while it is in the viewer."""
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

    def use_labels(self, labels: Labels | None) -> None:
        """Let masks go into one of the user's layers; None: into a new one.

        Its values become classes, with the colours that they have.

        Raises
        ------
        PromptError
            If it is not of the image's size, or does not lie on it.
        """
        place = self._workspace.place()
        document, layer = place.document, place.layer
        if labels is None:
            document.set_labels(None)
            return
        reason = why_no_target(labels, layer)
        if reason:
            raise PromptError(
                f"“{labels.name}” cannot hold the classes of “{layer.name}”: {reason}."
            )
        known = {entry.value for entry in document.classes}
        names = labels.metadata.get(METADATA_KEY, {}).get(CLASSES, {})
        table = {int(value): str(name) for value, name in names.items()}
        document.classes += tuple(
            AnnotationClass(
                value, table.get(value, f"class {value}"), colour_of(labels, value)
            )
            for value in sorted({*values_in(labels), *table} - known)
        )
        if document.chosen is None and document.classes:
            document.chosen = document.classes[0].value
        labels.metadata = {**labels.metadata, **source_of(layer)}
        self.by_hand(labels, place.plane)
        document.set_labels(labels)

    def target(self, place: Place | None = None) -> Labels:
        """Return the labels layer; make one if there is none."""
        place = place or self._workspace.place()
        layer, document = place.layer, place.document
        labels = self.of(layer, document)[1]
        if labels is None:
            viewer = self._workspace.viewer
            labels = new_labels(viewer, layer, document.classes)
            self._begun_empty.add(labels)
            document.set_labels(labels)
        return labels

    def by_hand(self, labels: Labels, plane: Plane) -> ByHand:
        """Return what a hand painted and rubbed out on a plane of a layer, up to now.

        What a layer of the user's own held before it was worked on is not by hand.
        """
        pixels, planes = read_plane(labels, plane), self._hands.setdefault(labels, {})
        hand = planes.get(plane.index)
        if hand is None:
            is_ours = labels in self._begun_empty
            hand = ByHand(np.zeros_like(pixels) if is_ours else pixels)
            planes[plane.index] = hand
        hand.notice(pixels)
        return hand

    def by_hand_on(self, place: Place) -> ByHand:
        """Return the same of the layer that holds the place's classes.

        Raises
        ------
        LookupError
            If there is none.
        """
        labels = self.of(place.layer, place.document)[1]
        if labels is None:
            raise LookupError(f"{place.layer.name} has no labels")
        return self.by_hand(labels, place.plane)

    def runs_by_hand(self, labels: Labels) -> list[tuple[PlaneKey, list[Run]]]:
        """Return the same on all planes that something was done on, as runs."""
        known = self._hands.get(labels, {})
        found = [
            (key, self.by_hand(labels, Plane(labels.data, key)).to_runs())
            for key in known
        ]
        return [(key, entries) for key, entries in found if entries]

    # Areas, and where a class is

    def areas(self) -> dict[int, ClassArea]:
        """Measure each class on the plane that is shown."""
        place, labels = self._workspace.place_or_none(), self.labels_layer
        image, size, unit = "", None, ""
        pixels: NDArray[np.integer] = np.zeros((0, 0), np.uint8)
        if place is not None and labels is not None:
            pixels, image = read_plane(labels, place.plane), place.layer.name
            size, unit = pixel_area(place.layer, place.plane)
        most = max((entry.value for entry in self.entries), default=0)
        counts = np.bincount(pixels.ravel(), minlength=most + 1)
        areas = {}
        for entry in self.entries:
            count = int(counts[entry.value])
            share = 100 * count / max(1, pixels.size)
            area = None if size is None else float(count * size)
            areas[entry.value] = ClassArea(
                image, entry.value, entry.name, count, share, area, unit
            )
        return areas

    def jump_to(self, value: int) -> None:
        """Move the view to the pixel of a class that is nearest to its middle."""
        entry, labels = self.find(value), self.labels_layer
        place = self._workspace.place_or_none()
        points = np.zeros((0, 2), int)
        if place is not None and labels is not None:
            points = np.argwhere(read_plane(labels, place.plane) == value)
        if place is None or not len(points):
            raise PromptError(f"There is no pixel of “{entry.name}” in what is shown.")
        middle = points[np.argmin(np.square(points - points.mean(0)).sum(1))]
        point = float(middle[0]), float(middle[1])
        show_point(self._workspace.viewer, place.layer, place.plane, point)
        self.choose(value)

    # What happens elsewhere

    def _on_changed(self) -> None:
        """Show the table as it is now."""
        if self._is_writing:
            self._is_behind = True
            return
        place = self._workspace.place_or_none()
        layer = self._workspace.images.current if place is None else place.layer
        document = self.document if place is None else place.document
        labels = None
        if layer is not None and document is not None:
            labels = self.of(layer, document)[1]
        self._follow(labels)
        if labels is not None and document is not None:
            self._adopt_painted(labels, place)
            self._dress(labels, document)
        self.changed.emit()

    def _dress(self, labels: Labels, document: Document) -> None:
        """Give the layer the classes' colours: nobody has painted meanwhile."""
        before, self._is_writing = self._is_writing, True
        dress_labels(labels, document.classes)
        self._is_writing = before

    def _adopt_painted(self, labels: Labels, place: Place | None) -> bool:
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
            AnnotationClass(v, f"class {v}", COLOURS[(v - 1) % len(COLOURS)])
            for v in new
        )
        return True

    def _on_painted(self) -> None:
        labels, place = self.labels_layer, self._workspace.place_or_none()
        if labels is None or place is None:
            return
        if self._adopt_painted(labels, place):
            self._dress(labels, place.document)
            self.changed.emit()
            self._workspace.annotations.changed.emit()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._followed:
            self._on_changed()

    def _follow(self, labels: Labels | None) -> None:
        if labels is self._followed:
            return
        for layer, connect in ((self._followed, False), (labels, True)):
            if layer is not None:
                for event in (layer.events.set_data, layer.events.paint):
                    (event.connect if connect else event.disconnect)(self._on_pixels)
        self._followed = labels

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


def pixel_area(layer: Image, plane: Plane) -> tuple[float | None, str]:
    """Return the area of a plane's pixel in the square of a unit, and the unit.

    None and an empty string where the layer's units are pixels.
    """
    units = [layer.units[axis] for axis in plane.axes]
    if any(str(unit) in ("pixel", "pixels", "") for unit in units):
        return None, ""
    to = [
        float((1 * unit).to(units[1]).magnitude)
        if unit.is_compatible_with(units[1])
        else 0.0
        for unit in layer.units
    ]
    corner = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    sides = []
    for axis in plane.axes:
        step = np.zeros(layer.ndim)
        step[axis] = 1
        sides.append((np.asarray(layer.data_to_world(step)) - corner) * to)
    gram = np.array(sides) @ np.array(sides).T
    return float(np.sqrt(max(np.linalg.det(gram), 0))), f"{units[1]:~}"
