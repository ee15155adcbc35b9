"""How near every pixel is to prompts: one pass over memory for those that are new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from .grid import FloatImage

SPREAD = 0.2
"""A pixel whose cosine to a vector is c is as near to it as exp((c - 1) / this).
The temperature of region discrimination."""

_BLOCK = 4096
"""Columns a matrix product handles at once: libraries read tall, thin matrices at the
speed of memory when they come in a batch of such blocks, and at half of it whole."""

_BLOCKS_IN_CACHE = 16
"""Blocks that several vectors are compared with before the next are read."""

_REMEMBERED = 12
"""Maps kept: one has as many numbers as the embedding has pixels."""


@torch.no_grad()
def nearness(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Compare every pixel with every vector.

    Parameters
    ----------
    matrix : Tensor
        (D, N) float32 unit vectors, one column a pixel.
    vectors : Tensor
        (k, D) float32 unit vectors on the same device.

    Returns
    -------
    Tensor
        (k, N) float32: exp((cosine - 1) / 0.2), in (0, 1] but for rounding.
    """
    count, pixels = len(vectors), matrix.shape[1]
    result = matrix.new_empty(count, pixels)
    queries = vectors / SPREAD
    whole = pixels // _BLOCK * _BLOCK if count else 0
    # One vector's cosines need not be copied to their places
    step = whole if count == 1 else _BLOCKS_IN_CACHE * _BLOCK
    for start in range(0, whole, step or 1):
        stop = min(start + step, whole)
        blocks = (stop - start) // _BLOCK
        part = matrix[:, start:stop].view(-1, blocks, _BLOCK).transpose(0, 1)
        batch = queries.expand(blocks, *queries.shape)
        out = result[:, start:stop].view(count, blocks, _BLOCK).transpose(0, 1)
        if count == 1:
            torch.bmm(batch, part, out=out)
        else:
            out.copy_(torch.bmm(batch, part).sub_(1 / SPREAD).exp_())
    if whole < pixels:
        torch.mm(queries, matrix[:, whole:], out=result[:, whole:])
    left = result if count == 1 else result[:, whole:]
    left.sub_(1 / SPREAD).exp_()
    return result


class RememberedNearness:
    """`nearness` that remembers the last few vectors.

    One more prompt costs one more pass, however many there are, and so does the one
    that follows the pointer beside prompts that stay.

    Parameters
    ----------
    matrix : Tensor
        (D, N) float32 unit vectors; must not change.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        # Replaced as a whole, never changed: threads may ask at the same time
        self._known: dict[bytes, Tensor] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the maps that it remembers."""
        return sum(values.nbytes for values in self._known.values())

    def __call__(self, vectors: FloatImage) -> list[Tensor]:
        """Return (N,) maps, one for each of (k, D) float32 vectors; not to be changed.

        Where a vector is given twice, so is its map.
        """
        keys = [row.tobytes() for row in vectors]
        known = dict(self._known)
        missing = {
            key: row for key, row in zip(keys, vectors, strict=True) if key not in known
        }
        if missing:
            queries = torch.from_numpy(np.stack(list(missing.values())))
            found = nearness(self.matrix, queries.to(self.matrix))
            known |= zip(missing, found, strict=True)
        # The latest last
        latest = {key: known.pop(key) for key in dict.fromkeys(keys)}
        kept = list((known | latest).items())[-_REMEMBERED:]
        self._known = dict(kept)
        return [latest[key] for key in keys]
