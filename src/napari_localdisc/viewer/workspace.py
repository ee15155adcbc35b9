"""What the operations of one viewer share: image, model, planes, work, status."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_localdisc.annotation.document import Annotations, PlaneState
from napari_localdisc.core.errors import ImageError, ModelError
from napari_localdisc.layers.plane import Plane, displayed_plane, show_point

from .chosen import ImageChoice, ModelChoice, model_wanted, models_changed
from .embeddings import Embedded, Embedder, Then
from .large import LargeImages, is_large
from .preferences import ClearTick, preferred_cache
from .work import AtOnce, Pacer, Runner, SynchronousRunner, disconnect_all, raise_error

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_localdisc.annotation.state import PlaneKey


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
    """

    images_changed = Signal()
    """Images came, went or were renamed."""
    image_changed = Signal()
    """Another image is chosen."""
    model_changed = Signal()
    """Another model is chosen."""
    models_changed = Signal()
    """There may be other models than before."""
    busy_changed = Signal(bool)
    """Long work began or ended."""
    progressed = Signal(int, int)
    """Tiles done, and in all (0: not known yet)."""
    status_changed = Signal(str)
    """A line that says what was done and what to do next."""
    prompts_changed = Signal()
    """Prompts came or went, or another plane with its own prompts is shown."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner | None = None,
        report: Callable[[Exception], None] = raise_error,
        pacer: Pacer | None = None,
    ) -> None:
        self.viewer = viewer
        self.runner = runner or SynchronousRunner()
        self.pacer = pacer or AtOnce()
        self.report = report
        self.annotations = Annotations()
        self._status = ""
        self._is_closed = False
        self._models = ModelChoice()
        self._embedder = Embedder(viewer, self.runner, report, preferred_cache)
        self._embedder.busy_changed.connect(self._on_busy)
        self._embedder.progressed.connect(self._on_progress)
        self._embedder.abandoned.connect(self._on_abandoned)
        self._large = LargeImages(viewer, self.runner, report)
        self._large.busy_changed.connect(self._on_busy)
        self._large.progressed.connect(self._on_large_progress)
        self._images = ImageChoice(viewer)
        self._images.listed.connect(self._on_listed)
        self._images.chosen.connect(self._on_chosen)
        self._images.replaced.connect(self._on_replaced)
        self._images.touched.connect(self._embedder.suspect)
        for event in self._dims_events():
            event.connect(self._on_dims)
        models_changed.connect(self.refresh_models)
        model_wanted.connect(self._on_model_wanted)
        self._clear_tick = ClearTick(self._clear_disk)

    def _dims_events(self) -> list[Any]:
        events = self.viewer.dims.events
        return [events.current_step, events.order, events.ndisplay]

    def close(self) -> None:
        """Stop all work and follow the viewer no longer; layers stay."""
        if self._is_closed:
            return
        self._is_closed = True
        self.pacer.stop()
        self.annotations.close()
        disconnect_all(self)
        self._clear_tick.close()
        self._embedder.cancel()
        self._large.cancel()
        self._images.close()
        models_changed.disconnect(self.refresh_models)
        model_wanted.disconnect(self._on_model_wanted)
        for event in self._dims_events():
            event.disconnect(self._on_dims)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called: results that come later are dropped."""
        return self._is_closed

    # What is chosen

    @property
    def images(self) -> list[Image]:
        """Image layers to choose from, topmost first."""
        return self._images.images

    @property
    def image(self) -> Image | None:
        """The chosen image layer, while it is in the viewer."""
        return self._images.current

    def set_image(self, layer: Image | None) -> None:
        """Choose an image layer; work on another one is cancelled."""
        self._images.choose(layer)

    @property
    def models(self) -> list[str]:
        """Names of the models there are now."""
        return self._models.names

    @property
    def model(self) -> str | None:
        """Name of the chosen model."""
        return self._models.name

    def set_model(self, name: str) -> None:
        """Choose a model; work by another one is cancelled."""
        if name == self.model:
            return
        self._embedder.cancel()
        self._large.cancel()
        with self._embedder.reporting():
            self._models.choose(name)
        self.model_changed.emit()
        self.invite()

    def refresh_models(self) -> None:
        """Look for models again; the first one there is gets chosen."""
        if self.model is None and self.models:
            self.set_model(self.models[0])
        self.models_changed.emit()

    def _on_model_wanted(self, viewer: ViewerModel, name: str) -> None:
        if viewer is self.viewer:
            self.set_model(name)

    @property
    def structures(self) -> tuple[str, ...]:
        """Structures that the chosen model's card names."""
        return self._models.structures

    @property
    def most_structures(self) -> int:
        """The largest number of structures that the chosen model can tell apart."""
        return self._models.most_structures

    # Work

    @property
    def is_busy(self) -> bool:
        """Whether long work is being done."""
        return self._embedder.is_busy or self._large.is_busy

    def cancel(self) -> None:
        """Stop long work; everything stays as it was before."""
        if self._embedder.cancel() or self._large.cancel():
            self.say("Cancelled: everything is as it was before.")

    def _clear_disk(self) -> None:
        self._embedder.clear_disk(
            lambda freed: self.say(f"The cache is empty: {freed / 1e6:.0f} MB freed.")
        )

    def request(self, purpose: str, then: Then) -> None:
        """Call ``then`` with the embedding of what is shown; see `Embedder.request`."""
        with self.reporting():
            self.request_for(*self.here(), purpose, then)

    def request_for(self, layer: Image, plane: Plane, purpose: str, then: Then) -> None:
        """Call ``then`` with the embedding of a plane; errors are raised.

        Planes that must not be read whole are never embedded: a smaller copy of them
        is made, chosen and embedded instead, where prompts and strokes then go.
        """
        if is_large(plane):
            self._reduce(layer, plane, purpose, then)
            return
        self._embedder.request(layer, plane, self._models.file, purpose, then)

    def _reduce(self, layer: Image, plane: Plane, purpose: str, then: Then) -> None:
        self.annotations.withdraw(self.annotations.on(layer, plane))
        self.prompts_changed.emit()

        def go_on(copy: Image) -> None:
            self.set_image(copy)
            with self.reporting():
                place = displayed_plane(copy, self.viewer.dims)
                if purpose == "concept":
                    self.request_for(copy, place, purpose, then)
                    return
                self.request_for(copy, place, "prepare", lambda *known: None)
            self.say(
                f"“{layer.name}” is too large to be in memory: prompts, strokes and "
                f"concepts work on its smaller copy “{copy.name}”. Start again on that."
            )

        self._large.reduce(layer, plane, go_on)

    def known_here(self) -> Embedded | None:
        """Return the embedding of what is shown, if it is in memory."""
        layer, plane = self.image, self.plane_here()
        if layer is None or plane is None or self.model is None:
            return None
        try:
            return self._embedder.find(layer, plane, self._models.file)
        except ModelError:
            return None  # the model's file is gone; said when it is needed

    def reporting(self) -> AbstractContextManager[None]:
        """Report what the user can put right; let everything else through."""
        return self._embedder.reporting()

    def here(self) -> tuple[Image, Plane]:
        """Return the image that is worked on and its plane that is shown.

        Raises
        ------
        ImageError
            If there is no image, or the viewer shows no plane of it.
        """
        layer = self.image
        if layer is None:
            raise ImageError("There is no image: open one, or File > Open Sample.")
        return layer, displayed_plane(layer, self.viewer.dims)

    def plane_here(self) -> Plane | None:
        """Return the plane that is shown, if there is one."""
        try:
            return self.here()[1]
        except ImageError:
            return None

    def state_here(self) -> PlaneState | None:
        """Return what was done on the plane that is shown, if there is one."""
        layer, plane = self.image, self.plane_here()
        if layer is None or plane is None:
            return None
        return self.annotations.on(layer, plane)

    def plane_of(self, layer: Image, key: PlaneKey) -> Plane:
        """Return a plane of a layer by its key."""
        return Plane(layer.data[0] if layer.multiscale else layer.data, key)

    def look_at(
        self, layer: Image, plane: Plane, point: tuple[float, float] | None = None
    ) -> None:
        """Show a plane, and a (row, column) point of it in the middle of the view."""
        show_point(self.viewer, layer, plane, point)

    def refresh_plane(self, layer: Image, plane: Plane) -> None:
        """Show a plane's prompts, map and mask anew."""
        raise NotImplementedError

    # What happens elsewhere

    def _on_listed(self) -> None:
        self.images_changed.emit()

    def _on_chosen(self) -> None:
        self._embedder.cancel()
        self._large.cancel()
        self.image_changed.emit()
        self.prompts_changed.emit()
        self.invite()

    def _on_replaced(self, layer: Image) -> None:
        self._embedder.forget(layer)
        self.annotations.forget_planes(layer)
        self.prompts_changed.emit()

    def _on_dims(self, event: Any = None) -> None:
        self.prompts_changed.emit()

    def _on_large_progress(self, done: int, total: int) -> None:
        self.progressed.emit(done, total)
        if total:
            self.say(f"Looking at a large image, block by block: {done} of {total}.")

    def _on_busy(self, busy: bool) -> None:
        self.busy_changed.emit(busy)

    def _on_progress(self, done: int, total: int) -> None:
        self.progressed.emit(done, total)
        if total == 0:
            self.say("Getting ready to look at the image…")
        else:
            self.say(f"Looking at the image: {done} of {total} tiles.")

    def _on_abandoned(self, layer: Image | None, plane: Plane) -> None:
        if layer is not None:
            self.annotations.withdraw(self.annotations.on(layer, plane))
            self.prompts_changed.emit()
        self.invite()

    # What is said

    @property
    def status(self) -> str:
        """What was done and what to do next."""
        return self._status

    def say(self, text: str) -> None:
        """Put a line into the status."""
        if text != self._status:
            self._status = text
            self.status_changed.emit(text)

    def invite(self) -> None:
        """Say what can be done next."""
        if self.image is None:
            self.say("Open an image, or take the one in File > Open Sample.")
        elif self.model is None:
            self.say("No model is installed.")
        else:
            self.say("Cluster the structures, or find what is similar to a click.")
