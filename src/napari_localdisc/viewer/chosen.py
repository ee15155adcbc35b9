"""The image layers of a viewer and the one that is worked on."""

import weakref
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from psygnal import Signal, SignalInstance

from napari_localdisc.core.embedding.named import card_colours, cluster_names
from napari_localdisc.core.errors import ModelError
from napari_localdisc.core.model.card import (
    MOST,
    ModelCard,
    ModelFile,
    list_models,
    read_card,
)
from napari_localdisc.core.priors.derived import every_structure
from napari_localdisc.layers.plane import is_derived


class ImageChoice:
    """Follows a viewer's image layers, held by reference, not by name.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers to follow.  The selected image, else the topmost one, is chosen.
    """

    listed = Signal()
    """Images came, went, moved or got another name."""
    chosen = Signal()
    """Another image, or none, is chosen."""
    replaced = Signal(object)
    """A layer got other data, or left the viewer."""
    touched = Signal(object)
    """A layer was drawn anew: its pixels may have been edited."""
    resized = Signal(object)
    """A layer's pixels may have another length."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._current: weakref.ref[Image] | None = None
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.reordered.connect(self._on_listed)
        for layer in viewer.layers:
            self._follow(layer)
        active = viewer.layers.selection.active
        images = self.images
        if images:
            self.choose(active if active in images else images[0])

    @property
    def images(self) -> list[Image]:
        """Image layers that are not ours, topmost first."""
        return [
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Image) and not is_derived(layer)
        ]

    @property
    def current(self) -> Image | None:
        """The chosen image, if it is still in the viewer."""
        layer = self._current() if self._current is not None else None
        return layer if layer is not None and layer in self._viewer.layers else None

    def choose(self, layer: Image | None) -> None:
        """Choose an image of the viewer."""
        if layer is self.current and (layer is not None or self._current is None):
            return
        self._current = None if layer is None else weakref.ref(layer)
        self.chosen.emit()

    def close(self) -> None:
        """Stop following the viewer."""
        events = self._viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        events.reordered.disconnect(self._on_listed)
        for layer in self._viewer.layers:
            self._follow(layer, on=False)

    def _follow(self, layer: Any, on: bool = True) -> None:
        if isinstance(layer, Image) and not is_derived(layer):
            events = layer.events
            for event, hear in (
                (events.name, self._on_listed),
                (events.data, self._on_data),
                (events.set_data, self._on_set_data),
                (events.scale, self._on_resized),
                (events.units, self._on_resized),
                (events.affine, self._on_resized),
            ):
                (event.connect if on else event.disconnect)(hear)

    def _on_listed(self, event: Any = None) -> None:
        self.listed.emit()

    def _on_inserted(self, event: Any) -> None:
        self._follow(event.value)
        self.listed.emit()
        if self.current is None and event.value in self.images:
            self.choose(event.value)

    def _on_removed(self, event: Any) -> None:
        self._follow(event.value, on=False)
        if isinstance(event.value, Image) and not is_derived(event.value):
            self.replaced.emit(event.value)
        self.listed.emit()
        if self._current is not None and self.current is None:
            images = self.images
            self.choose(images[0] if images else None)

    def _on_data(self, event: Any) -> None:
        self.replaced.emit(event.source)

    def _on_set_data(self, event: Any) -> None:
        self.touched.emit(event.source)

    def _on_resized(self, event: Any) -> None:
        self.resized.emit(event.source)


models_changed = SignalInstance(())
"""There may be other models than before; tells everybody, as their folder is one."""
model_wanted = SignalInstance((object, str))
"""Who uses this viewer wants to go on with the model of this name."""

labels_wanted = SignalInstance((object, object, object))
"""Who uses this viewer wants to annotate this image in this Labels layer."""

clicks_wanted = SignalInstance((object, object))
"""In this viewer this object takes clicks in the canvas now, and nobody else."""

DEFAULT_MODEL = "fundus"


class ModelChoice:
    """A model's name and what its card says; the first readable model is chosen.

    Attributes
    ----------
    name : str or None
        The model.
    magnification : float or None
        How much larger than usual it is to see images; None: as vessels tell.
    """

    listed = Signal()
    """There may be other models than before."""

    def __init__(self) -> None:
        self.magnification: float | None = None
        self.name: str | None = None
        self._card: ModelCard | None = None
        names = sorted(self.names, key=lambda name: name != DEFAULT_MODEL)
        for name in names:
            try:
                self.choose(name)
            except ModelError:
                continue  # it is reported when the user chooses it
            return

    @property
    def names(self) -> list[str]:
        """Names of the models there are now."""
        return list(list_models())

    def choose(self, name: str) -> None:
        """Choose a model.

        Raises
        ------
        ModelError
            If it is gone or damaged; it is chosen all the same.
        """
        self.name, self._card = name, None
        self._card = read_card(ModelFile.of(name).path)

    @property
    def structures(self) -> tuple[str, ...]:
        """Structures that the model's card names, and those that follow from them."""
        return every_structure(self._card.structures) if self._card is not None else ()

    @property
    def colours(self) -> dict[str, str]:
        """Structure → the colour that it has wherever it is shown."""
        return card_colours(self._card) if self._card is not None else {}

    @property
    def named(self) -> tuple[str, ...]:
        """Structures that the model's card names."""
        return tuple(self._card.structures) if self._card is not None else ()

    def cluster_names(self, n: int) -> dict[int, str]:
        """Those of n clusters that have a name."""
        return cluster_names(self._card, n) if self._card is not None else {}

    @property
    def most_structures(self) -> int:
        """The largest number of structures that the model can tell apart."""
        return self._card.most_clusters if self._card is not None else MOST

    @property
    def file(self) -> ModelFile:
        """The model's file as it is now.

        Raises
        ------
        ModelError
            If there is none.
        """
        if self.name is None:
            raise ModelError(
                "No model is installed: install the package again, or put a model "
                "into the folder that LOCALDISC_MODELS names."
            )
        return ModelFile.of(self.name)
