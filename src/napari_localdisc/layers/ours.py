"""The layers that we make: held by reference, never overwriting a user's work."""

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils import Colormap
from numpy.typing import NDArray

from .colours import label_colours
from .plane import METADATA_KEY

LABELS_OPACITY = 0.6
"""Lets the image show through."""


@dataclass(frozen=True, eq=False)
class Look:
    """How pixels are shown.

    Attributes
    ----------
    colours : Colormap or ndarray
        Of a map of values in [0, 1], transparent where nothing is to be seen; or of
        labels, (n + 1, 4) RGBA in [0, 1] from label 0 on.
    opacity : float
        Of labels, when the layer is new.
    below : str
        What a new layer goes under, if that is shown.
    selects : bool
        Whether a new layer becomes the selected one.
    editable : bool
        Whether the user may paint on a new layer.
    names : mapping of int to str
        Of labels, which napari says under the pointer.
    """

    colours: Colormap | NDArray[np.floating]
    opacity: float = LABELS_OPACITY
    below: str = ""
    selects: bool = False
    editable: bool = True
    names: Mapping[int, str] = field(default_factory=dict)


class Ours:
    """A layer that we made, for as long as it is ours to change.

    Parameters
    ----------
    viewer : ViewerModel
        Where it goes.
    layer : Layer
        The new layer.
    selects : bool
        Whether it becomes the selected one.
    written : ndarray, optional
        The labels in it; once the user has painted on them, it is ours no longer.
    above : Layer, optional
        What it goes under; else it is the topmost.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Layer,
        *,
        selects: bool = False,
        written: NDArray[Any] | None = None,
        above: Layer | None = None,
    ) -> None:
        add(viewer, layer, selects, above)
        self._viewer = viewer
        self._layer = weakref.ref(layer)
        self._name = layer.name
        self.written = written
        self.colours: Any = None

    @property
    def layer(self) -> Any | None:
        """The layer while it is in the viewer."""
        layer = self._layer()
        return layer if layer is not None and layer in self._viewer.layers else None

    def placed(self, placement: dict[str, Any]) -> Any | None:
        """Return the layer, moved to where its image is now."""
        layer = self.layer
        if layer is not None:
            place(layer, placement)
        return layer

    @property
    def intact(self) -> Any | None:
        """The layer while it is in the viewer, and as we wrote it."""
        layer = self.layer
        if layer is None or self.written is None:
            return layer
        return layer if np.array_equal(layer.data, self.written) else None

    def remove(self) -> None:
        """Take the layer away, unless the user renamed it to keep it."""
        layer = self.layer
        if layer is not None and layer.name == self._name:
            self._viewer.layers.remove(layer)


class OurLayers:
    """Our layers of one plane, by what they show.

    Parameters
    ----------
    viewer : ViewerModel
        Where they are.
    dress : callable, optional
        Gets each new Labels layer before it is shown.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        dress: Callable[[Labels], None] = lambda layer: None,
    ) -> None:
        self.viewer = viewer
        self._dress = dress
        self.ours: dict[str, Ours] = {}

    def layer(self, what: str) -> Any | None:
        """Return the layer that shows something, while it is in the viewer."""
        ours = self.ours.get(what)
        return ours.layer if ours is not None else None

    def edited(self, what: str) -> bool:
        """Whether the user painted on a layer of ours."""
        ours = self.ours.get(what)
        return ours is not None and ours.layer is not None and ours.intact is None

    def remove(self, *what: str) -> None:
        """Take layers away, unless the user renamed them; there are new ones next."""
        for each in what:
            ours = self.ours.pop(each, None)
            if ours is not None:
                ours.remove()

    def forget(self, *what: str) -> None:
        """Let layers be the user's: there are new ones next."""
        for each in what:
            self.ours.pop(each, None)

    def show(
        self,
        what: str,
        pixels: NDArray[Any],
        look: Look,
        placement: dict[str, Any],
        name: Callable[[], str],
        metadata: dict[str, Any],
    ) -> Any:
        """Show pixels in our layer; in a new one if it is gone or was painted on.

        Parameters
        ----------
        what : str
            What the layer shows.
        pixels : ndarray
            Of the layer's number of dimensions; kept, so not to be changed after.
        look : Look
            Its colours, and how a new layer is added.
        placement : dict
            From `Plane.placement`.
        name : callable
            Names a new layer; napari adds a number if there is one already.
        metadata : dict
            How the pixels were made.
        """
        ours = self.ours.get(what)
        layer = ours.intact if ours is not None else None
        if ours is None or layer is None:
            metadata = {METADATA_KEY: metadata}
            options = {"name": name(), "metadata": metadata, **placement}
            return self._make(what, pixels, look, options)
        if isinstance(layer, Labels):
            ours.written = pixels
            if layer.data.shape != pixels.shape:
                pixels = pixels.copy()
            if not np.array_equal(ours.colours, look.colours):
                ours.colours = look.colours
                layer.colormap = label_colours(look.colours)
        _repaint(self.viewer, layer, pixels)
        place(layer, placement)
        # Nobody hears of it: the list of layers would be painted anew each time
        layer.metadata[METADATA_KEY] = metadata
        return layer

    def repaint(self, what: str, pixels: NDArray[Any], metadata: dict[str, Any]) -> Any:
        """Show pixels of the same size in our layer, as it is and where it lies.

        Returns None where there is no such layer.
        """
        layer = self.layer(what)
        if layer is None or layer.data.shape != pixels.shape:
            return None
        _repaint(self.viewer, layer, pixels)
        layer.metadata[METADATA_KEY] = metadata
        return layer

    def _make(
        self, what: str, pixels: NDArray[Any], look: Look, options: dict[str, Any]
    ) -> Any:
        layer: Image | Labels
        written = None
        if isinstance(look.colours, Colormap):
            layer = Image(
                pixels,
                colormap=look.colours,
                contrast_limits=(0, 1),
                blending="translucent",
                interpolation2d="linear",
                **options,
            )
        else:
            written = pixels
            colormap = label_colours(look.colours)
            if look.names:
                columns = {"index": [*look.names], "name": [*look.names.values()]}
                options["features"] = columns
            layer = Labels(
                pixels.copy(), opacity=look.opacity, colormap=colormap, **options
            )
            self._dress(layer)
        above = self.layer(look.below)
        ours = Ours(
            self.viewer, layer, selects=look.selects, written=written, above=above
        )
        ours.colours = look.colours
        self.ours[what] = ours
        if not look.editable:
            layer.editable = False
        return layer


def add(
    viewer: ViewerModel,
    layer: Layer,
    selects: bool = False,
    above: Layer | None = None,
) -> None:
    """Add a layer, under another or on top.

    Where it does not select, the selected one stays selected.  Added on top and moved
    afterwards it would take napari twice the time.
    """
    layers = viewer.layers
    at = len(layers) if above is None else layers.index(above)
    selected = layers.selection.active
    if selects or selected is None:
        layers.insert(at, layer)
        return
    # Nobody needs to hear of another layer that is selected for a moment
    with layers.selection.events.active.blocker():
        layers.insert(at, layer)
        viewer.layers.selection.active = selected


def _repaint(viewer: ViewerModel, layer: Image | Labels, pixels: NDArray[Any]) -> None:
    """Show other pixels in a layer, at half the price where their size is the same.

    Neither the thumbnail nor the extent of the layers is looked at again then; see
    `update_thumbnails`.
    """
    data = layer.data
    if data.shape != pixels.shape or data.dtype != pixels.dtype:
        layer.data = pixels
        return
    data[...] = pixels
    # The list of layers would be painted anew each time
    with viewer.layers.events.blocker():
        layer.refresh(thumbnail=False, extent=False, highlight=False)


def update_thumbnails(layers: Iterable[Any]) -> None:
    """Show in the list of layers what was repainted meanwhile."""
    for layer in layers:
        layer.refresh(data_displayed=False, extent=False, highlight=False)


def place(layer: Layer, placement: dict[str, Any]) -> None:
    """Move a layer that is already shown to where its image is now."""
    for name, value in placement.items():
        current = getattr(layer, name)
        if name == "affine":
            current = current.affine_matrix
        if not np.array_equal(current, value):
            setattr(layer, name, value)
