"""Embeddings kept in memory, so that the second operation on an image is immediate."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .annotation_state import PlaneKey
from .layers import Plane, fingerprint

if TYPE_CHECKING:
    from napari.layers import Layer

    from .embedding_work import Embedded

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
        key = (id(layer), plane.key, model)
        self._entries[key] = _Entry(weakref.ref(layer), embedded)
        self._entries.move_to_end(key)
        used = sum(entry.embedded.embedding.nbytes for entry in self._entries.values())
        while used > self.capacity and len(self._entries) > 1:
            _, oldest = self._entries.popitem(last=False)
            used -= oldest.embedded.embedding.nbytes

    def find(self, layer: Layer, plane: Plane, model: Hashable) -> Embedded | None:
        """Return what was kept, unless the layer's pixels have changed since."""
        key = (id(layer), plane.key, model)
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

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()
