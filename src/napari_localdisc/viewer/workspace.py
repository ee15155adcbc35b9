"""What the operations of one viewer share: image, model, place, work, status."""

import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Labels
from psygnal import Signal

from napari_localdisc.annotation.document import Annotations
from napari_localdisc.annotation.state import PlaneKey
from napari_localdisc.core.errors import ImageError, ModelError
from napari_localdisc.layers.plane import Plane, displayed_plane

from . import status
from .chosen import ImageChoice, ModelChoice
from .embeddings import Embedded, Embeddings, Then
from .large import LargeImages, is_large
from .overlays import Overlays
from .preferences import preferred_cache
from .shown import Place, Shown
from .work import (
    Pacer,
    Runner,
    Slot,
    disconnect_all,
    raise_error,
    reporting,
    run_beside,
)


class Workspace:
    """The chosen image and model, and embeddings of what is shown.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer; need not have a window.
    runner : Runner, optional
        Runs long work; by default at once, before the call returns.
    report : callable, optional
        Gets every error; by default it is raised.
    pacer : Pacer, optional
        Does what may wait a little; by default at once.

    Attributes
    ----------
    images : ImageChoice
        The image layers, and which one is worked on.
    models : ModelChoice
        The models, and which one is used.
    annotations : Annotations
        What was done on the images.
    work : Slot
        The long work: whether there is any, and how far it is.
    status : Status
        What was done and what to do next.
    overlays : Overlays
        How what we lay over the image is seen.
    embeddings : Embeddings
        Of what was looked at.
    large : LargeImages
        Work on what does not fit in memory.
    reporting : callable
        Makes a context that reports what the user can put right, and lets everything
        else through.
    """

    image_changed = Signal()
    """Another image is chosen."""
    plane_changed = Signal()
    """Another plane is shown, of another image too; or its pixels are others."""
    model_changed = Signal()
    """Another model is chosen."""
    outgrown = Signal()
    """The image is to be looked at anew: its pixels have another length now."""
    replaced = Signal(object)
    """This image layer has other data, or left the viewer."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
        pacer: Pacer | None = None,
    ) -> None:
        self.viewer = viewer
        self.runner = runner or Runner()
        self.pacer = pacer or Pacer()
        self.status = status.Status()
        self._tell = report
        self.reporting = partial(reporting, self.report)
        self.annotations = Annotations()
        self.is_closed = False
        self._folder = Path.home()
        self.overlays = Overlays(viewer)
        self.models = ModelChoice()
        self.images = ImageChoice(viewer)
        self.work = Slot(self.runner, self.report)
        self.embeddings = Embeddings(
            viewer, self.models, self.work, self.runner, self.report, preferred_cache
        )
        self.large = LargeImages(viewer, self.work)
        self._shown: weakref.WeakKeyDictionary[Image, dict[PlaneKey, Shown]]
        self._shown = weakref.WeakKeyDictionary()
        self._key: PlaneKey | None = None
        self.embeddings.progressed.connect(self._on_tiles)
        self.embeddings.looking_closer.connect(self._on_closer)
        self.large.progressed.connect(self._on_blocks)
        self.images.chosen.connect(self._on_chosen)
        self.images.replaced.connect(self._on_replaced)
        self.images.touched.connect(self.embeddings.store.suspect)
        self.images.resized.connect(self._on_resized)
        for event in self._dims_events():
            event.connect(self._on_dims)

    def _dims_events(self) -> list[Any]:
        events = self.viewer.dims.events
        return [events.current_step, events.order, events.ndisplay]

    def close(self) -> None:
        """Stop all work and follow the viewer no longer; layers stay."""
        self.is_closed = True
        self.overlays.close()
        self.pacer.stop()
        disconnect_all(
            self,
            self.annotations,
            self.embeddings,
            self.large,
            self.overlays,
            self.status,
            self.work,
        )
        self.work.cancel()
        self.images.close()
        for event in self._dims_events():
            event.disconnect(self._on_dims)

    def set_model(self, name: str) -> None:
        """Choose a model; work by another one is cancelled."""
        self.work.cancel()
        with self.reporting():
            self.models.choose(name)
        self.model_changed.emit()

    def report(self, error: Exception) -> None:
        """Say what went wrong where it was said what went well, and report it."""
        self.status.fail(error)
        self._tell(error)

    def set_magnification(self, magnification: float | None) -> None:
        """Choose how much larger than usual images are seen; None: as vessels tell."""
        self.work.cancel()
        self.models.magnification = magnification
        self.model_changed.emit()

    # Where

    def place(self) -> Place:
        """Return where an operation works: the image and its plane that is shown.

        Raises
        ------
        ImageError
            If there is no image, or the viewer shows no plane of it.
        """
        layer = self.images.current
        if layer is None:
            raise ImageError("There is no image: open one, or File > Open Sample.")
        return self.place_on(layer, displayed_plane(layer, self.viewer.dims))

    def place_or_none(self) -> Place | None:
        """Return where an operation works, if there is such a place."""
        try:
            return self.place()
        except ImageError:
            return None

    def place_of(self, layer: Image, key: PlaneKey) -> Place:
        """Return a plane of a layer by its key."""
        data = layer.data[0] if layer.multiscale else layer.data
        return self.place_on(layer, Plane(data, key))

    def place_on(self, layer: Image, plane: Plane) -> Place:
        """Return a plane of a layer as a place."""
        document, state = self.annotations.on(layer, plane.index)
        shown = self.shown_of(layer)
        if plane.index not in shown:
            shown[plane.index] = Shown(self.viewer, self.overlays.dress)
        return Place(layer, plane, document, state, shown[plane.index])

    def shown_of(self, layer: Image) -> dict[PlaneKey, Shown]:
        """Return what is shown of each plane of a layer that was looked at."""
        return self._shown.setdefault(layer, {})

    def layer(self, what: str) -> Any | None:
        """Return our layer that shows something of the plane, if in the viewer."""
        place = self.place_or_none()
        return place.shown.layer(what) if place is not None else None

    @property
    def folder(self) -> Path:
        """Where files are looked for: beside the image, else where they were last."""
        layer = self.images.current
        path = None if layer is None else layer.source.path
        if path is not None and Path(path).parent.is_dir():
            return Path(path).parent
        return self._folder

    def remember(self, path: str | Path) -> None:
        """Look there next, where an image does not say where it is."""
        self._folder = Path(path).parent

    # Work

    def known(self, place: Place | None) -> Embedded | None:
        """Return the embedding of a place, if it is in memory."""
        if place is None or self.models.name is None:
            return None
        try:
            return self.embeddings.find(place)
        except ModelError:
            return None  # the model's file is gone; said when it is needed

    def request(
        self, place: Place, purpose: str, then: Then, structure: str = ""
    ) -> None:
        """Call ``then`` with a place and its embedding; see `Embeddings.request`.

        Planes that must not be read whole are never embedded: a smaller copy of them
        is made, chosen and embedded instead, where prompts and strokes then go.
        """
        if not is_large(place.plane):
            self.embeddings.request(place, purpose, then, structure)
            return
        self.embeddings.abandoned.emit(place)

        def go_on(copy: Image) -> None:
            self.images.choose(copy)
            with self.reporting():
                there = self.place_on(copy, displayed_plane(copy, self.viewer.dims))
                if purpose == "concept":
                    self.request(there, purpose, then)
                    return
                self.request(there, "prepare", lambda *known: None)
            self.status.say(
                f"“{place.layer.name}” is too large to be in memory: prompts, strokes "
                f"and concepts work on its smaller copy “{copy.name}”. Start again on "
                "that."
            )

        self.large.reduce(place, go_on)

    def do(self, purpose: str, then: Then, structure: str = "") -> None:
        """Call ``then`` with the embedding of what is shown; errors are reported."""
        with self.reporting():
            self.request(self.place(), purpose, then, structure)

    def beside(self, labels: Labels) -> list[Labels]:
        """Return the layers of the same image's classes, which these may overlap."""
        for image in self.images.images:
            held = [*self.annotations.of(image).labels.values()]
            if labels in held:
                there = self.viewer.layers
                return [e for e in held if e is not labels and e in there]
        return []

    def cancel(self) -> None:
        """Stop long work; everything stays as it was before."""
        if self.work.cancel():
            self.status.say("Cancelled: everything is as it was before.")

    def clear_disk(self) -> None:
        """Remove the embeddings that are kept on the disk."""
        from napari_localdisc.io.cache import EmbeddingCache

        def say(freed: int) -> None:
            self.status.say(f"The cache is empty: {freed / 1e6:.0f} MB freed.")

        run_beside(self.runner, EmbeddingCache().clear, self.report, say)

    # What happens elsewhere

    def _on_chosen(self) -> None:
        self.work.cancel()
        self.overlays.wake()
        place = self.place_or_none()
        self._key = place.plane.index if place is not None else None
        self.image_changed.emit()
        self.plane_changed.emit()

    def _on_replaced(self, layer: Image) -> None:
        self.embeddings.forget(layer)
        self.annotations.of(layer).forget_planes()
        self.replaced.emit(layer)
        if layer is self.images.current:
            self.plane_changed.emit()

    def _on_resized(self, layer: Image) -> None:
        if self.embeddings.forget_outgrown(layer) and layer is self.images.current:
            self.status.say(
                "The layer's scale says another size of the image now: it is looked at "
                "anew with the next click or Cluster."
            )
            self.outgrown.emit()

    def _on_dims(self, event: Any = None) -> None:
        place = self.place_or_none()
        key = place.plane.index if place is not None else None
        if key != self._key:
            self._key = key
            self.plane_changed.emit()

    def _on_tiles(self, done: int, total: int) -> None:
        self.status.say(status.looking(done, total))

    def _on_closer(self, structure: str) -> None:
        self.status.say(f"Looking closer, at twice the size, for {structure}…")

    def _on_blocks(self, done: int, total: int) -> None:
        if total:
            self.status.say(status.looking_by_blocks(done, total))
