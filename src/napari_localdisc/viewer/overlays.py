"""How all that we lay over a picture is seen: outlined, filled, or not at all."""

import weakref
from typing import Any, Literal, get_args

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from psygnal import Signal

from napari_localdisc.layers.outline import draw_outlines, thickness
from napari_localdisc.layers.plane import METADATA_KEY, is_derived

View = Literal["outline", "fill", "off"]
VIEWS: tuple[View, ...] = get_args(View)

_FILLED = "strokes", "overlap"
"""In our metadata of layers that are no masks."""


class Overlays:
    """Outlines our labels, fills them, or takes all our layers out of sight.

    A user's own layers are left alone, and so is a layer whose contour the user sets,
    until another view is chosen.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers.
    """

    changed = Signal()
    """Another view is chosen."""
    stirred = Signal()
    """There is something new to see; heard only while all is out of sight."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._view: View = "outline"
        self._last: View = "outline"
        self._hidden: weakref.WeakSet[Layer] = weakref.WeakSet()
        self._aside: weakref.WeakSet[Layer] = weakref.WeakSet()
        viewer.layers.events.inserted.connect(self._on_inserted)

    def close(self) -> None:
        """Show what was hidden, and follow the viewer no longer."""
        self.wake()
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)

    @property
    def view(self) -> View:
        """How our layers are seen."""
        return self._view

    def choose(self, view: View) -> None:
        """See our layers otherwise."""
        if view == self._view:
            return
        if view == "off":
            self._last = self._view
            self.stirred.connect(self.wake)
        else:
            self.stirred.disconnect(self.wake)
        self._view = view
        for layer in self._ours():
            self._show(layer)
        self.changed.emit()

    def choose_next(self) -> None:
        """Go on from outline to fill, to off, and again to outline."""
        self.choose(VIEWS[(VIEWS.index(self._view) + 1) % len(VIEWS)])

    def wake(self) -> None:
        """Bring our layers back where they are off: there is something new to see."""
        self.bring_back()
        if self._view == "off":
            self.choose(self._last)

    def is_meant_to_show(self, layer: Layer) -> bool:
        """Whether a layer is only out of sight while all of ours are, or a moment."""
        return layer in self._hidden or layer in self._aside

    def put_aside(self, layer: Layer) -> None:
        """Take one of our layers out of sight for a moment, if it is seen."""
        if layer.visible:
            self._aside.add(layer)
            layer.visible = False

    def bring_back(self) -> None:
        """Show again what was put aside; while all of ours are off, with them."""
        for layer in list(self._aside):
            if self._view == "off":
                self._hidden.add(layer)
            else:
                layer.visible = True
        self._aside.clear()

    def dress(self, layer: Labels) -> None:
        """Give a layer of ours that is new its outlines."""
        if not layer.multiscale and _is_mask(layer):
            draw_outlines(layer, filled=self._view == "fill")

    def _ours(self) -> list[Layer]:
        return [layer for layer in self._viewer.layers if is_derived(layer)]

    def _on_inserted(self, event: Any) -> None:
        layer = event.value
        if isinstance(layer, Labels) and not layer.contour and is_derived(layer):
            self.dress(layer)

    def _show(self, layer: Layer) -> None:
        if self._view == "off":
            if layer.visible:
                self._hidden.add(layer)
                layer.visible = False
            return
        if isinstance(layer, Labels) and not layer.multiscale and _is_mask(layer):
            wanted = 0 if self._view == "fill" else thickness(layer)
            if layer.contour != wanted:
                layer.contour = wanted
        if layer in self._hidden:
            self._hidden.discard(layer)
            layer.visible = True


def _is_mask(layer: Layer) -> bool:
    ours = layer.metadata.get(METADATA_KEY, {})
    return not any(key in ours for key in _FILLED)
