"""The long work: plane → embedding, as steps.  torch is imported here, off the GUI."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .core.errors import ModelError
from .core.model_files import list_models
from .layers import Plane, fingerprint

if TYPE_CHECKING:
    from .core.embedding import Embedding
    from .core.models import Model
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


def embed_plane(plane: Plane, file: ModelFile, shelf: ModelShelf) -> Steps[Embedded]:
    """Read a plane and a model and embed the one by the other.

    Parameters
    ----------
    plane : Plane
        What to embed.
    file : ModelFile
        The model.
    shelf : ModelShelf
        Where the model is if it was used last.

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
    model = shelf.load(file)
    yield 0, 0
    picture = plane.read()
    pixels = fingerprint(picture)
    yield 0, 0
    from .core.clustering import FEWEST
    from .core.embedding import embed_steps

    embedding = yield from embed_steps(picture, model)
    embedding.clusters(FEWEST)  # what is slow about it is the same for every number
    return Embedded(model, embedding, pixels)
