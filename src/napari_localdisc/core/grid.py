"""The working grid: the one scale that the network knows, and the way back from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .errors import ImageError

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]

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
