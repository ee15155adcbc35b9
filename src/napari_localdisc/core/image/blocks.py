"""Images that are never whole in memory: read block by block, seen as any other image.

Whatever `embed` finds out about an image (the range of its values, its field of view,
its picture on the working grid) is found out here in passes over blocks of a lazy
array, with the same results.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.names import Modality
from napari_localdisc.core.work import Steps

from .field_of_view import (
    ONE_COLOUR,
    CoarseRegion,
    brightness_of,
    check_brightness,
    mean_colours,
    search_step,
)
from .grid import FloatImage, Mask, Window, WorkingGrid, axis_blocks
from .rgb import ColourScale, RangeSearch, check_layout

BLOCK_PIXELS = 1 << 22
"""Pixels of the source that are in memory at once."""


class BlockSource:
    """A large 2-D image behind a lazy array.

    Parameters
    ----------
    array : array_like
        (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of any real dtype, with ``shape``,
        ``dtype`` and slicing: zarr, dask, a memory map.
    modality : {"fundus", "frame"}
        As the model's card says.

    Raises
    ------
    ImageError
        If it is no such image, or is smaller than 16×16.
    """

    def __init__(self, array: Any, modality: Modality) -> None:
        shape = tuple(int(side) for side in array.shape)
        check_layout(shape, np.dtype(array.dtype))
        self.array = array
        self.modality = modality
        self.shape: tuple[int, int] = shape[0], shape[1]
        self._range = RangeSearch(np.dtype(array.dtype))
        self._scale: ColourScale | None = None
        self._region: CoarseRegion | None = None
        self._seen: tuple[Mask, Mask] | None = None

    def _bands(self, multiple: int = 1) -> Iterator[slice]:
        """Rows that are read at once, whole multiples of ``multiple``."""
        height, width = self.shape
        rows = max(1, BLOCK_PIXELS // width // multiple) * multiple
        chunks = getattr(self.array, "chunks", None)
        if chunks:  # whole chunks, so that none is read twice
            first = chunks[0]
            chunk = int(first[0] if isinstance(first, tuple) else first)
            if multiple == 1 and chunk * width <= 4 * BLOCK_PIXELS:
                rows = max(1, rows // chunk) * chunk
        for start in range(0, height, rows):
            yield slice(start, min(start + rows, height))

    def _raw(self, rows: slice, columns: slice) -> NDArray[Any]:
        return np.asarray(self.array[rows, columns])

    def rgb(self, rows: slice, columns: slice) -> FloatImage:
        """Read a block as (h, w, 3) float32 in [0, 1]."""
        assert self._scale is not None
        return self._scale.rgb(self._raw(rows, columns))

    def survey(self) -> Steps[None]:
        """Find the range of the values and the field of view, in passes over the image.

        Yields
        ------
        done, total : int
            After each block.

        Raises
        ------
        ImageError
            As `as_rgb` and `find_field_of_view`.
        """
        passes = 1 + self._range.is_needed + (self.modality == "fundus")
        total = passes * len(list(self._bands()))
        for done, _ in enumerate(self._passes(), 1):
            yield done, total

    def _passes(self) -> Iterator[None]:
        if self._range.is_needed:
            for rows in self._bands():
                self._range.see(self._raw(rows, slice(None)))
                yield
        self._scale = self._range.scale()
        height, width = self.shape
        step = search_step(height, width)
        coarse = np.zeros((-(-height // step), -(-width // step)), np.float32)
        colours = np.zeros((*coarse.shape, 3), np.float32)
        high, first, differs = 0.0, None, False
        for rows in self._bands(step):
            rgb = self.rgb(rows, slice(0, width))
            first = rgb[0, 0].copy() if first is None else first
            differs = differs or bool((rgb != first).any())
            brightness = brightness_of(rgb)
            high = max(high, float(brightness.max()))
            part = slice(rows.start // step, -(-rows.stop // step))
            if self.modality == "fundus":
                coarse[part] = _block_mean(brightness.numpy(), step)
                colours[part] = mean_colours(rgb, step)
            yield
        if self.modality == "frame":
            if not differs:
                raise ImageError(ONE_COLOUR)
            self._region = CoarseRegion.everything(step)
            self._seen = np.ones(height, bool), np.ones(width, bool)
            return
        check_brightness(high)
        self._region = CoarseRegion.of(
            coarse, colours, step, self._corners(), lambda: _middle(coarse)
        )
        row_seen, column_seen = np.zeros(height, bool), np.zeros(width, bool)
        for rows in self._bands(step):
            seen = self.visible(rows, slice(0, width))
            row_seen[rows] = seen.any(axis=1)
            column_seen |= seen.any(axis=0)
            yield
        self._seen = row_seen, column_seen

    def _corners(self) -> Tensor:
        height, width = self.shape
        side = max(2, min(height, width) // 50)
        corners = [
            brightness_of(self.rgb(slice(a, a + side), slice(b, b + side)))
            for a in (0, height - side)
            for b in (0, width - side)
        ]
        return torch.stack(corners)

    def visible(
        self, rows: slice, columns: slice, rgb: FloatImage | None = None
    ) -> Mask:
        """Return the field of view of a block: (h, w) bool."""
        assert self._region is not None
        if self._region.inner is None:
            seen = np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)
        else:
            pixels = self.rgb(rows, columns) if rgb is None else rgb
            seen = self._region.refine(brightness_of(pixels), pixels, (rows, columns))
        if np.dtype(self.array.dtype).kind == "f":
            raw = self._raw(rows, columns)
            seen &= ~np.isnan(raw if raw.ndim == 2 else raw.max(axis=2))
        return seen

    def grid(self, working_diameter: int) -> WorkingGrid:
        """Lay the working grid around the field of view; after `survey`.

        Raises
        ------
        ImageError
            If the field of view is too small.
        """
        assert self._seen is not None
        return WorkingGrid.within(*self._seen, working_diameter)

    def on_grid(self, grid: WorkingGrid, window: Window) -> tuple[FloatImage, Mask]:
        """Resample a window of the working grid, as `working_image` does the whole.

        Returns (h, w, 3) float32 means over the field of view, 0 outside, and the
        (h, w) bool field of view.
        """
        total = torch.zeros(4, *(part.stop - part.start for part in window))
        down, across = 1024, max(1, BLOCK_PIXELS // 1024)
        all_rows = axis_blocks(window[0], grid.shape[0], grid.height, down)
        all_columns = list(axis_blocks(window[1], grid.shape[1], grid.width, across))
        for rows, row_part in all_rows:
            for columns, column_part in all_columns:
                at = (
                    slice(grid.top + rows.start, grid.top + rows.stop),
                    slice(grid.left + columns.start, grid.left + columns.stop),
                )
                rgb = self.rgb(*at)
                seen = torch.from_numpy(self.visible(*at, rgb=rgb)).float()
                planes = torch.cat(
                    [torch.from_numpy(rgb).permute(2, 0, 1) * seen, seen[None]]
                )
                where = (slice(None), row_part.outputs, column_part.outputs)
                total[where] += row_part.apply(column_part.apply(planes, dim=2), dim=1)
        share = total[3]
        inside = share >= 0.5
        mean = total[:3] / share.clamp_min(0.5) * inside
        return np.ascontiguousarray(mean.permute(1, 2, 0).numpy()), inside.numpy()


def _middle(coarse: FloatImage) -> float:
    """Return the median of an image's middle."""
    rows, columns = coarse.shape[0] // 4, coarse.shape[1] // 4
    inside = coarse[rows : coarse.shape[0] - rows, columns : coarse.shape[1] - columns]
    return float(np.median(inside))


def _block_mean(brightness: FloatImage, step: int) -> FloatImage:
    """Average over step×step blocks; labels on disk came from its last bits."""
    rows = np.arange(0, brightness.shape[0], step)
    columns = np.arange(0, brightness.shape[1], step)
    sums = np.add.reduceat(np.add.reduceat(brightness, rows, axis=0), columns, axis=1)
    heights = np.diff(np.append(rows, brightness.shape[0]))
    widths = np.diff(np.append(columns, brightness.shape[1]))
    return np.asarray(sums / (heights[:, None] * widths), np.float32)
