"""The mask of the prompts: threshold, options, and how it is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_localdisc.annotation.sources import Prompts
from napari_localdisc.annotation.state import LARGEST_CLASS, split
from napari_localdisc.core.embedding.prompts import MaskOptions
from napari_localdisc.core.errors import PromptError
from napari_localdisc.layers.colours import THRESHOLD_WIDTH, mask_colours
from napari_localdisc.layers.labels import overlap_by_class, read_plane, taken_pixels
from napari_localdisc.layers.ours import DerivedLabels

from .classes import COLOURS, Classes
from .shown import provenance

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_localdisc.annotation.document import PlaneState
    from napari_localdisc.layers.plane import Plane

    from .embeddings import Embedded
    from .workspace import Workspace

OPACITY = 0.7


class Masks:
    """The mask of the prompts.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        Its colour, and what other classes have of it.
    """

    changed = Signal()
    """Another mask, threshold or options, or other pixels that it would overwrite."""

    def __init__(self, workspace: Workspace, classes: Classes) -> None:
        self._workspace = workspace
        self._classes = classes
        classes.changed.connect(self._soon)
        classes.areas_changed.connect(self._soon)

    def close(self) -> None:
        """Let go of all listeners."""
        self.changed.disconnect()

    # Threshold and options

    @property
    def options(self) -> MaskOptions:
        """How the prompts of the plane that is shown become a mask."""
        state = self._workspace.state_here()
        return state.annotation.options if state is not None else MaskOptions()

    @property
    def threshold(self) -> float | None:
        """The similarity that the mask is cut at; None while there is no mask."""
        state = self._workspace.state_here()
        if state is None or state.wanted is None:
            return None
        return state.threshold

    @property
    def layer(self) -> Labels | None:
        """The mask that is shown, if it is in the viewer."""
        state = self._workspace.state_here()
        if state is None or state.mask is None:
            return None
        layer: Labels | None = state.mask.layer(self._workspace.viewer)
        return layer

    @property
    def pixels(self) -> int:
        """How many pixels the mask has."""
        state = self._workspace.state_here()
        if state is None or state.wanted is None:
            return 0
        return int(np.count_nonzero(state.wanted))

    @property
    def overlap(self) -> dict[int, int]:
        """Pixels of other classes that the mask wants, per class."""
        state = self._workspace.state_here()
        return dict(state.taken) if state is not None else {}

    def set_options(self, **changes: Any) -> None:
        """Change ``threshold``, ``connected``, ``smooth`` or ``minimum_size``.

        Raises
        ------
        PromptError
            If a threshold is not in [0, 1], or a size is negative.
        """
        with self._workspace.reporting():
            layer, plane = self._workspace.here()
            state = self._workspace.annotations.on(layer, plane)
            options = replace(state.annotation.options, **changes)
            threshold = options.threshold
            if threshold is not None and not 0 <= threshold <= 1:
                raise PromptError(f"A threshold is between 0 and 1, not {threshold:g}.")
            if options.minimum_size < 0:
                raise PromptError("A piece cannot have fewer than 0 pixels.")
            if options == state.annotation.options:
                self._end_preview(state)
                return
            text = "change " + " and ".join(
                name.replace("_", " ") for name in sorted(changes)
            )
            annotation = replace(state.annotation, options=options)
            self._workspace.annotations.propose(
                layer, plane, "options", text, annotation
            )
            self._workspace.refresh_plane(layer, plane)

    def preview_threshold(self, threshold: float) -> None:
        """Show what a threshold would give, by the display of the map alone."""
        state = self._workspace.state_here()
        similarity = self._map(state)
        if state is None or similarity is None:
            return
        width = THRESHOLD_WIDTH
        similarity.contrast_limits = (threshold - width, threshold + width)
        mask = self.layer
        if mask is not None and mask.visible:
            mask.visible = False
            state.hides_mask = True

    def _map(self, state: PlaneState | None) -> Image | None:
        if state is None or state.similarity is None:
            return None
        layer: Image | None = state.similarity.layer(self._workspace.viewer)
        return layer

    def _end_preview(self, state: PlaneState) -> None:
        similarity = self._map(state)
        if similarity is not None and similarity.contrast_limits != [0, 1]:
            similarity.contrast_limits = (0, 1)
        if state.hides_mask:
            state.hides_mask = False
            mask = state.mask.layer(self._workspace.viewer) if state.mask else None
            if mask is not None:
                mask.visible = True

    # The mask that is shown

    def show(self, layer: Image, plane: Plane, known: Embedded) -> None:
        """Make and show the mask of a plane's prompts."""
        state = self._workspace.annotations.on(layer, plane)
        source = Prompts.of(state.committed.prompts, state.committed.options)
        if not source.positive:
            self.clear(state)
            return
        reading = source.read(known.embedding)
        state.wanted, state.threshold = reading.mask, reading.threshold
        self._paint(layer, plane, state, known)
        self._end_preview(state)
        self.changed.emit()

    def clear(self, state: PlaneState) -> None:
        """Take a plane's mask away."""
        if state.mask is not None:
            state.mask.remove(self._workspace.viewer)
        state.mask, state.wanted, state.threshold = None, None, None
        state.taken, state.hides_mask = {}, False
        self.changed.emit()

    def _soon(self) -> None:
        state = self._workspace.state_here()
        if state is not None and state.wanted is not None:
            self._workspace.pacer.soon("mask colours", 100, self._repaint)

    def _repaint(self) -> None:
        layer, plane = self._workspace.image, self._workspace.plane_here()
        known = self._workspace.known_here()
        if layer is None or plane is None or known is None:
            return
        state = self._workspace.annotations.on(layer, plane)
        if state.wanted is not None and state.mask is not None:
            self._paint(layer, plane, state, known)
            self.changed.emit()

    def _paint(
        self, layer: Image, plane: Plane, state: PlaneState, known: Embedded
    ) -> None:
        """Show the mask, and in another colour what other classes have of it."""
        if state.wanted is None:
            return
        viewer, chosen = self._workspace.viewer, self._classes.chosen
        wanted = state.wanted.astype(np.uint8)
        labels = self._classes.labels_layer if layer is self._workspace.image else None
        state.taken = {}
        if labels is not None:
            before = read_plane(labels, plane)
            value = chosen.value if chosen is not None else LARGEST_CLASS
            as_class = np.where(state.wanted, value, 0)
            wanted[taken_pixels(before, as_class)] = 2
            state.taken = overlap_by_class(before, as_class)
        pixels = plane.expand(wanted)
        colours = mask_colours(chosen.colour if chosen else COLOURS[0])
        placement = plane.placement(layer)
        positive, negative = split(state.committed.prompts)
        metadata = provenance(
            known, positive=positive, negative=negative, threshold=state.threshold
        )
        if state.mask is not None and state.mask.update(
            viewer, pixels, colours, placement, metadata
        ):
            return
        state.mask = DerivedLabels(
            viewer,
            pixels,
            colours,
            placement,
            f"{layer.name} mask{plane.caption}",
            metadata,
            keep_selection=True,
        )
        shown = state.mask.layer(viewer)
        if shown is not None:
            shown.opacity = OPACITY
            self._put_below_prompts(state, shown)
            shown.editable = False  # corrections belong on the labels

    def _put_below_prompts(self, state: PlaneState, shown: Labels) -> None:
        layers = self._workspace.viewer.layers
        points = state.points.layer(self._workspace.viewer) if state.points else None
        if points is not None:
            layers.move(layers.index(shown), layers.index(points))
