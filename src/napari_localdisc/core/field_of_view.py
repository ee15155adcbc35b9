"""Where in an image the subject is: inside the round, bright part of a fundus image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from .errors import ImageError
from .grid import FloatImage, Mask, as_tensor

if TYPE_CHECKING:
    from torch import Tensor

DARK = 20 / 255
"""Brightness that separates a fundus image from its dark frame (released code)."""

_SEARCH_SIZE = 512
_CORNER_NOISE = 3 / 255


def find_field_of_view(
    rgb: FloatImage, modality: Literal["fundus", "frame"] = "fundus"
) -> Mask:
    """Find the pixels that show the subject.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3) float32 in [0, 1], from `as_rgb`.
    modality : {"fundus", "frame"}
        ``"fundus"``: the largest region brighter than the dark frame (any channel
        above 20/255), holes filled, whatever noise or lettering the frame holds;
        everything where no corner is dark.  ``"frame"``: everything.

    Returns
    -------
    ndarray
        (H, W) bool.

    Raises
    ------
    ImageError
        If the image is black or has one value everywhere.
    """
    red, green, blue = as_tensor(rgb).unbind(dim=2)
    brightness = torch.maximum(torch.maximum(red, green), blue)
    low, high = brightness.aminmax()
    if modality == "frame":
        if low == high and bool((rgb == rgb[0, 0]).all()):
            raise ImageError("The image has one colour everywhere: nothing to see.")
        return np.ones(rgb.shape[:2], dtype=bool)
    if high <= DARK:
        raise ImageError(
            "The image is all black (no pixel is brighter than 20 of 255): brighten "
            "it or choose another one."
        )
    step = max(1, -(-max(rgb.shape[:2]) // _SEARCH_SIZE))
    coarse = _block_mean(brightness, step)
    threshold = _frame_brightness(brightness) + DARK
    seen = coarse > threshold
    if seen[[0, 0, -1, -1], [0, -1, 0, -1]].all():
        return np.ones(rgb.shape[:2], dtype=bool)
    region = _largest_region(seen)
    bright = (brightness > threshold).numpy()
    return _refine(region, bright, step)


def _block_mean(brightness: Tensor, step: int) -> FloatImage:
    """Average over step×step blocks, or over 3×3 neighbours where step is 1."""
    size, stride, padding = (step, step, 0) if step > 1 else (3, 1, 1)
    mean = F.avg_pool2d(
        brightness[None, None],
        size,
        stride,
        padding,
        ceil_mode=True,
        count_include_pad=False,
    )
    return np.asarray(mean[0, 0].numpy())


def _frame_brightness(brightness: Tensor) -> float:
    """Brightness of the frame where its black is lifted: flat, equal, dark corners."""
    side = max(2, min(brightness.shape) // 50)
    corners = torch.stack(
        [brightness[a, b] for a in _ends(side) for b in _ends(side)]
    ).flatten(1)
    levels = corners.median(dim=1).values
    is_flat = (corners - levels[:, None]).abs().mean(dim=1) < _CORNER_NOISE
    frame = float(levels.min())
    equal = is_flat & (levels < frame + _CORNER_NOISE)
    # Fewer flat dark corners may be shadows in an image without a frame
    if frame < DARK / 2 or int(equal.sum()) < 3:
        return 0.0
    height, width = brightness.shape
    middle = brightness[height // 4 : -height // 4, width // 4 : -width // 4]
    return frame if float(middle.median()) > frame + 2 * DARK else 0.0


def _ends(side: int) -> tuple[slice, slice]:
    return slice(None, side), slice(-side, None)


def _largest_region(seen: Mask) -> Mask:
    """Return the largest connected region, holes filled, bridges cut."""
    square = np.ones((3, 3), dtype=bool)
    opened = ndimage.binary_opening(seen, square, iterations=2)
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


def _refine(region: Mask, bright: Mask, step: int) -> Mask:
    """Let the image's own pixels decide where the coarse region ends."""
    square = np.ones((3, 3), dtype=bool)
    inner = ndimage.binary_erosion(region, square, border_value=1)
    outer = ndimage.binary_dilation(region, square)
    rows, columns = (np.arange(side) // step for side in bright.shape)
    fine = np.take(np.take(outer, rows, axis=0), columns, axis=1)
    fine &= bright
    fine |= np.take(np.take(inner, rows, axis=0), columns, axis=1)
    return np.asarray(fine)
