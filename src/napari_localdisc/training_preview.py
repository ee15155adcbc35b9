"""Labels of the current image that follow a training, and go when it ends."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from .derived import DerivedLabels

if TYPE_CHECKING:
    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from .layers import Plane


class TrainingPreview:
    """The clusters of one plane while a network learns.

    Parameters
    ----------
    viewer : ViewerModel
        Where the labels go.
    layer : Image
        The current image.
    plane : Plane
        What pictures are made of.
    """

    def __init__(self, viewer: ViewerModel, layer: Image, plane: Plane) -> None:
        self._viewer = viewer
        self._image = weakref.ref(layer)
        self._plane = plane
        self._labels: DerivedLabels | None = None

    @property
    def layer(self) -> Any | None:
        """The labels while they are in the viewer."""
        return self._labels.layer(self._viewer) if self._labels is not None else None

    def show(
        self, labels: NDArray[np.uint8], colours: NDArray[np.floating], step: int
    ) -> None:
        """Show labels, unless the user took the image or the last ones away."""
        image = self._image()
        if image is None or image not in self._viewer.layers:
            return
        if self._labels is not None and self.layer is None:
            return
        picture = self._plane.expand(labels)
        placement = self._plane.placement(image)
        metadata = {"training_step": step}
        if self._labels is not None and self._labels.update(
            self._viewer, picture, colours, placement, metadata
        ):
            return
        selected = self._viewer.layers.selection.active
        self._labels = DerivedLabels(
            self._viewer,
            picture,
            colours,
            placement,
            f"{image.name} in training",
            metadata,
        )
        if selected is not None:
            self._viewer.layers.selection.active = selected

    def finish(self, keep: bool) -> None:
        """Take the labels away, unless they are wanted, painted on or renamed."""
        if keep or self._labels is None:
            return
        if self._labels.intact(self._viewer) is not None:
            self._labels.remove(self._viewer)
        self._labels = None
