"""The largest cosine of every pixel to any of some vectors, at the speed of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from .grid import FloatImage

_BLOCK = 4096
"""Columns a matrix product handles at once: libraries read tall, thin matrices at the
speed of memory when they come in a batch of such blocks, and at half of it whole."""

_BUFFER = 1 << 20
"""Cosines computed before they are reduced, so that many vectors' stay in cache."""

_REMEMBERED = 4


@torch.no_grad()
def largest_cosine(matrix: Tensor, vectors: Tensor, out: Tensor) -> Tensor:
    """Compare every pixel with vectors and keep the best.

    Parameters
    ----------
    matrix : Tensor
        (D, N) float32 unit vectors, one column a pixel.
    vectors : Tensor
        (k, D) float32 unit vectors on the same device; at least one.
    out : Tensor
        (N,) float32, contiguous, to write to.

    Returns
    -------
    Tensor
        ``out``.
    """
    count, pixels = len(vectors), matrix.shape[1]
    whole = pixels // _BLOCK * _BLOCK
    step = pixels if count == 1 else max(1, _BUFFER // (count * _BLOCK)) * _BLOCK
    for start in range(0, whole, step):
        stop = min(start + step, whole)
        blocks = (stop - start) // _BLOCK
        part = matrix[:, start:stop].view(-1, blocks, _BLOCK).transpose(0, 1)
        queries = vectors.expand(blocks, *vectors.shape)
        best = out[start:stop].view(blocks, _BLOCK)
        if count == 1:
            torch.bmm(queries, part, out=best[:, None])
        else:
            torch.amax(torch.bmm(queries, part), 1, out=best)
    if whole < pixels:
        torch.amax(vectors @ matrix[:, whole:], 0, out=out[whole:])
    return out


class NearestCosines:
    """`largest_cosine` that remembers the last few sets of vectors.

    A set that grew by one prompt costs one more pass, however many prompts there
    are, and so does the one that follows the pointer beside prompts that stay.

    Parameters
    ----------
    matrix : Tensor
        (D, N) float32 unit vectors; must not change.
    """

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        # Replaced as a whole, never changed: threads may ask at the same time
        self._known: tuple[tuple[frozenset[bytes], Tensor], ...] = ()

    def __call__(self, vectors: FloatImage) -> Tensor:
        """Return the (N,) largest cosines to (k, D) float32 vectors; not to be changed.

        There must be at least one vector.
        """
        rows = {row.tobytes(): row for row in vectors}
        wanted = frozenset(rows)
        known, best = max(
            ((k, v) for k, v in self._known if k <= wanted),
            key=lambda entry: len(entry[0]),
            default=(frozenset[bytes](), None),
        )
        missing = [row for key, row in rows.items() if key not in known]
        if missing:
            queries = torch.from_numpy(np.stack(missing)).to(self.matrix)
            fresh = self.matrix.new_empty(self.matrix.shape[1])
            largest_cosine(self.matrix, queries, fresh)
            best = fresh if best is None else torch.maximum(fresh, best, out=fresh)
        assert best is not None
        # The set that was built on is as fresh as its successor
        others = sorted(
            ((k, v) for k, v in self._known if k != wanted), key=lambda e: e[0] != known
        )
        self._known = ((wanted, best), *others)[:_REMEMBERED]
        return best
