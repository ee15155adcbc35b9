"""Resampling of a part of an axis, from blocks: the filter of `grid.resize`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BlockWeights:
    """What a block of source pixels adds to some output pixels.

    Attributes
    ----------
    outputs : slice
        The output pixels, counted from the window's start.
    matrix : Tensor or None
        (outputs, block) float32; None: output pixels are source pixels.
    """

    outputs: slice
    matrix: Tensor | None

    def apply(self, block: Tensor, dim: int) -> Tensor:
        """Weigh a (C, h, w) block along rows (``dim`` 1) or columns (2)."""
        if self.matrix is None:
            return block
        if dim == 1:
            return self.matrix @ block
        return block @ self.matrix.T


@dataclass(frozen=True)
class AxisWeights:
    """Triangle filter along one axis, widened where the axis shrinks.

    Outer edges coincide, not centres, as in ``interpolate(mode="bilinear",
    antialias=True)``.

    Attributes
    ----------
    start, stop : int
        The output pixels asked for.
    size, source_size : int
        Pixels of the whole axis, after and before.
    """

    start: int
    stop: int
    size: int
    source_size: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def _step(self) -> float:
        return self.source_size / self.size

    @property
    def _support(self) -> float:
        return max(1.0, self._step)

    def _reach(self, start: int, stop: int) -> tuple[int, int]:
        """Source pixels that outputs start to stop depend on."""
        if self.size == self.source_size:
            return start, stop
        first = int((start + 0.5) * self._step - self._support - 0.5)
        last = int((stop - 0.5) * self._step + self._support + 1.5)
        return max(0, first), min(self.source_size, last)

    def blocks(self, length: int) -> Iterator[tuple[slice, BlockWeights]]:
        """Cut the source pixels that are needed into blocks, with their weights."""
        first, last = self._reach(self.start, self.stop)
        for begin in range(first, last, length):
            end = min(begin + length, last)
            if self.size == self.source_size:
                outputs = slice(begin - self.start, end - self.start)
                yield slice(begin, end), BlockWeights(outputs, None)
                continue
            low = int((begin - self._support) / self._step - 0.5)
            high = int((end + self._support) / self._step + 1.5)
            low, high = max(self.start, low), min(self.stop, high)
            if low < high:
                matrix = self._matrix(low, high, begin, end)
                outputs = slice(low - self.start, high - self.start)
                yield slice(begin, end), BlockWeights(outputs, matrix)

    def _matrix(self, low: int, high: int, begin: int, end: int) -> Tensor:
        outputs = torch.arange(low, high, dtype=torch.float64)[:, None]
        centres = (outputs + 0.5) * self._step
        weights = self._triangle(centres, begin, end)
        reach = 2 * int(self._support) + 3
        near = (centres - 0.5).floor() + torch.arange(-reach // 2, reach // 2 + 2)
        valid = (near >= 0) & (near < self.source_size)
        distance = ((near + 0.5 - centres) / self._support).abs()
        sums = ((1 - distance).clamp_min(0) * valid).sum(1, keepdim=True)
        return (weights / sums).float()

    def _triangle(self, centres: Tensor, begin: int, end: int) -> Tensor:
        pixels = torch.arange(begin, end, dtype=torch.float64)
        distance = ((pixels + 0.5 - centres) / self._support).abs()
        return (1 - distance).clamp_min(0)


def axis_weights(window: slice, size: int, source_size: int) -> AxisWeights:
    """Return the weights of a window of an axis that is resampled to ``size``."""
    return AxisWeights(window.start, window.stop, size, source_size)
