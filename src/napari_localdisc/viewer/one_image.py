"""One image at a time: what is looked at is what is worked on."""

import weakref
from collections.abc import Iterable
from typing import Any

from napari.layers import Image, Layer
from psygnal import Signal

from napari_localdisc.layers.plane import OF_KEY, grid_of

from .workspace import Workspace


class OneImage:
    """Works on the image that is selected, and hides the layers of all others.

    The selected layer is an image, or ours of one; an image that is chosen otherwise is
    selected.  Layers of nobody, such as a user's own, are left alone, and so is
    everything in grid mode.  What an image that is gone left behind is of another one.

    Parameters
    ----------
    workspace : Workspace
        Its images.
    """

    changed = Signal()
    """Whether layers of other images are hidden has changed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._alone = True
        viewer = workspace.viewer
        self._grid = grid_of(viewer)
        self._hidden: weakref.WeakSet[Layer] = weakref.WeakSet()
        self._left: weakref.WeakSet[Layer] = weakref.WeakSet()
        self._connect()
        self._arrange()

    @property
    def alone(self) -> bool:
        """Whether layers of other images are hidden."""
        return self._alone

    def set_alone(self, alone: bool) -> None:
        """Hide the layers of other images, or show what was hidden."""
        if alone != self._alone:
            self._alone = alone
            self._arrange()
            self.changed.emit()

    def is_meant_to_show(self, layer: Layer) -> bool:
        """Whether a layer is seen, or would be if its image were worked on."""
        return bool(layer.visible) or layer in self._hidden

    def set_meant_to_show(self, layer: Layer, visible: bool) -> None:
        """Show a layer when its image is worked on, or never by itself."""
        self._hidden.discard(layer)
        layer.visible = visible
        self._arrange()

    def owner(self, layer: Layer | None) -> Image | None:
        """Return the image that a layer is, or is ours of."""
        workspace = self._workspace
        for image in workspace.images.images:
            if layer is image or layer in self._layers_of(image):
                return image
        return None

    def close(self) -> None:
        """Show what was hidden, and follow the viewer no longer."""
        self._connect(on=False)
        self._show(self._hidden)

    def _connect(self, on: bool = True) -> None:
        workspace = self._workspace
        viewer = workspace.viewer
        for event, hear in (
            (workspace.replaced, self._on_replaced),
            (workspace.image_changed, self._arrange),
            (viewer.layers.selection.events.active, self._on_active),
            (self._grid.events.enabled, self._arrange),
        ):
            (event.connect if on else event.disconnect)(hear)

    def _layers_of(self, image: Image) -> list[Layer]:
        workspace = self._workspace
        found = [
            ours.layer
            for shown in workspace.shown_of(image).values()
            for ours in shown.ours.values()
        ]
        found += [
            layer
            for layer in workspace.viewer.layers
            if OF_KEY in layer.metadata and layer.metadata[OF_KEY]() is image
        ]
        found += workspace.annotations.of(image).labels.values()
        return [layer for layer in found if layer is not None]

    def _on_active(self, event: Any) -> None:
        image = self.owner(event.value)
        if image is not None:
            self._workspace.images.choose(image)

    def _on_replaced(self, image: Image) -> None:
        if image not in self._workspace.viewer.layers:
            self._left.update(self._layers_of(image))

    def _arrange(self, event: Any = None) -> None:
        """Hide what belongs to other images, show again what belongs to this one."""
        current = self._workspace.images.current
        if current is None:
            return
        selection = self._workspace.viewer.layers.selection
        if self.owner(selection.active) not in (None, current):
            selection.active = current
        if not self._alone or self._grid.enabled:
            self._show(self._hidden)
            return
        for image in self._workspace.images.images:
            layers = [image, *self._layers_of(image)]
            if image is current:
                self._show(layers)
                continue
            self._hide(layers)
        self._hide(each for each in self._left if self.owner(each) is None)

    def _hide(self, layers: Iterable[Layer]) -> None:
        for layer in list(layers):
            if layer.visible:
                layer.visible = False
                self._hidden.add(layer)

    def _show(self, layers: Any) -> None:
        for layer in list(layers):
            if layer in self._hidden:
                self._hidden.discard(layer)
                layer.visible = True
