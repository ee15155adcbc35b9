"""The mask of the prompts as it is shown, and what other classes have of it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_localdisc.annotation.state import LARGEST_CLASS
from napari_localdisc.core.colours import known_colour
from napari_localdisc.layers.colours import THRESHOLD_WIDTH, mask_colours
from napari_localdisc.layers.labels import overlap_by_class, taken_pixels
from napari_localdisc.layers.ours import Look

from .classes import COLOURS, Classes
from .shown import Destination, Place, Shown, ShownMask
from .workspace import Workspace

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Reading

OPACITY = 0.7


class PromptMask:
    """The mask of the prompts.

    Parameters
    ----------
    workspace : Workspace
        Image, model and annotations.
    classes : Classes
        Its colour, and what other classes have of it.
    """

    changed = Signal()
    """It would become another class, or overwrite other pixels."""

    def __init__(self, workspace: Workspace, classes: Classes) -> None:
        self._workspace = workspace
        self._classes = classes
        self._shown: weakref.WeakSet[Shown] = weakref.WeakSet()
        classes.changed.connect(self._soon)
        classes.areas_changed.connect(self._soon)
        classes.may_overlap_changed.connect(self._soon)

    @property
    def _mask(self) -> ShownMask | None:
        place = self._workspace.place_or_none()
        return place.shown.mask if place is not None else None

    @property
    def threshold(self) -> float | None:
        """The similarity that the mask is cut at; None while there is no mask."""
        mask = self._mask
        return mask.threshold if mask is not None else None

    @property
    def layer(self) -> Labels | None:
        """The mask that is shown, if it is in the viewer."""
        return self._workspace.layer("mask")

    @property
    def pixels(self) -> int:
        """How many pixels the mask has."""
        mask = self._mask
        return mask.pixels if mask is not None else 0

    @property
    def overlap(self) -> dict[int, int]:
        """Pixels of other classes that the mask wants, per class."""
        mask = self._mask
        return dict(mask.taken) if mask is not None else {}

    @property
    def by_hand(self) -> int:
        """Pixels that adding the mask leaves as they were corrected by hand."""
        mask = self._mask
        return mask.by_hand if mask is not None else 0

    @property
    def meaning(self) -> str:
        """The structure that the prompts are taken to mean; empty: none, or no mask."""
        mask = self._mask
        return mask.meaning if mask is not None else ""

    @property
    def destination(self) -> Destination:
        """The class that the mask becomes."""
        mask = self._mask
        return mask.destination if mask is not None else Destination()

    # While a threshold is being dragged

    def preview_threshold(self, threshold: float) -> None:
        """Show what a threshold would give, by the display of the map alone."""
        place = self._workspace.place_or_none()
        similarity = place.shown.layer("similarity") if place is not None else None
        if place is None or similarity is None:
            return
        width = THRESHOLD_WIDTH
        similarity.contrast_limits = (threshold - width, threshold + width)
        layer, mask = place.shown.layer("mask"), place.shown.mask
        if layer is not None and mask is not None and layer.visible:
            layer.visible = False
            mask.is_hidden = True

    def end_preview(self, shown: Shown) -> None:
        """Show map and mask as they are."""
        similarity = shown.layer("similarity")
        if similarity is not None and similarity.contrast_limits != [0, 1]:
            similarity.contrast_limits = (0, 1)
        if shown.mask is not None and shown.mask.is_hidden:
            shown.mask.is_hidden = False
            layer = shown.layer("mask")
            if layer is not None:
                layer.visible = True

    # The mask that is shown

    def show(self, place: Place, reading: Reading, made: dict[str, Any]) -> Any:
        """Show the mask of a plane's prompts, and in its metadata how it was made."""
        before = place.shown.mask
        mask = place.shown.mask = ShownMask(
            reading.mask,
            reading.threshold,
            {**made, "threshold": reading.threshold},
            is_hidden=before is not None and before.is_hidden,
            meaning=reading.meaning,
        )
        self._shown.add(place.shown)
        layer = self._paint(place, mask)
        self.end_preview(place.shown)
        return layer

    def clear(self, shown: Shown) -> None:
        """Take a plane's mask away."""
        shown.mask = None
        shown.remove("mask")

    def _soon(self) -> None:
        if any(shown.mask is not None for shown in self._shown):
            self._workspace.pacer.soon("mask colours", 100, self._repaint)

    def _repaint(self) -> None:
        place = self._workspace.place_or_none()
        if place is not None and place.shown.mask is not None:
            self._paint(place, place.shown.mask)
            self.changed.emit()

    def _paint(self, place: Place, mask: ShownMask) -> Any:
        """Show the mask, and in another colour what other classes have of it."""
        classes = self._classes
        wanted = mask.wanted.astype(np.uint8)
        mask.taken, mask.by_hand = {}, 0
        mask.destination, held = classes.destination(place, mask.meaning)
        chosen = mask.destination.entry
        if held is not None:
            before, hand = held
            value = chosen.value if chosen is not None else LARGEST_CLASS
            as_class = np.where(mask.wanted, value, 0)
            prompts = place.shown.prompts
            points = [(each.row, each.column) for each in prompts if each.positive]
            left = hand.left_out(before, as_class, points)
            mask.by_hand = int(np.count_nonzero(left))
            if mask.by_hand:
                as_class[left] = wanted[left] = 0
            if not classes.may_overlap:  # else nothing is taken from others
                taken = taken_pixels(before, as_class)
                wanted[taken] = 2
                mask.taken = overlap_by_class(before, taken)
        mask.pixels = int(np.count_nonzero(wanted))
        colour = COLOURS[0] if chosen is None else chosen.colour
        if chosen is None and mask.destination.name:
            colour = known_colour(mask.destination.name) or colour
        colours = mask_colours(colour)
        # Corrections belong on the labels
        look = Look(colours, OPACITY, below="prompts", editable=False)
        return place.show("mask", wanted, look, mask.made)
