"""The long work: plane → embedding, as steps.  torch is imported here, off the GUI."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .core.errors import ModelError
from .core.model_files import list_models
from .layers import Plane, fingerprint
from .loading import without_collections

if TYPE_CHECKING:
    from .core.embedding import Embedding
    from .core.models import Model
    from .io.cache import EmbeddingCache
    from .running import Steps


@dataclass(frozen=True)
class ModelFile:
    """A model's file as it is now; a file that is written again is another model."""

    path: Path
    modified: int
    size: int

    @classmethod
    def of(cls, name: str) -> ModelFile:
        """Find a model by its name.

        Raises
        ------
        ModelError
            If there is none of this name.
        """
        path = list_models().get(name)
        if path is None:
            known = ", ".join(list_models()) or "none"
            raise ModelError(
                f"There is no model {name!r} any more; choose one of the known models "
                f"({known})."
            )
        status = path.stat()
        return cls(path, status.st_mtime_ns, status.st_size)


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
        from .core.models import load_model

        with self._lock:
            if self._last is None or self._last[0] != file:
                self._last = file, load_model(file.path)
            return self._last[1]


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


def embed_plane(
    plane: Plane,
    file: ModelFile,
    shelf: ModelShelf,
    cache: EmbeddingCache | None = None,
) -> Steps[Embedded]:
    """Read a plane and a model and embed the one by the other.

    Parameters
    ----------
    plane : Plane
        What to embed.
    file : ModelFile
        The model.
    shelf : ModelShelf
        Where the model is if it was used last.
    cache : EmbeddingCache, optional
        Where the embedding may be from an earlier time: then the network does not run.

    Yields
    ------
    done, total : int
        After each tile; before the first one, (0, 0) after each other step.

    Returns
    -------
    Embedded
        As the generator's value.
    """
    yield 0, 0
    with without_collections():
        from .core.clustering import FEWEST
        from .core.embedding import embed_steps
        from .io.cache import content_hash

    model = shelf.load(file)
    yield 0, 0
    picture = plane.read()
    pixels = fingerprint(picture)
    yield 0, 0
    content = content_hash(picture)
    kept = cache and cache.load(picture, model, image_hash=content)
    embedding = kept or (yield from embed_steps(picture, model))
    embedding.clusters(FEWEST)  # what is slow about it is the same for every number
    return Embedded(model, embedding, pixels, content, was_kept=kept is not None)


def keep(embedded: Embedded, cache: EmbeddingCache) -> Steps[None]:
    """Store an embedding in the cache on disk.

    Yields
    ------
    done, total : int
        (0, 0) before it is written.

    Raises
    ------
    FileError
        If the folder cannot be written to.
    """
    yield 0, 0
    cache.store(None, embedded.embedding, image_hash=embedded.image_hash)


def empty(cache: EmbeddingCache) -> Steps[int]:
    """Remove all embeddings from the disk; the value is how many bytes that freed."""
    yield 0, 0
    freed = cache.total_size()
    cache.clear()
    return freed
