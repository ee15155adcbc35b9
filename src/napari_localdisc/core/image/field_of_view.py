"""Where in an image the subject is: inside the round, bright part of a fundus image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.names import Modality

from .grid import FloatImage, Mask, as_tensor
from .surroundings import Surroundings, find_surroundings, grown

DARK = 20 / 255
"""Brightness that separates a fundus image from its dark frame (released code)."""

_SEARCH_SIZE = 512
_CORNER_NOISE = 3 / 255


def find_field_of_view(rgb: FloatImage, modality: Modality = "fundus") -> Mask:
    """Find the pixels that show the subject.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3) float32 in [0, 1], from `as_rgb`.
    modality : {"fundus", "frame"}
        ``"fundus"``: the largest region brighter than the dark frame (any channel
        above 20/255), holes filled, whatever noise or lettering the frame holds, and
        without pages, frames, strips and boxes of any colour around it; everything
        where no corner is dark or covered.  ``"frame"``: everything.

    Returns
    -------
    ndarray
        (H, W) bool.

    Raises
    ------
    ImageError
        If the image is black or has one value everywhere.
    """
    brightness = brightness_of(rgb)
    low, high = brightness.aminmax()
    height, width = brightness.shape
    if modality == "frame":
        if low == high and bool((rgb == rgb[0, 0]).all()):
            raise ImageError(ONE_COLOUR)
        return np.ones(rgb.shape[:2], dtype=bool)
    check_brightness(float(high))
    step = search_step(height, width)
    side = max(2, min(height, width) // 50)
    ends = slice(None, side), slice(-side, None)
    corners = torch.stack([brightness[a, b] for a in ends for b in ends])
    quarter, across = height // 4, width // 4
    middle = brightness[quarter:-quarter, across:-across]
    region = CoarseRegion.of(
        block_mean(brightness, step),
        mean_colours(rgb, step),
        step,
        corners,
        lambda: float(middle.median()),
    )
    return region.refine(brightness, rgb, (slice(0, height), slice(0, width)))


ONE_COLOUR = "The image has one colour everywhere: nothing to see."


def brightness_of(rgb: FloatImage) -> Tensor:
    """Return the brightest channel of (H, W, 3) pixels: (H, W)."""
    red, green, blue = as_tensor(rgb).unbind(dim=2)
    return torch.maximum(torch.maximum(red, green), blue)


def check_brightness(high: float) -> None:
    """Raise an ImageError where no pixel is brighter than the dark frame."""
    if np.float32(high) <= np.float32(DARK):
        raise ImageError(
            "The image is all black (no pixel is brighter than 20 of 255): brighten "
            "it or choose another one."
        )


def search_step(height: int, width: int) -> int:
    """Return the side of the blocks of pixels that the region is first sought in."""
    return max(1, -(-max(height, width) // _SEARCH_SIZE))


@dataclass(frozen=True)
class CoarseRegion:
    """A field of view known to blocks of pixels, which its edge is refined from.

    Attributes
    ----------
    inner, outer : ndarray or None
        Bool per block: surely inside, and perhaps inside; None: everything is inside.
    step : int
        Side of a block.
    threshold : float
        Brightness of what is inside.
    around : Surroundings or None
        What else is not inside.
    """

    inner: Mask | None
    outer: Mask | None
    step: int
    threshold: float
    around: Surroundings | None = None

    @classmethod
    def everything(cls, step: int) -> CoarseRegion:
        """Return the region that is all of an image."""
        return cls(None, None, step, 0.0)

    @classmethod
    def of(
        cls,
        coarse: FloatImage,
        colours: FloatImage,
        step: int,
        corners: Tensor,
        middle: Callable[[], float],
    ) -> CoarseRegion:
        """Find the region.

        Parameters
        ----------
        coarse : ndarray
            (h, w) float32: the mean brightness of each block.
        colours : ndarray
            (h, w, 3) float32: its mean colour.
        step : int
            Side of a block.
        corners, middle
            As for `frame_brightness`.

        Raises
        ------
        ImageError
            If there is none.
        """
        around = find_surroundings(colours, DARK, step)
        if around is not None:
            ends = (0, -1)
            open_air = [not around.mask[row, column] for row in ends for column in ends]
            corners = corners[torch.tensor(open_air)]
        frame = frame_brightness(corners, middle) if len(corners) else 0.0
        threshold = frame + DARK
        seen = coarse > threshold
        if around is not None:
            seen &= ~grown(around.mask, 2)
        if seen[[0, 0, -1, -1], [0, -1, 0, -1]].all():
            return cls(None, None, step, threshold)
        region = _largest_region(seen)
        # Colours mix at the edge of a page
        reach = 1 if around is None else 5
        inner, outer = ~grown(~region, 1), grown(region, reach)
        return cls(inner, outer, step, threshold, around)

    def refine(
        self,
        brightness: Tensor,
        rgb: NDArray[np.float32],
        at: tuple[slice, slice],
    ) -> Mask:
        """Let the image's own pixels decide where the region ends.

        Of a part of the image, the (h, w) brightness and the (h, w, 3) colours of the
        rows and columns ``at``.
        """
        if self.inner is None or self.outer is None:
            return np.ones(tuple(brightness.shape), dtype=bool)
        rows, columns = (np.arange(part.start, part.stop) // self.step for part in at)
        fine = np.take(np.take(self.outer, rows, axis=0), columns, axis=1)
        fine &= (brightness > self.threshold).numpy()
        sure = np.take(np.take(self.inner, rows, axis=0), columns, axis=1)
        if self.around is not None:
            unsure = np.nonzero(fine & ~sure)
            blocks = rows[unsure[0]], columns[unsure[1]]
            fine[unsure] = ~self.around.shows(rgb[unsure], blocks)
        fine |= sure
        return np.asarray(fine)


def block_mean(brightness: Tensor, step: int) -> FloatImage:
    """Average over step×step blocks, or over 3×3 neighbours where step is 1."""
    if step == 1:
        # In double precision the mean of equal values is that value
        exact = brightness.double()
        mean = _sum_around(exact) / _sum_around(torch.ones_like(exact))
        return np.asarray(mean.float().numpy())
    pooled = F.avg_pool2d(
        brightness[None, None], step, ceil_mode=True, count_include_pad=False
    )
    return np.asarray(pooled[0, 0].numpy())


def mean_colours(rgb: FloatImage, step: int) -> FloatImage:
    """Average (H, W, 3) colours over step×step blocks, or 3×3 neighbours for 1.

    Of large blocks four pixels count: a tenth of the time, and enough for a page.
    """
    if step == 1:
        padded = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = padded[:-2] + padded[1:-1] + padded[2:]
        total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
        return np.asarray(total / np.float32(9))
    offsets = step // 4, step - 1 - step // 4
    down, across = (
        [np.minimum(np.arange(0, side, step) + at, side - 1) for at in offsets]
        for side in rgb.shape[:2]
    )
    total = sum(rgb[np.ix_(rows, columns)] for rows in down for columns in across)
    return np.asarray(total / np.float32(4))


def _sum_around(x: Tensor) -> Tensor:
    """Sum (H, W) values over 3×3 neighbours; by slices, much faster than pooling."""
    padded = F.pad(x, (1, 1, 1, 1))
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]


def frame_brightness(corners: Tensor, middle: Callable[[], float]) -> float:
    """Brightness of the frame where its black is lifted: flat, equal, dark corners.

    Of up to four (side, side) corners; ``middle`` returns the median of the image's
    middle.
    """
    corners = corners.flatten(1)
    levels = corners.median(dim=1).values
    is_flat = (corners - levels[:, None]).abs().mean(dim=1) < _CORNER_NOISE
    frame = float(levels.min())
    equal = is_flat & (levels < frame + _CORNER_NOISE)
    # Fewer flat dark corners may be shadows in an image without a frame
    if frame < DARK / 2 or int(equal.sum()) < 3:
        return 0.0
    return frame if middle() > frame + 2 * DARK else 0.0


def _largest_region(seen: Mask) -> Mask:
    """Return the largest connected region, holes filled, bridges cut."""
    opened = grown(~grown(~seen, 2, beyond=True), 2)
    names, count = ndimage.label(opened if opened.any() else seen)
    if count == 0:
        raise ImageError(
            "No field of view was found: the image has no bright region, only specks."
        )
    areas = np.bincount(names.ravel())
    areas[0] = 0
    region = names == areas.argmax()
    gaps, _ = ndimage.label(~region)
    border = np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]])
    outside = np.unique(border[border > 0])
    return np.asarray(~np.isin(gaps, outside))
