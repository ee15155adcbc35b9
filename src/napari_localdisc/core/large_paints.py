"""What is made of a large image's tiles: labels of clusters, or of a structure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .clustering import argmax_channel

_STRIP_PIXELS = 1 << 16

Between = tuple[Tensor, Tensor, Tensor]
"""Along an axis: the pixel before, the pixel after, and the share of the latter."""


Strips = Iterator[tuple[slice, Tensor]]


class Paint(Protocol):
    """Turns a tile's logits into labels of the image's pixels."""

    @property
    def is_inner(self) -> bool:
        """Whether the outermost part of a round field of view is left out."""
        ...

    def maps(self, logits: Tensor) -> Tensor:
        """(M, h, w) logits → (C, h, w) float32 maps that may be interpolated."""
        ...

    def labels(
        self, maps: Tensor, rows: Between, columns: Between
    ) -> NDArray[np.uint8]:
        """Interpolate maps at pixels of the image; return their (H, W) labels."""
        ...


@dataclass(frozen=True)
class ClusterPaint:
    """The most probable cluster.

    Attributes
    ----------
    names : ndarray
        (M + 1,) uint8: the label of each cluster, counted from 1.
    """

    names: NDArray[np.uint8]
    is_inner: bool = False

    def maps(self, logits: Tensor) -> Tensor:
        """Return probabilities that sum to 1 over the clusters."""
        raw = logits.float().sigmoid()
        return raw / raw.sum(0, keepdim=True).clamp_min(1e-12)

    def labels(
        self, maps: Tensor, rows: Between, columns: Between
    ) -> NDArray[np.uint8]:
        """Return the label of the most probable cluster."""
        found = np.empty((len(rows[0]), len(columns[0])), np.uint8)
        for part, fine in interpolated(maps, rows, columns):
            channel = argmax_channel(fine, len(maps))
            found[part] = channel.add_(1).cpu().numpy()
        return self.names[found]


@dataclass(frozen=True)
class StructurePaint:
    """Where a structure is more probable than a threshold: 1, elsewhere 0."""

    channel: int
    threshold: float
    is_inner: bool = True

    def maps(self, logits: Tensor) -> Tensor:
        """Return the structure's presence."""
        return logits[self.channel : self.channel + 1].float().sigmoid()

    def labels(
        self, maps: Tensor, rows: Between, columns: Between
    ) -> NDArray[np.uint8]:
        """Return 1 where the presence reaches the threshold."""
        found = np.empty((len(rows[0]), len(columns[0])), np.uint8)
        for part, fine in interpolated(maps, rows, columns):
            found[part] = (fine[0] >= self.threshold).cpu().numpy()
        return found


def interpolated(maps: Tensor, rows: Between, columns: Between) -> Strips:
    """Interpolate (C, h, w) maps, a strip of rows at a time."""
    above, below, down = (part.to(maps.device) for part in rows)
    before, after, along = (part.to(maps.device) for part in columns)
    step = max(1, _STRIP_PIXELS // len(before))
    for start in range(0, len(above), step):
        part = slice(start, start + step)
        between = torch.lerp(
            maps[:, above[part]], maps[:, below[part]], down[None, part, None]
        )
        yield part, torch.lerp(between[:, :, before], between[:, :, after], along)


class Line:
    """Where pixels of the image lie between those of the network's output."""

    def __init__(
        self, pixels: slice, known: slice, margin: int, size: int, length: int
    ) -> None:
        self._origin = known.start - margin
        self._last = known.stop - known.start - 1
        self._size, self._length = size, length

    def at(self, part: slice) -> Between:
        """Return the pixel before, the pixel after, and the share of the latter."""
        pixels = torch.arange(part.start, part.stop, dtype=torch.float64)
        place = (pixels + 0.5) * (self._size / self._length) - 0.5
        place = place.clamp(0, self._size - 1) - self._origin
        before = place.floor().long().clamp(0, self._last)
        after = (before + 1).clamp(max=min(self._last, self._size - 1 - self._origin))
        return before, after, (place - before).float()
