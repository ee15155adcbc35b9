"""The working grid: the one scale that the network knows, and the way back from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_localdisc.core.errors import ImageError

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]
Window = tuple[slice, slice]

SMALLEST_SIDE = 16
"""Images and fields of view with fewer pixels along a side are refused."""


def as_tensor(array: NDArray[Any]) -> Tensor:
    """View an array as a tensor; copied only where torch cannot view it."""
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample (B, C, H, W) float images so that outer edges, not centres, coincide.

    Bilinear; where an axis shrinks, with the filter widened accordingly, so that
    nothing aliases.
    """
    if x.shape[-2:] == size:
        return x
    shrinks = size[0] < x.shape[-2] or size[1] < x.shape[-1]
    return F.interpolate(x, size=size, mode="bilinear", antialias=shrinks)


def _float(points: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(points, np.float64)


@dataclass(frozen=True)
class WorkingGrid:
    """The exact map between an image's pixels and the network's working grid.

    The bounding box of the field of view is scaled so that its longer side has
    ``working_diameter`` pixels.  A pixel is a square with its centre at integer
    coordinates, so along rows (columns alike)::

        working_row = (row - top + 0.5) * scale_row - 0.5

    Attributes
    ----------
    image_shape : tuple of int
        (H, W) of the image.
    top, left, height, width : int
        Bounding box of the field of view in pixels of the image.
    shape : tuple of int
        (h, w) of the working grid.  Sizes are whole pixels, so each axis has a scale
        of its own.
    """

    image_shape: tuple[int, int]
    top: int
    left: int
    height: int
    width: int
    shape: tuple[int, int]

    @classmethod
    def around(cls, field_of_view: Mask, working_diameter: int) -> WorkingGrid:
        """Lay the grid around a field of view.

        Parameters
        ----------
        field_of_view : ndarray
            (H, W) bool.
        working_diameter : int
            Pixels of the working grid along the longer side of the bounding box.

        Raises
        ------
        ImageError
            If the field of view is empty or smaller than 16×16 pixels.
        """
        return cls.within(
            np.asarray(field_of_view.any(axis=1)),
            np.asarray(field_of_view.any(axis=0)),
            working_diameter,
        )

    @classmethod
    def within(
        cls, row_seen: Mask, column_seen: Mask, working_diameter: int
    ) -> WorkingGrid:
        """Lay the grid around the rows (H,) and columns (W,) that show the subject.

        Raises
        ------
        ImageError
            As `around`.
        """
        rows, columns = np.flatnonzero(row_seen), np.flatnonzero(column_seen)
        height = int(rows[-1] - rows[0]) + 1 if rows.size else 0
        width = int(columns[-1] - columns[0]) + 1 if columns.size else 0
        if min(height, width) < SMALLEST_SIDE:
            raise ImageError(
                f"The field of view has {height}×{width} pixels; at least "
                f"{SMALLEST_SIDE}×{SMALLEST_SIDE} are needed."
            )
        scale = working_diameter / max(height, width)
        shape = max(1, round(height * scale)), max(1, round(width * scale))
        rows_columns = row_seen.shape[0], column_seen.shape[0]
        return cls(rows_columns, int(rows[0]), int(columns[0]), height, width, shape)

    @property
    def scale(self) -> tuple[float, float]:
        """Working pixels per image pixel along rows and along columns."""
        return self.shape[0] / self.height, self.shape[1] / self.width

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the image that the grid covers."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )

    def to_working(self, array: NDArray[Any]) -> FloatImage:
        """Resample an image onto the working grid, without aliasing.

        Parameters
        ----------
        array : ndarray
            (H, W) or (H, W, C) of any real dtype.

        Returns
        -------
        ndarray
            (h, w) or (h, w, C) float32.
        """
        cropped = as_tensor(array[self.box]).float()
        if cropped.ndim == 2:
            return np.asarray(resize(cropped[None, None], self.shape)[0, 0].numpy())
        planes = resize(cropped.permute(2, 0, 1)[None], self.shape)[0]
        return np.ascontiguousarray(planes.permute(1, 2, 0).numpy())

    def to_image(
        self, array: NDArray[Any], order: Literal["bilinear", "nearest"] = "bilinear"
    ) -> NDArray[Any]:
        """Resample an array on the working grid onto the image's own grid.

        Parameters
        ----------
        array : ndarray
            (h, w) or (h, w, C).
        order : {"bilinear", "nearest"}
            ``"nearest"`` keeps the dtype: use it for labels and masks.

        Returns
        -------
        ndarray
            (H, W) or (H, W, C); float32 if bilinear.  0 outside the bounding box of
            the field of view.
        """
        if order == "nearest":
            image = np.zeros((*self.image_shape, *array.shape[2:]), array.dtype)
            rows, columns = self._nearest()
            image[self.box] = array[rows[:, None], columns[None, :]]
            return image
        values = as_tensor(array).float()
        if values.ndim == 2:
            return np.asarray(self.spread(values).numpy())
        return np.stack(
            [self.spread(values[..., c]).numpy() for c in range(values.shape[2])], 2
        )

    def spread(self, values: Tensor, inside: Tensor | None = None) -> Tensor:
        """Resample one (h, w) float map onto the image's grid, on its own device.

        Parameters
        ----------
        values : Tensor
            (h, w) float32.
        inside : Tensor, optional
            (H, W) bool: 0 is written where it is false.

        Returns
        -------
        Tensor
            (H, W) float32, 0 outside the bounding box.
        """
        resized = resize(values[None, None], (self.height, self.width))[0, 0]
        if inside is None and self.image_shape == (self.height, self.width):
            return resized
        image = values.new_zeros(self.image_shape)
        if inside is None:
            image[self.box] = resized
        elif image.device.type == "cpu":
            # numpy multiplies floats by booleans three times as fast as torch does
            box = image.numpy()[self.box]
            np.multiply(resized.numpy(), inside.numpy()[self.box], out=box)
        else:
            torch.mul(resized, inside[self.box], out=image[self.box])
        return image

    def _nearest(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        sides = zip((self.height, self.width), self.shape, self.scale, strict=True)
        rows, columns = (
            np.minimum((np.arange(side) + 0.5) * scale, size - 1).astype(np.intp)
            for side, size, scale in sides
        )
        return rows, columns

    def points_to_working(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map (N, 2) points (row, column) in image pixels to the working grid."""
        origin = np.array([self.top, self.left])
        scaled = (_float(points) - origin + 0.5) * np.array(self.scale) - 0.5
        return np.asarray(scaled)

    def points_to_image(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map (N, 2) points (row, column) on the working grid to image pixels."""
        origin = np.array([self.top, self.left])
        return np.asarray((_float(points) + 0.5) / np.array(self.scale) - 0.5 + origin)


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
