"""The layers that we make: held by reference, never overwriting a user's work."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from .colours import label_colours, same_colours
from .plane import METADATA_KEY

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.utils import Colormap

LABELS_OPACITY = 0.6
"""Lets the image show through."""


class DerivedLayer:
    """A layer that we made, for as long as it is ours to change.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer goes.
    layer : Layer
        The new layer.
    keep_selection : bool
        Leave the selected layer selected, instead of selecting the new one.
    """

    def __init__(
        self, viewer: ViewerModel, layer: Layer, *, keep_selection: bool = False
    ) -> None:
        selected = viewer.layers.selection.active
        viewer.add_layer(layer)
        if keep_selection and selected is not None:
            viewer.layers.selection.active = selected
        self._layer = weakref.ref(layer)
        self._name = layer.name

    def layer(self, viewer: ViewerModel) -> Any | None:
        """Return the layer while it is in the viewer."""
        layer = self._layer()
        return layer if layer is not None and layer in viewer.layers else None

    def remove(self, viewer: ViewerModel) -> None:
        """Take the layer away, unless the user renamed it to keep it."""
        layer = self.layer(viewer)
        if layer is not None and layer.name == self._name:
            viewer.layers.remove(layer)


def place(layer: Layer, placement: dict[str, Any]) -> None:
    """Move a layer that is already shown to where its image is now."""
    for name, value in placement.items():
        current = getattr(layer, name)
        if name == "affine":
            current = current.affine_matrix
        if not np.array_equal(current, value):
            setattr(layer, name, value)


class DerivedLabels(DerivedLayer):
    """Labels that follow a slider until the user paints on them.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer goes.
    labels : ndarray
        Of the layer's number of dimensions; kept, so not to be changed by the caller.
    colours : ndarray
        (n + 1, 4) RGBA in [0, 1], from label 0 on.
    placement : dict
        From `Plane.placement`.
    name : str
        Of the new layer; napari adds a number if there is one already.
    metadata : dict
        How the labels were made.
    keep_selection : bool
        Leave the selected layer selected.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        labels: NDArray[Any],
        colours: NDArray[np.floating],
        placement: dict[str, Any],
        name: str,
        metadata: dict[str, Any],
        *,
        keep_selection: bool = False,
    ) -> None:
        layer = Labels(
            labels.copy(),
            name=name,
            opacity=LABELS_OPACITY,
            colormap=label_colours(colours),
            metadata={METADATA_KEY: metadata},
            **placement,
        )
        super().__init__(viewer, layer, keep_selection=keep_selection)
        self._written = labels

    def intact(self, viewer: ViewerModel) -> Labels | None:
        """Return the layer while it is in the viewer as we wrote it."""
        layer: Labels | None = self.layer(viewer)
        if layer is None or not np.array_equal(layer.data, self._written):
            return None
        return layer

    def update(
        self,
        viewer: ViewerModel,
        labels: NDArray[Any],
        colours: NDArray[np.floating],
        placement: dict[str, Any],
        metadata: dict[str, Any],
    ) -> bool:
        """Write other labels into the layer, unless it is gone or the user edited it.

        Returns
        -------
        bool
            Whether the labels were written.
        """
        layer = self.intact(viewer)
        if layer is None:
            return False
        self._written = labels
        layer.data = labels.copy()
        colormap = label_colours(colours)
        if not same_colours(layer.colormap, colormap):
            layer.colormap = colormap
        place(layer, placement)
        layer.metadata = {**layer.metadata, METADATA_KEY: metadata}
        return True


class DerivedMap(DerivedLayer):
    """A map of values in [0, 1] laid over an image; updated in place.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layer goes.
    values : ndarray
        Of the layer's number of dimensions.
    placement : dict
        From `Plane.placement`.
    name : str
        Of the new layer.
    colormap : Colormap
        Transparent where nothing is to be seen.
    metadata : dict
        How the map was made.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        values: NDArray[np.float32],
        placement: dict[str, Any],
        name: str,
        colormap: Colormap,
        metadata: dict[str, Any],
    ) -> None:
        layer = Image(
            values,
            name=name,
            colormap=colormap,
            contrast_limits=(0, 1),
            blending="translucent",
            interpolation2d="linear",
            metadata={METADATA_KEY: metadata},
            **placement,
        )
        super().__init__(viewer, layer, keep_selection=True)

    def update(
        self,
        viewer: ViewerModel,
        values: NDArray[np.float32],
        placement: dict[str, Any],
        metadata: dict[str, Any],
    ) -> bool:
        """Show other values; false if the layer is gone."""
        layer: Image | None = self.layer(viewer)
        if layer is None:
            return False
        layer.data = values
        place(layer, placement)
        layer.metadata = {**layer.metadata, METADATA_KEY: metadata}
        return True

    def repaint(
        self,
        viewer: ViewerModel,
        values: NDArray[np.float32],
        placement: dict[str, Any],
    ) -> bool:
        """Show other values of the same size at half the price of `update`.

        Neither the thumbnail nor the extent of the layers is looked at again, and the
        metadata stay.

        Returns
        -------
        bool
            Whether it was done: not where the layer is gone, or of another size.
        """
        layer: Image | None = self.layer(viewer)
        if layer is None or layer.data.shape != values.shape:
            return False
        layer.data[...] = values
        place(layer, placement)
        # The list of layers would be painted anew with every preview
        with viewer.layers.events.blocker():
            layer.refresh(thumbnail=False, extent=False, highlight=False)
        return True
