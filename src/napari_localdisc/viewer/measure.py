"""Measures of a Labels layer, which follow its edits; without Qt."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.core.errors import ImageError, LocalDiscError, PromptError
from napari_localdisc.core.measure.structures import role_of, split_name
from napari_localdisc.core.work import Steps, without_collections
from napari_localdisc.layers.files import class_names
from napari_localdisc.layers.labels import (
    MOST_CLASSES,
    colour_of,
    read_plane,
    why_no_target,
)
from napari_localdisc.layers.plane import Plane, displayed_plane, fingerprint
from napari_localdisc.layers.scale import pixel_sides_mm

from .work import Slot, disconnect_all
from .workspace import Workspace

if TYPE_CHECKING:
    from napari_localdisc.core.measure.examined import Examined, Kind
    from napari_localdisc.core.measure.plots import Plot
    from napari_localdisc.core.measure.table import Table

DELAY = 120
"""Milliseconds after an edit at which measuring begins."""

FIELD = "field"


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured, and how.

    Attributes
    ----------
    kind : {"fundus", "chest", "any"}, optional
        What names of classes mean; None: told by the names.
    regions : tuple of str
        As of `measure`.
    disc_mm : float, optional
        What the optic disc's diameter is taken for.
    pieces : bool
        Whether each piece and each segment has rows.
    in_picture : bool
        Whether calibres are measured in the picture, where there is one.
    fovea : tuple of float, optional
        (row, column) that the user gave.
    """

    kind: Kind | None = None
    regions: tuple[str, ...] = (FIELD,)
    disc_mm: float | None = None
    pieces: bool = False
    in_picture: bool = True
    fovea: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Asked:
    """Pixels as they were when measuring began, and all that is asked of them.

    Attributes
    ----------
    layer : Labels
        Where they are from.
    plane : Plane
        Of the layer.
    labels : ndarray
        (H, W).
    names : dict of int to str
        Of classes.
    image : Image or None
        The picture's layer.
    kind : {"fundus", "chest", "any"}
        What names mean.
    options : MeasureOptions
        How.
    scale : tuple of float, optional
        Millimetres of a pixel's height and width.
    beside : mapping of Labels to ndarray
        Layers of classes that may overlap these, and their (H, W) pixels.
    """

    layer: Labels
    plane: Plane
    labels: NDArray[np.integer]
    names: dict[int, str]
    image: Image | None
    kind: Kind
    options: MeasureOptions
    scale: tuple[float, float] | None
    beside: Mapping[Labels, NDArray[np.integer]] = field(default_factory=dict)

    @property
    def masks(self) -> NDArray[np.integer] | dict[str, NDArray[np.bool_]]:
        """The labels; where there are more, a mask a class, each one whole."""
        from napari_localdisc.core.measure.subject import class_masks

        if not self.beside:
            return self.labels
        masks: dict[str, NDArray[np.bool_]] = {}
        for pixels in (self.labels, *self.beside.values()):
            for name, mask in class_masks(pixels, self.names).items():
                masks[name] = masks[name] | mask if name in masks else mask
        return masks


@dataclass(frozen=True, eq=False)
class Measured:
    """What came of it.

    Attributes
    ----------
    asked : Asked
        What was asked.
    examined : Examined
        What the numbers are made of.
    table : Table
        All rows.
    plots : dict of str to Plot
        By their names.
    """

    asked: Asked
    examined: Examined
    table: Table
    plots: dict[str, Plot]


@dataclass
class _Picture:
    """A picture that was read, and its field of view."""

    image: weakref.ref[Image]
    mark: int
    kind: str
    pixels: NDArray[Any]
    view: NDArray[np.bool_] | None = field(default=None)


class Measuring:
    """Measures the labels that are chosen, and again when they change.

    Nothing is measured while nobody watches.

    Parameters
    ----------
    workspace : Workspace
        Whose viewer and image.
    """

    listed = Signal()
    """There may be other layers to choose from, or another is chosen."""
    changed = Signal()
    """There is another result, or another sentence instead."""
    options_changed = Signal()
    """Something else is asked."""
    busy_changed = Signal(bool)
    """Measuring began or ended."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._viewer = workspace.viewer
        self._slot = Slot(workspace.runner, self._on_error)
        self._chosen: weakref.ref[Labels] | None = None
        self._followed: list[Labels] = []
        self._watched = self._is_stale = self._is_closed = False
        self._mark: tuple[Any, ...] | None = None
        self._picture: _Picture | None = None
        self.options = MeasureOptions()
        self.result: Measured | None = None
        self.sentence = ""
        self._slot.busy_changed.connect(self.busy_changed.emit)

    def close(self) -> None:
        """Follow nothing any longer; the table of the last result stays readable."""
        if self._is_closed:
            return
        self.watch(False)
        self._is_closed = True
        self._slot.cancel()
        disconnect_all(self, self._slot)

    # What is asked

    @property
    def candidates(self) -> list[Labels]:
        """Labels layers, topmost first."""
        return [each for each in reversed(self._viewer.layers) if _is_labels(each)]

    @property
    def labels(self) -> Labels | None:
        """The layer that is measured: the chosen one, else that of the classes."""
        found, candidates = self._chosen and self._chosen(), self.candidates
        if found is not None and found in candidates:
            return found
        image = self._workspace.images.current
        if image is not None:
            own = self._workspace.annotations.of(image).labels.values()
            held = [each for each in own if each in candidates]
            if held:
                return held[0]
            lying = [each for each in candidates if not why_no_target(each, image)]
            candidates = lying or candidates
        return candidates[0] if candidates else None

    def choose(self, labels: Labels | None) -> None:
        """Measure another layer; None: that of the classes."""
        self._chosen = None if labels is None else weakref.ref(labels)
        if self._watched:
            self._on_layers()

    def set_options(self, **changes: Any) -> None:
        """Ask for something else; keywords of `MeasureOptions`."""
        options = replace(self.options, **changes)
        if options != self.options:
            self.options = options
            self.options_changed.emit()
            self._soon()

    @property
    def kind(self) -> Kind:
        """What names of classes mean: as it was set, else as they tell."""
        labels = self.labels
        names = {} if labels is None else self._names(labels)
        return self.options.kind or kind_of(names)

    def watch(self, watched: bool) -> None:
        """Measure from now on, or no more: then nothing is followed either."""
        if watched == self._watched or self._is_closed:
            return
        self._watched = watched
        workspace, events = self._workspace, self._viewer.layers.events
        for event, hear in (
            (events.inserted, self._on_layers),
            (events.removed, self._on_layers),
            (events.reordered, self._on_layers),
            (workspace.image_changed, self._on_layers),
            (workspace.plane_changed, self._on_plane),
            (workspace.annotations.changed, self._on_annotations),
        ):
            (event.connect if watched else event.disconnect)(hear)
        if watched:
            self._mark = None  # whatever happened meanwhile
            if self.result is None:
                self._show(None, "")
            self._on_layers()
        else:
            self._follow([])

    def _names(self, labels: Labels) -> dict[int, str]:
        names = names_of(labels)
        for other in self._workspace.beside(labels):
            names |= class_names(other)
        return names

    @property
    def is_busy(self) -> bool:
        """Whether numbers are on their way."""
        return self._slot.is_busy

    # Following

    def _on_layers(self, event: Any = None) -> None:
        self._follow_labels()
        self.listed.emit()
        self._soon()

    def _on_annotations(self) -> None:
        self._follow_labels()  # there may be a layer of another group
        self._soon()

    def _follow_labels(self) -> None:
        labels = self.labels
        others = [] if labels is None else self._workspace.beside(labels)
        self._follow([] if labels is None else [labels, *others])

    def _on_plane(self) -> None:
        """Measure again: the picture's pixels may be others."""
        self._mark = None
        self._soon()

    def _follow(self, layers: list[Labels]) -> None:
        gone = [each for each in self._followed if each not in layers]
        new = [each for each in layers if each not in self._followed]
        for verb, changed in (("disconnect", gone), ("connect", new)):
            for layer in changed:
                events = layer.events
                for event in (
                    *(events.set_data, events.paint, events.scale, events.units),
                    *(events.metadata, events.affine),
                ):
                    getattr(event, verb)(self._soon)
        self._followed = layers

    def _soon(self, event: Any = None) -> None:
        if self._watched:
            self._workspace.pacer.soon("measures", DELAY, self._update)

    def _update(self) -> None:
        if not self._watched:
            return
        if self._slot.is_busy:  # one at a time; then what is there is newer still
            self._is_stale = True
            return
        self._is_stale = False
        try:
            asked = self._ask()
        except LocalDiscError as error:
            self._on_error(error)
            return
        if asked is None:
            self._mark = None
            self._show(None, "There are no labels to measure.")
            return
        mark = _mark_of(asked)
        if mark == self._mark:
            return
        self._mark = mark
        self._slot.run(partial(self._work, asked, self.result), self._on_result)

    def _ask(self) -> Asked | None:
        layer = self.labels
        if layer is None:
            return None
        plane = displayed_plane(layer, self._viewer.dims)
        pixels = np.array(plane.read())
        names = self._names(layer)
        beside = {
            each: np.array(read_plane(each, plane))
            for each in self._workspace.beside(layer)
        }
        image = self._workspace.images.current
        if image is not None and why_no_target(layer, image):
            image = None
        scale = pixel_sides_mm(layer, plane)
        if scale is None and image is not None:
            scale = pixel_sides_mm(image, plane)
        kind = self.options.kind or kind_of(names)
        asked = layer, plane, pixels, names, image, kind, self.options, scale
        return Asked(*asked, beside)

    def _work(self, asked: Asked, before: Measured | None) -> Steps[Measured]:
        yield 0, 0
        with without_collections():  # they would look through all of napari
            return self._measure(asked, before)

    def _measure(self, asked: Asked, before: Measured | None) -> Measured:
        from napari_localdisc.core.measure.examined import examine
        from napari_localdisc.core.measure.measure import tabulate
        from napari_localdisc.core.measure.plots import every_plot

        count = len(_values(asked.labels))
        if count > MOST_CLASSES:
            raise PromptError(
                f"“{asked.layer.name}” numbers {count} objects; measures are of "
                "classes: give all of one kind one label."
            )
        options, picture = asked.options, self._read(asked)
        old = None
        if before is not None and before.asked.layer is asked.layer:
            old = before.examined if before.asked.kind == asked.kind else None
        examined = examine(
            asked.masks,
            asked.kind,
            names=None if asked.beside else asked.names,
            image=None if picture is None else picture.pixels,
            field_of_view=None if picture is None else picture.view,
            scale=asked.scale,
            disc_mm=options.disc_mm,
            fovea=options.fovea,
            regions=options.regions,
            in_picture=options.in_picture,
            before=old,
        )
        table = tabulate(examined, pieces=options.pieces, name=asked.layer.name)
        return Measured(asked, examined, table, every_plot(examined))

    def _read(self, asked: Asked) -> _Picture | None:
        """Read the picture and find its field of view, unless it is as it was."""
        image = asked.image
        if image is None:
            return None
        data = image.data[0] if image.multiscale else image.data
        pixels = Plane(data, asked.plane.index).read()
        mark, held = fingerprint(pixels), self._picture
        is_known = held is not None and held.mark == mark and held.kind == asked.kind
        if held is None or not is_known:
            view = None
            if asked.kind == "fundus":
                from napari_localdisc.core.image.field_of_view import (
                    find_field_of_view,
                )
                from napari_localdisc.core.image.working import as_rgb

                view = find_field_of_view(as_rgb(pixels), "fundus")
            held = _Picture(weakref.ref(image), mark, asked.kind, pixels.copy(), view)
            self._picture = held
        return held

    def _on_result(self, measured: Measured) -> None:
        self._show(measured, "")
        if self._is_stale:
            self._update()

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, LocalDiscError):
            self._workspace.report(error)
            return
        self._mark = None if isinstance(error, ImageError) else self._mark
        self._show(None, str(error))
        if self._is_stale:
            self._update()

    def _show(self, result: Measured | None, sentence: str) -> None:
        self.result, self.sentence = result, sentence
        self.changed.emit()


def _is_labels(layer: Any) -> bool:
    return isinstance(layer, Labels)


def _mark_of(asked: Asked) -> tuple[Any, ...]:
    """Return what tells whether something else is to be measured."""
    image = asked.image
    return (
        weakref.ref(asked.layer),
        asked.plane.index,
        fingerprint(asked.labels),
        *((weakref.ref(e), fingerprint(of)) for e, of in asked.beside.items()),
        tuple(asked.names.items()),
        None if image is None else weakref.ref(image),
        asked.options,
        asked.kind,
        asked.scale,
    )


def names_of(labels: Labels) -> dict[int, str]:
    """Return the names of a layer's classes.

    Where it has none, all of it is the structure that its own name ends with, as files
    of masks are named.
    """
    names = class_names(labels)
    structure = split_name(Path(f"{labels.name}.tif"))[1]
    if names or structure is None:
        return names
    finest = labels.data[0] if labels.multiscale else labels.data
    return dict.fromkeys(_values(np.asarray(finest)), structure.replace("_", " "))


def _values(labels: NDArray[np.integer]) -> list[int]:
    """Return the values that occur, without 0."""
    if labels.min() >= 0 and labels.max() < 1 << 16:
        found = np.flatnonzero(np.bincount(labels.ravel()))
    else:
        found = np.unique(labels)
    return [int(value) for value in found if value]


def kind_of(names: Mapping[int, str]) -> Kind:
    """Tell what a picture is of by the names of its classes."""
    roles = {role_of(name) for name in names.values()}
    if roles & {"lungs", "right lung", "left lung", "heart"}:
        return "chest"
    return "fundus" if roles - {"other"} else "any"


def colours_of(measured: Measured) -> dict[str, str]:
    """Return the colours of the classes that were measured, by their names."""
    asked = measured.asked
    holds = {value: each for each in asked.beside for value in class_names(each)}
    return {
        name: colour_of(holds.get(value, asked.layer), value)
        for value, name in asked.names.items()
    }
