"""Embeddings on request: from memory at once, else by a worker, one at a time."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from psygnal import Signal

from .core.errors import ImageError, LocalDiscError
from .embedding_store import EmbeddingStore
from .embedding_work import Embedded, ModelFile, ModelShelf, embed_plane, empty, keep
from .layers import Plane
from .running import Job, Progress, Runner

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from .io.cache import EmbeddingCache

Then = Callable[["Image", Plane, Embedded], None]


@dataclass
class _Task:
    """A running job, and what is to be done with its result."""

    job: Job
    layer: weakref.ref[Image]
    plane: Plane
    file: ModelFile
    cache: EmbeddingCache | None
    then: dict[str, Then] = field(default_factory=dict)

    def is_for(self, layer: Image, plane: Plane, file: ModelFile) -> bool:
        same = self.plane.key == plane.key and self.file == file
        return same and self.layer() is layer


class Embedder:
    """Makes and remembers the embeddings that one viewer needs.

    Parameters
    ----------
    viewer : ViewerModel
        Results for layers that have left it are dropped.
    runner : Runner
        Runs the work.
    report : callable
        Gets errors.
    cache : callable, optional
        Asked at each request for the cache on disk; None: there is none.
    """

    busy_changed = Signal(bool)
    progressed = Signal(int, int)
    """Tiles done, and in all (0: not known yet)."""
    abandoned = Signal(object, object)
    """Layer (None if it is gone) and plane of work that was cancelled or failed."""

    def __init__(
        self,
        viewer: ViewerModel,
        runner: Runner,
        report: Callable[[Exception], None],
        cache: Callable[[], EmbeddingCache | None] = lambda: None,
    ) -> None:
        self._viewer = viewer
        self._runner = runner
        self._report = report
        self._cache = cache
        self._has_complained = False
        self._store = EmbeddingStore()
        self._shelf = ModelShelf()
        self._task: _Task | None = None
        self._jobs = 0

    @property
    def is_busy(self) -> bool:
        """Whether a worker is at work for us."""
        return self._task is not None

    def find(self, layer: Image, plane: Plane, file: ModelFile) -> Embedded | None:
        """Return an embedding that is in memory and still true."""
        return self._store.find(layer, plane, file)

    def request(
        self,
        layer: Image,
        plane: Plane,
        file: ModelFile,
        purpose: str,
        then: Then,
    ) -> None:
        """Call ``then(layer, plane, embedded)``, now or when a worker is done.

        Parameters
        ----------
        layer : Image
            A layer of the viewer.
        plane : Plane
            What to embed of it.
        file : ModelFile
            The model to embed it by.
        purpose : str
            A later request for the same purpose replaces an earlier one.  Work for
            another plane or model is cancelled.
        then : callable
            Takes the result.
        """
        known = self._store.find(layer, plane, file)
        if known is not None:
            then(layer, plane, known)
            return
        if self._task is not None and self._task.is_for(layer, plane, file):
            self._task.then[purpose] = then
            return
        self.cancel()
        cache = self._cache()
        task = _Task(
            self._next_job(), weakref.ref(layer), plane, file, cache, {purpose: then}
        )
        self._task = task
        self.busy_changed.emit(True)
        self._runner.start(
            task.job,
            lambda: embed_plane(plane, file, self._shelf, cache),
            lambda progress: self._on_progress(task, progress),
            lambda embedded: self._on_result(task, embedded),
            lambda error: self._on_error(task, error),
        )

    def cancel(self) -> bool:
        """Drop running work, if there is any; its results will not arrive."""
        task = self._task
        if task is None:
            return False
        task.job.cancel()
        self._finish(task)
        self.abandoned.emit(task.layer(), task.plane)
        return True

    def suspect(self, layer: Image) -> None:
        """Look at a layer's pixels again before its embeddings are next used."""
        self._store.suspect(layer)

    def forget(self, layer: Image) -> None:
        """Drop what belongs to a layer that has other data now, or is gone."""
        self._store.forget(layer)
        if self._task is not None and self._task.layer() in (layer, None):
            self.cancel()

    def clear_disk(self, done: Callable[[int], None]) -> None:
        """Empty the cache on disk, then call ``done`` with the bytes it took."""
        from .io.cache import EmbeddingCache

        self._runner.start(
            self._next_job(),
            lambda: empty(EmbeddingCache()),
            lambda progress: None,
            done,
            self._report,
        )

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Report what the user can put right; let everything else through."""
        try:
            yield
        except LocalDiscError as error:
            self._report(error)

    def _next_job(self) -> Job:
        self._jobs += 1
        return Job(self._jobs)

    def _finish(self, task: _Task) -> None:
        assert task is self._task
        self._task = None
        self.busy_changed.emit(False)

    def _on_progress(self, task: _Task, progress: Progress) -> None:
        if task is self._task:
            self.progressed.emit(*progress)

    def _on_result(self, task: _Task, embedded: Embedded) -> None:
        if task is not self._task:
            return  # cancelled after its last step
        self._finish(task)
        layer = task.layer()
        if layer is None or layer not in self._viewer.layers:
            return
        self._store.put(layer, task.plane, task.file, embedded)
        with self.reporting():
            if self._store.find(layer, task.plane, task.file) is None:
                self.abandoned.emit(layer, task.plane)
                raise ImageError(
                    f"“{layer.name}” was edited while it was being looked at: start "
                    "again."
                )
            try:
                for then in task.then.values():
                    then(layer, task.plane, embedded)
            finally:
                self._keep(task, embedded)

    def _keep(self, task: _Task, embedded: Embedded) -> None:
        """Store an embedding on disk after it was shown: nobody waits for that."""
        cache = task.cache
        if cache is None or embedded.was_kept:
            return
        self._runner.start(
            self._next_job(),
            lambda: keep(embedded, cache),
            lambda progress: None,
            lambda nothing: None,
            self._complain,
        )

    def _complain(self, error: Exception) -> None:
        """Report once that the cache cannot be used: all else works without it."""
        if not self._has_complained:
            self._has_complained = True
            self._report(error)

    def _on_error(self, task: _Task, error: Exception) -> None:
        if task is not self._task:
            return
        self._finish(task)
        self.abandoned.emit(task.layer(), task.plane)
        self._report(error)
