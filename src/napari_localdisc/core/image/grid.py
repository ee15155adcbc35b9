"""The working grid: the one scale that the network knows, and the way back from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_localdisc.core.errors import ImageError

if TYPE_CHECKING:
    from torch import Tensor

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]
Window = tuple[slice, slice]

SMALLEST_SIDE = 16
"""Images and fields of view with fewer pixels along a side are refused."""


def as_tensor(array: NDArray[Any]) -> Tensor:
    """View an array as a tensor; copied only where torch cannot view it."""
    import torch

    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample (B, C, H, W) float images so that outer edges, not centres, coincide.

    Bilinear; where an axis shrinks, with the filter widened accordingly, so that
    nothing aliases.
    """
    from torch.nn import functional as F

    if x.shape[-2:] == size:
        return x
    shrinks = size[0] < x.shape[-2] or size[1] < x.shape[-1]
    return F.interpolate(x, size=size, mode="bilinear", antialias=shrinks)


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
        """Lay the grid around an (H, W) field of view.

        Raises
        ------
        ImageError
            If the field of view is empty or smaller than 16×16 pixels.
        """
        rows, columns = (np.asarray(field_of_view.any(axis=axis)) for axis in (1, 0))
        return cls.within(rows, columns, working_diameter)

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
    def on_image(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(row, column) of its first pixel's centre in the image, and its pixels' size.

        Both in the image's pixels.
        """
        return self.points_to_image([(0, 0)])[0], 1 / np.asarray(self.scale)

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
            (H, W) of any real dtype.

        Returns
        -------
        ndarray
            (h, w) float32.
        """
        cropped = as_tensor(array[self.box]).float()
        return np.asarray(resize(cropped[None, None], self.shape)[0, 0].numpy())

    def to_image(self, array: NDArray[Any]) -> FloatImage:
        """Resample an (h, w) array on the working grid onto the image's own grid.

        The result is (H, W) float32, 0 outside the bounding box of the field of view.
        """
        return np.asarray(self.spread(as_tensor(array).float()).numpy())

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
        import torch

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

    def points_to_working(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map (N, 2) points (row, column) in image pixels to the working grid."""
        from_origin = np.asarray(points, np.float64) - (self.top, self.left)
        return np.asarray((from_origin + 0.5) * self.scale - 0.5)

    def points_to_image(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map (N, 2) points (row, column) on the working grid to image pixels."""
        working = np.asarray(points, np.float64)
        scaled = (working + 0.5) / self.scale - 0.5
        return np.asarray(scaled + np.array([self.top, self.left]))

    def nearest(self, points: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the pixels nearest to (N, 2) points on the working grid."""
        return np.clip(np.rint(points), 0, np.array(self.shape) - 1).astype(np.intp)

    def indices(self, points: ArrayLike) -> NDArray[np.intp]:
        """Return the flat indices of the pixels nearest to (N, 2) of the image's."""
        rows, columns = self.nearest(self.points_to_working(points)).T
        return np.asarray(rows * self.shape[1] + columns)


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


def axis_blocks(
    window: slice, size: int, source_size: int, length: int
) -> Iterator[tuple[slice, BlockWeights]]:
    """Cut the source pixels that a window of a resampled axis depends on into blocks.

    The axis has ``source_size`` pixels before and ``size`` after.  The filter is a
    triangle, widened where the axis shrinks; outer edges coincide, not centres, as in
    ``interpolate(mode="bilinear", antialias=True)``.
    """
    import torch

    start, stop = window.start, window.stop
    step = source_size / size
    support = max(1.0, step)
    first, last = start, stop
    if size != source_size:
        first = max(0, int((start + 0.5) * step - support - 0.5))
        last = min(source_size, int((stop - 0.5) * step + support + 1.5))
    for begin in range(first, last, length):
        end = min(begin + length, last)
        if size == source_size:
            outputs = slice(begin - start, end - start)
            yield slice(begin, end), BlockWeights(outputs, None)
            continue
        low = max(start, int((begin - support) / step - 0.5))
        high = min(stop, int((end + support) / step + 1.5))
        if low < high:
            pixels = torch.arange(low, high, dtype=torch.float64)[:, None]
            centres = (pixels + 0.5) * step
            block = torch.arange(begin, end, dtype=torch.float64)
            reach = 2 * int(support) + 3
            near = (centres - 0.5).floor() + torch.arange(-reach // 2, reach // 2 + 2)
            valid = (near >= 0) & (near < source_size)
            sums = (_triangle(near, centres, support) * valid).sum(1, keepdim=True)
            matrix = (_triangle(block, centres, support) / sums).float()
            outputs = slice(low - start, high - start)
            yield slice(begin, end), BlockWeights(outputs, matrix)


def _triangle(pixels: Tensor, centres: Tensor, support: float) -> Tensor:
    return (1 - ((pixels + 0.5 - centres) / support).abs()).clamp_min(0)
