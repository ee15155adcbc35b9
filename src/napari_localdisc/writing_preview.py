"""What adding something to the labels would do, shown before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from . import labels_target, looks
from .core.errors import LocalDiscError
from .derived import DerivedLabels

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from .annotation_state import AnnotationClass
    from .classes import Classes
    from .embedding_work import Embedded
    from .layers import Plane
    from .workspace import Workspace

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
    source : dict
        As in `Operation`.
    text : str
        What it is, for people.
    entry : AnnotationClass or None
        The class that all of it becomes; None: several classes that are there already.
    """

    wanted: NDArray[np.integer]
    source: dict[str, Any]
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
            before = labels_target.read_plane(labels, plane)
            taken = labels_target.taken(before, writing.wanted)
            self._paint(layer, plane, taken)
            overlap = labels_target.overlap(before, writing.wanted)
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
        colours = looks.overlap_colours()
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
