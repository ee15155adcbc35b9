"""A smaller copy of an image that does not fit in memory, read block by block."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .core.errors import ImageError
from .layers import Plane

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from .running import Steps

LARGE_PIXELS = 1 << 25
"""Lazy images with more pixels (5793 × 5793) are never read whole."""

_BLOCK_PIXELS = 1 << 22


def is_large(plane: Plane) -> bool:
    """Whether a plane must not be read whole: it is lazy, and large."""
    height, width = plane.shape
    return not plane.is_in_memory and height * width > LARGE_PIXELS


def read_smaller(layer: Image, plane: Plane) -> Steps[NDArray[Any]]:
    """Read a plane so small that it fits: a level of its pyramid, or block means.

    Yields
    ------
    done, total : int
        Rows of the result.

    Returns
    -------
    ndarray
        (h, w) or (h, w, C) of the layer's dtype, as large as `LARGE_PIXELS` allows.

    Raises
    ------
    ImageError
        If the layer is no image.
    """
    yield 0, 0
    level = _finest_that_fits(layer, plane)
    if len(level.data.shape) > len(level.index) + 1:
        raise ImageError("This layer has more axes than an image.")
    height, width = level.shape
    factor = max(1, math.ceil(math.sqrt(height * width / LARGE_PIXELS)))
    rows, columns = height // factor, width // factor
    step = max(1, _BLOCK_PIXELS // width // factor)
    parts = []
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        window = (
            slice(start * factor, stop * factor),
            slice(0, columns * factor),
        )
        inside = iter(window)
        where = tuple(next(inside) if at is None else at for at in level.index)
        parts.append(_block_mean(np.asarray(level.data[where]), factor))
        yield stop, rows
    return np.concatenate(parts)


def _finest_that_fits(layer: Image, plane: Plane) -> Plane:
    levels = list(layer.data) if layer.multiscale else [plane.data]
    planes = [Plane(data, plane.index) for data in levels]
    small = [level for level in planes if math.prod(level.shape) <= LARGE_PIXELS]
    return small[0] if small else planes[-1]


def _block_mean(block: NDArray[Any], factor: int) -> NDArray[Any]:
    if factor == 1:
        return block
    height, width = block.shape[0] // factor, block.shape[1] // factor
    shape = height, factor, width, factor, *block.shape[2:]
    mean = block.reshape(shape).mean(axis=(1, 3), dtype=np.float64)
    if block.dtype.kind in "ui":
        mean = np.rint(mean)
    return np.asarray(mean >= 0.5 if block.dtype.kind == "b" else mean, block.dtype)


def add_copy(
    viewer: ViewerModel, layer: Image, plane: Plane, pixels: NDArray[Any]
) -> Image:
    """Add a plane's smaller copy where the plane lies."""
    from napari.layers import Image

    step = np.array(plane.shape) / pixels.shape[:2]
    # Whole blocks: what is left over at the end is less than one of them
    step = np.floor(step) if (step >= 2).all() and not layer.multiscale else step
    copy = Image(
        plane.expand(pixels),
        name=f"{layer.name}{plane.caption}, 1/{step.mean():.3g}",
        rgb=layer.rgb,
        contrast_limits=None if layer.rgb else layer.contrast_limits,
        colormap=None if layer.rgb else layer.colormap,
        **plane.placement(layer, (step - 1) / 2, step),
    )
    viewer.add_layer(copy)
    return copy
