"""Embeddings on request: from memory at once, else by a worker, one at a time."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image, Layer
from psygnal import Signal

from napari_localdisc.annotation.state import PlaneKey
from napari_localdisc.core.errors import ImageError, LocalDiscError
from napari_localdisc.core.model.card import ModelFile
from napari_localdisc.core.work import Steps, without_collections
from napari_localdisc.io.cache import EmbeddingCache
from napari_localdisc.layers.plane import Plane, fingerprint
from napari_localdisc.layers.scale import pixel_side_mm

from .chosen import ModelChoice
from .shown import Place
from .work import Runner, Slot, run_beside

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.model.model import Model


@dataclass(frozen=True)
class Embedded:
    """What `embed_plane` returns."""

    model: Model
    embedding: Embedding
    fingerprint: int
    image_hash: str = ""
    """`content_hash` of the plane's pixels."""
    was_kept: bool = False
    """Whether it came from the cache on disk."""
    magnification: float | None = None
    """As it was chosen or the layer's scale told; None: as vessels told."""
    was_chosen: bool = False
    """Whether it was chosen."""

    def fits(self, side: float | None) -> bool:
        """Whether pixels of this length in millimetres are seen at that size."""
        from napari_localdisc.core.embedding.magnification import magnification_by_field

        inside, card = self.embedding.field_of_view, self.model.card
        return magnification_by_field(inside, card, side) == self.magnification

    def provenance(self, **made: Any) -> dict[str, Any]:
        """Say in a layer's metadata how it was made."""
        model, told = self.model, self.magnification
        asked = {} if told is None else {"magnification": told}
        return {"model": model.card.name, "model_hash": model.hash, **asked, **made}


Then = Callable[["Place", Embedded], None]


_Look = tuple[ModelFile, float | None]
"""A model, and how much larger than usual it sees."""


@dataclass(frozen=True)
class _Task:
    """What is being embedded, and what is to be done with it."""

    place: Place
    look: _Look
    cache: EmbeddingCache | None
    then: dict[str, Then]

    def is_for(self, place: Place, look: _Look) -> bool:
        same = self.place.plane.index == place.plane.index and self.look == look
        return same and self.place.layer is place.layer


class Embeddings:
    """Makes and remembers the embeddings that one viewer needs.

    Parameters
    ----------
    viewer : ViewerModel
        Results for layers that have left it are dropped.
    models : ModelChoice
        The model to embed by.
    work : Slot
        Where the network runs.
    runner : Runner
        Runs what nobody waits for.
    report : callable
        Gets errors.
    cache : callable, optional
        Asked at each request for the cache on disk; None: there is none.
    """

    abandoned = Signal(object)
    """The place of work that was cancelled or failed."""
    misfit = Signal(str)
    """A plane is of another kind than the model's; the sentence says what to do."""
    looking_closer = Signal(str)
    """A structure that another look is taken for."""
    progressed = Signal(int, int)
    """Tiles done, and in all (0: not known yet)."""

    def __init__(
        self,
        viewer: ViewerModel,
        models: ModelChoice,
        work: Slot,
        runner: Runner,
        report: Callable[[Exception], None],
        cache: Callable[[], EmbeddingCache | None] = lambda: None,
    ) -> None:
        self._viewer = viewer
        self._models = models
        self._work = work
        self._runner = runner
        self._report = report
        self._cache = cache
        self._has_complained = False
        self.store = EmbeddingStore()
        self._shelf = ModelShelf()
        self._task: _Task | None = None

    def find(self, place: Place) -> Embedded | None:
        """Return the embedding by the chosen model if it is in memory and still true.

        Raises
        ------
        ModelError
            If the model's file is gone.
        """
        return self.store.find(place.layer, place.plane, self._look())

    def _look(self) -> _Look:
        return self._models.file, self._models.magnification

    def request(
        self, place: Place, purpose: str, then: Then, structure: str = ""
    ) -> None:
        """Call ``then(place, embedded)``, now or when a worker is done.

        Parameters
        ----------
        place : Place
            What to embed.
        purpose : str
            A later request for the same purpose replaces an earlier one.  Work for
            another plane or model is cancelled.
        then : callable
            Takes the result.
        structure : str
            One that ``then`` asks for: a small lesion is looked at closer before.
        """
        if structure:
            then = partial(self._closer, purpose, structure, then)
        look = self._look()
        known = self.store.find(place.layer, place.plane, look)
        if known is not None:
            then(place, known)
            return
        if self._task is not None and self._task.is_for(place, look):
            self._task.then[purpose] = then
            return
        cache = self._cache()
        side = pixel_side_mm(place.layer, place.plane)
        self._work.cancel()
        task = self._task = _Task(place, look, cache, {purpose: then})
        self._work.run(
            lambda: embed_plane(place.plane, *look, self._shelf, cache, side),
            lambda embedded: self._on_result(task, embedded),
            failed=lambda error: self._on_error(task, error),
            dropped=lambda: self._abandon(task),
            progressed=self.progressed.emit,
        )

    def _closer(
        self, purpose: str, structure: str, then: Then, place: Place, known: Embedded
    ) -> None:
        """Call ``then`` when a structure can be asked for at once."""
        closer = known.embedding.closer
        if closer is None or known.embedding.is_looked_at(structure):
            then(place, known)
            return
        look = self._look()
        if self._task is not None and self._task.is_for(place, look):
            self._task.then[purpose] = then  # that look shows every small lesion
            return
        self._work.cancel()
        task = self._task = _Task(place, look, None, {purpose: then})
        self.looking_closer.emit(structure)
        self._work.run(
            known.embedding.closer_steps,
            lambda _: self._hand_over(task, known),
            failed=lambda error: self._on_error(task, error),
            dropped=lambda: self._abandon(task),
            progressed=self.progressed.emit,
        )

    def forget(self, layer: Image) -> None:
        """Drop what belongs to a layer that has other data now, or is gone."""
        self.store.forget(layer)
        if self._task is not None and self._task.place.layer is layer:
            self._work.cancel()

    def forget_outgrown(self, layer: Image) -> bool:
        """Drop what was seen at another size than a layer's scale says now."""
        data = layer.data[0] if layer.multiscale else layer.data

        def is_outgrown(key: PlaneKey, embedded: Embedded) -> bool:
            side = pixel_side_mm(layer, Plane(data, key))
            return not embedded.was_chosen and not embedded.fits(side)

        return self.store.forget_where(layer, is_outgrown)

    def _abandon(self, task: _Task) -> None:
        self._task = None
        self.abandoned.emit(task.place)

    def _on_error(self, task: _Task, error: Exception) -> None:
        self._abandon(task)
        self._report(error)

    def _on_result(self, task: _Task, embedded: Embedded) -> None:
        self._task = None
        place = task.place
        if place.layer not in self._viewer.layers:
            return
        self.store.put(place.layer, place.plane, task.look, embedded)
        if self.store.find(place.layer, place.plane, task.look) is None:
            self.abandoned.emit(place)
            name = place.layer.name
            self._report(
                ImageError(
                    f"“{name}” was edited while it was being looked at: start again."
                )
            )
            return
        if embedded.embedding.misfit:
            self.misfit.emit(embedded.embedding.misfit)
        try:
            self._hand_over(task, embedded)
        finally:
            self._keep(task.cache, embedded)

    def _hand_over(self, task: _Task, embedded: Embedded) -> None:
        """Do what waited for a look, where the layer is still there."""
        self._task = None
        if task.place.layer not in self._viewer.layers:
            return
        try:
            for then in task.then.values():
                then(task.place, embedded)
        except LocalDiscError as error:
            self._report(error)

    def _keep(self, cache: EmbeddingCache | None, embedded: Embedded) -> None:
        """Store an embedding on disk after it was shown: nobody waits for that."""
        if cache is not None and not embedded.was_kept:
            kept, content = embedded.embedding, embedded.image_hash
            store = partial(
                cache.store,
                None,
                kept,
                magnification=embedded.magnification,
                image_hash=content,
            )
            run_beside(self._runner, store, self._complain)

    def _complain(self, error: Exception) -> None:
        """Report once that the cache cannot be used: all else works without it."""
        if not self._has_complained:
            self._has_complained = True
            self._report(error)


Key = tuple[int, PlaneKey, Hashable]


@dataclass
class _Entry:
    layer: weakref.ref[Layer]
    embedded: Embedded
    is_suspect: bool = True  # pixels may have changed while they were embedded


class EmbeddingStore:
    """The least recently used embeddings leave when memory runs short.

    Parameters
    ----------
    capacity : int
        Bytes that embeddings may take together; the newest one always stays.
    """

    def __init__(self, capacity: int = 1 << 30) -> None:
        self.capacity = capacity
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def put(
        self, layer: Layer, plane: Plane, model: Hashable, embedded: Embedded
    ) -> None:
        """Keep an embedding of a layer's plane by a model."""
        key = (id(layer), plane.index, model)
        self._entries[key] = _Entry(weakref.ref(layer), embedded)
        self._entries.move_to_end(key)
        used = sum(entry.embedded.embedding.nbytes for entry in self._entries.values())
        while used > self.capacity and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            used -= oldest.embedded.embedding.nbytes

    def find(self, layer: Layer, plane: Plane, model: Hashable) -> Embedded | None:
        """Return what was kept, unless the layer's pixels have changed since."""
        key = (id(layer), plane.index, model)
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.layer() is not layer or not self._still_holds(entry, plane):
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry.embedded

    @staticmethod
    def _still_holds(entry: _Entry, plane: Plane) -> bool:
        # Lazy data cannot be edited in place, and reading it could take long
        if entry.is_suspect and plane.is_in_memory:
            entry.is_suspect = fingerprint(plane.read()) != entry.embedded.fingerprint
            return not entry.is_suspect
        return True

    def suspect(self, layer: Layer) -> None:
        """Look at a layer's pixels again before its embeddings are next used."""
        for entry in self._entries.values():
            if entry.layer() is layer:
                entry.is_suspect = True

    def forget(self, layer: Layer) -> None:
        """Drop a layer's embeddings: it has other data now, or is gone."""
        for key, entry in list(self._entries.items()):
            if entry.layer() in (layer, None):
                del self._entries[key]

    def forget_where(
        self, layer: Layer, is_stale: Callable[[PlaneKey, Embedded], bool]
    ) -> bool:
        """Drop those of a layer's embeddings that are stale; whether there were any."""
        stale = [
            key
            for key, entry in self._entries.items()
            if entry.layer() is layer and is_stale(key[1], entry.embedded)
        ]
        for key in stale:
            del self._entries[key]
        return bool(stale)


class ModelShelf:
    """The model that was used last, so that it is read from the disk once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[ModelFile, Model] | None = None

    def load(self, file: ModelFile) -> Model:
        """Return a model; reads its file if another model was used last.

        Raises
        ------
        ModelError
            If the file is damaged or not one of ours.
        """
        from napari_localdisc.core.model.model import load_model

        with self._lock:
            if self._last is None or self._last[0] != file:
                self._last = file, load_model(file.path)
            return self._last[1]


def embed_plane(
    plane: Plane,
    file: ModelFile,
    magnification: float | None,
    shelf: ModelShelf,
    cache: EmbeddingCache | None = None,
    side: float | None = None,
) -> Steps[Embedded]:
    """Read a plane and a model and embed the one by the other.

    Parameters
    ----------
    plane : Plane
        What to embed.
    file : ModelFile
        The model.
    magnification : float or None
        As of `Inference`.
    shelf : ModelShelf
        Where the model is if it was used last.
    cache : EmbeddingCache, optional
        Where the embedding may be from an earlier time: then the network does not run.
    side : float, optional
        Millimetres of a pixel, which say a magnification where none is given.

    Yields
    ------
    done, total : int
        After each tile; before the first one, (0, 0) after each other step.
    """
    yield 0, 0
    with without_collections():
        from napari_localdisc.core.embedding.embed import embed_steps
        from napari_localdisc.core.embedding.magnification import magnification_by_scale
        from napari_localdisc.core.model.card import FEWEST
        from napari_localdisc.core.model.inference import Inference
        from napari_localdisc.io.cache import content_hash

    model = shelf.load(file)
    yield 0, 0
    picture = plane.read()
    pixels = fingerprint(picture)
    yield 0, 0
    content = content_hash(picture)
    was_chosen = magnification is not None
    if not was_chosen:
        magnification = magnification_by_scale(picture, model.card, side)
        yield 0, 0
    kept = cache and cache.load(
        picture, model, magnification=magnification, image_hash=content
    )
    how = Inference(magnification=magnification)
    embedding = kept or (yield from embed_steps(picture, model, how))
    embedding.clusters(FEWEST)  # what is slow about it is the same for every number
    return Embedded(
        model, embedding, pixels, content, kept is not None, magnification, was_chosen
    )
