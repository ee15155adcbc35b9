"""The classes of an image's labels: a table, and the layer that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.annotation.state import (
    LARGEST_CLASS,
    AnnotationClass,
    changed_class,
    to_json,
)
from napari_localdisc.core.errors import PromptError
from napari_localdisc.layers.labels import (
    CLASSES,
    MOST_CLASSES,
    Edits,
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
from napari_localdisc.layers.plane import METADATA_KEY, Plane

if TYPE_CHECKING:
    from napari.layers import Image, Labels

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
    """Another table, another class chosen, or another labels layer."""
    areas_changed = Signal()
    """Labels were written or painted."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._followed: Labels | None = None
        self._is_writing = False
        workspace.annotations.classes_changed.connect(self._on_changed)
        workspace.image_changed.connect(self._on_changed)
        workspace.viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Follow the labels layer no longer."""
        self._workspace.viewer.layers.events.removed.disconnect(self._on_removed)
        self._follow(None)
        for signal in (self.changed, self.areas_changed):
            signal.disconnect()

    # The table

    @property
    def entries(self) -> tuple[AnnotationClass, ...]:
        """The classes, in the order of the table."""
        layer = self._workspace.image
        return () if layer is None else self._workspace.annotations.of(layer).classes

    @property
    def chosen(self) -> AnnotationClass | None:
        """The class that masks become."""
        layer = self._workspace.image
        if layer is None:
            return None
        value = self._workspace.annotations.of(layer).chosen
        return next((entry for entry in self.entries if entry.value == value), None)

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

    def choose(self, value: int | None) -> None:
        """Choose the class that masks become, and what brushes paint."""
        layer = self._workspace.image
        if layer is None:
            return
        if value is not None:
            self.find(value)
        self._workspace.annotations.set_classes(layer, self.entries, value)
        labels = self.labels_layer
        if labels is not None and value is not None:
            labels.selected_label = value

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
        used = {entry.value for entry in self.entries}
        labels = self.labels_layer
        if labels is not None:
            used.update(values_in(labels))
        value = next(value for value in range(1, LARGEST_CLASS) if value not in used)
        free = [c for c in COLOURS if c not in {e.colour for e in self.entries}]
        colour = colour or (free or COLOURS)[0 if free else value % len(COLOURS)]
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
        return entry.value

    def rename(self, value: int, name: str) -> None:
        """Give a class another name."""
        name = name.strip()
        if not name or name == self.find(value).name:
            return
        self._change(value, f"rename class to “{name}”", name=name)

    def recolour(self, value: int, colour: str) -> None:
        """Give a class another colour, ``#rrggbb``."""
        if colour != self.find(value).colour:
            self._change(value, "change a class's colour", colour=colour)

    def set_visible(self, value: int, visible: bool) -> None:
        """Show or hide a class; nothing that would be undone."""
        layer = self._workspace.image
        if layer is None:
            return
        state = self._workspace.annotations.of(layer)
        entries = changed_class(self.entries, value, visible=visible)
        self._workspace.annotations.set_classes(layer, entries, state.chosen)

    def remove(self, value: int) -> None:
        """Remove a class, and its pixels from the labels; both can be undone."""
        layer = self._workspace.image
        if layer is None:
            return
        entry = self.find(value)
        left = tuple(other for other in self.entries if other.value != value)
        key = self._key()
        labels = self.labels_layer
        edits = Edits(() if labels is None else erase_class(labels, value))
        chosen = self.chosen
        self._workspace.annotations.do(
            layer,
            key,
            "erase",
            f"remove class “{entry.name}”",
            {"value": value, "classes": to_json(left)},
            classes=left,
            chosen=None if chosen is None or chosen.value == value else chosen.value,
            edit=edits,
        )

    def _key(self) -> Any:
        return self._workspace.here()[1].key

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
        layer, plane = self._workspace.here()
        self._workspace.annotations.do(
            layer,
            plane.key,
            "classes",
            text,
            {"classes": to_json(classes)},
            classes=classes,
            chosen=chosen,
        )

    # The layer

    @property
    def labels_layer(self) -> Labels | None:
        """The Labels layer that holds the classes, while it is in the viewer."""
        layer = self._workspace.image
        if layer is None:
            return None
        reference = self._workspace.annotations.of(layer).labels
        labels = reference() if reference is not None else None
        if labels is None or labels not in self._workspace.viewer.layers:
            return None
        if tuple(labels.data.shape) != image_shape(layer):
            return None  # the image has other data now
        return labels

    @property
    def candidates(self) -> list[Labels]:
        """Labels layers of the viewer that could hold the classes."""
        layer = self._workspace.image
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
        layer, _ = self._workspace.here()
        if labels is None:
            self._workspace.annotations.set_labels(layer, None)
            return
        reason = why_no_target(labels, layer)
        if reason:
            raise PromptError(
                f"“{labels.name}” cannot hold the classes of “{layer.name}”: {reason}."
            )
        state = self._workspace.annotations.of(layer)
        known = {entry.value for entry in state.classes}
        found = values_in(labels)
        names = labels.metadata.get(METADATA_KEY, {}).get(CLASSES, {})
        table = {**{int(value): str(name) for value, name in names.items()}}
        added = tuple(
            AnnotationClass(
                value,
                table.get(value, f"class {value}"),
                colour_of(labels, value),
            )
            for value in sorted({*found, *table})
            if value not in known
        )
        classes = (*state.classes, *added)
        chosen = state.chosen
        if chosen is None and classes:
            chosen = classes[0].value
        state.classes, state.chosen = classes, chosen
        self._workspace.annotations.set_labels(layer, labels)

    def target(self) -> Labels:
        """Return the labels layer; make one if there is none."""
        labels = self.labels_layer
        if labels is None:
            layer, _ = self._workspace.here()
            labels = new_labels(self._workspace.viewer, layer, self.entries)
            self._workspace.annotations.set_labels(layer, labels)
        return labels

    # Areas, and where a class is

    def areas(self) -> dict[int, ClassArea]:
        """Measure each class on the plane that is shown."""
        pixels = self._pixels_here()
        layer = self._workspace.image
        if pixels is None or layer is None:
            return {entry.value: ClassArea(0) for entry in self.entries}
        most = max((entry.value for entry in self.entries), default=0)
        counts = np.bincount(pixels.ravel(), minlength=most + 1)
        _, plane = self._workspace.here()
        size, unit = pixel_area(layer, plane)
        return {
            entry.value: ClassArea(
                int(counts[entry.value]),
                None if size is None else float(counts[entry.value] * size),
                unit,
            )
            for entry in self.entries
        }

    def _pixels_here(self) -> NDArray[np.integer] | None:
        labels = self.labels_layer
        plane = self._workspace.plane_here()
        if labels is None or plane is None:
            return None
        return read_plane(labels, plane)

    def jump_to(self, value: int) -> None:
        """Move the view to the pixel of a class that is nearest to its middle."""
        entry = self.find(value)
        pixels, layer = self._pixels_here(), self._workspace.image
        points = np.argwhere(pixels == value) if pixels is not None else np.zeros(0)
        plane = self._workspace.plane_here()
        if not len(points) or layer is None or plane is None:
            raise PromptError(f"There is no pixel of “{entry.name}” in what is shown.")
        middle = points[np.argmin(np.square(points - points.mean(0)).sum(1))]
        self._workspace.look_at(layer, plane, (float(middle[0]), float(middle[1])))
        self.choose(value)

    # What happens elsewhere

    def _on_changed(self) -> None:
        labels = self.labels_layer
        self._follow(labels)
        if labels is not None:
            self._adopt_painted()
            dress_labels(labels, self.entries)
        self.changed.emit()

    def _adopt_painted(self) -> None:
        """Take labels that the user painted into the table."""
        pixels, layer = self._pixels_here(), self._workspace.image
        if pixels is None or layer is None:
            return
        known = {entry.value for entry in self.entries}
        found = np.flatnonzero(np.bincount(pixels.ravel()))
        new = [int(value) for value in found if value and int(value) not in known]
        if new and len(known) + len(new) <= MOST_CLASSES:
            added = tuple(
                AnnotationClass(v, f"class {v}", COLOURS[(v - 1) % len(COLOURS)])
                for v in new
            )
            chosen = self._workspace.annotations.of(layer).chosen
            entries = (*self.entries, *added)
            self._workspace.annotations.set_classes(layer, entries, chosen)

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

        What is written becomes a class of the table right after.
        """
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False
        self.areas_changed.emit()

    def _on_pixels(self, event: Any = None) -> None:
        if self._is_writing:
            return
        self._workspace.pacer.soon("painted classes", 300, self._adopt_painted)
        self.areas_changed.emit()


@dataclass(frozen=True)
class ClassArea:
    """How much of the plane that is shown a class covers.

    Attributes
    ----------
    pixels : int
        Of the image.
    area : float or None
        In square ``unit``; None where the layer's units are pixels.
    unit : str
        Such as ``mm``.
    """

    pixels: int
    area: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        text = f"{self.pixels:,} px"
        return text if self.area is None else f"{text} · {self.area:.3g} {self.unit}²"


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
