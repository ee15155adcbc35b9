"""What a box or a lasso is drawn around: the object, or the objects, inside.

Who draws a frame around something takes care that it fits.  So everything that could be
meant is found near the frame: each structure that the model names, what looks unlike
the frame's surroundings to the network, and what differs from them in the picture.  The
one is meant whose pieces inside fill the frame from border to border and do not go on
beyond it.

All on the working grid.  The constants were chosen on the tuning halves of Drishti-GS1
and IDRiD; see docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.filters import threshold_otsu
from torch import Tensor

from napari_localdisc.core.errors import PromptError
from napari_localdisc.core.image.grid import FloatImage, Mask

from . import correction
from .meaning import Clicks
from .similarity import Likeness

CUT = 0.5

_ROOM = 0.3
"""How far beyond a frame its surroundings reach, in its longer side."""

_LEAST_ROOM = 4
"""Pixels, likewise."""

_SMALLEST = 0.02
"""Part of the largest piece's area up to which a piece does not say where it ends."""

_NAMED = 1.15
"""How much more a named structure is expected than what has no name."""

_FULL = 0.5
"""Part of a frame that an object takes, at least, unless it is thin."""

_LEAST_FIT = 0.2
_LEAST_OF_CLICK = 0.8
"""Fit of what a click finds, in that of the best, from which it is taken."""


def check_frames(frames: Iterable[ArrayLike]) -> list[NDArray[np.float64]]:
    """Return frames as (k, 2) float64 corners, k ≥ 3; two points are a box's corners.

    Raises
    ------
    PromptError
        If one is no such frame.
    """
    checked = []
    for frame in frames:
        try:
            corners = np.asarray(frame, float)
        except (TypeError, ValueError):
            corners = np.zeros(0)
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 2:
            raise PromptError(
                "A frame is two opposite corners of a box, or three and more corners "
                f"of a lasso, (row, column) each; not {frame!r:.80}."
            )
        if not np.isfinite(corners).all():
            raise PromptError(f"A frame's corners are finite, unlike {frame!r:.80}.")
        if len(corners) == 2:
            (top, left), (bottom, right) = corners.min(0), corners.max(0)
            corners = np.array(
                [(top, left), (top, right), (bottom, right), (bottom, left)]
            )
        checked.append(corners)
    return checked


def mask_of(corners: NDArray[np.float64], shape: tuple[int, int]) -> Mask:
    """(h, w) bool: pixels within a closed line, and those that it goes through."""
    mask = np.zeros(shape, bool)
    top, left = np.floor(corners.min(0)).astype(int)
    bottom, right = np.ceil(corners.max(0)).astype(int) + 1
    inside = polygon2mask((bottom - top, right - left), corners - (top, left))
    for row, column in np.rint(corners).astype(int) - (top, left):
        inside[row, column] = True  # however small the frame is
    rows, columns = (
        slice(max(low, 0), min(high, side))
        for low, high, side in ((top, bottom, shape[0]), (left, right, shape[1]))
    )
    if rows.start < rows.stop and columns.start < columns.stop:
        mask[rows, columns] = inside[
            rows.start - top : rows.stop - top,
            columns.start - left : columns.stop - left,
        ]
    return mask


@dataclass(frozen=True)
class Window:
    """A frame and its surroundings.

    Attributes
    ----------
    box : tuple of slice
        Rows and columns of the grid.
    frame : ndarray
        bool, of that size: within the frame and the field of view.
    seen : ndarray
        bool: within the field of view.
    """

    box: tuple[slice, slice]
    frame: Mask
    seen: Mask

    @classmethod
    def about(cls, corners: NDArray[np.float64], inside: Mask) -> Window:
        """Look about a frame of the grid.

        Raises
        ------
        PromptError
            If nothing of the field of view is in it.
        """
        whole = mask_of(corners, inside.shape) & inside
        (found,) = ndimage.find_objects(whole.view(np.uint8), 1)
        if found is None:
            raise PromptError(
                "The frame lies outside the field of view: draw it where the image "
                "shows something."
            )
        side = max(part.stop - part.start for part in found)
        room = max(_LEAST_ROOM, round(_ROOM * side))
        box = tuple(
            slice(max(0, part.start - room), min(part.stop + room, length))
            for part, length in zip(found, inside.shape, strict=True)
        )
        rows, columns = box
        return cls((rows, columns), whole[box], inside[box])

    def fit(self, mask: Mask) -> float:
        """Say how well the pieces of a mask inside fill the frame, in [0, 1]."""
        names, count = ndimage.label(mask & self.seen, np.ones((3, 3), bool))
        if not count:
            return 0.0
        sizes = np.bincount(names.ravel(), minlength=count + 1)
        within = np.bincount(names[self.frame], minlength=count + 1)
        within[0] = 0
        largest = within.max()
        pieces = np.flatnonzero(within > max(_SMALLEST * largest, 0))
        if not largest or not pieces.size:
            return 0.0
        held = int(within[pieces].sum())
        contained = held / int(sizes[pieces].sum())
        rows, columns = np.nonzero(np.isin(names, pieces) & self.frame)
        frame_rows, frame_columns = np.nonzero(self.frame)
        reach = 1.0
        for found, wanted in ((rows, frame_rows), (columns, frame_columns)):
            reach *= (np.ptp(found) + 1) / (np.ptp(wanted) + 1)
        # All of the frame is as wrong as what goes on beyond it, or is thin in it
        full = held / int(self.frame.sum())
        compact = min(1.0, (full / _FULL) ** 0.5, 6 * (1 - full))
        return float(reach * contained * compact)

    def holds(self, pixels: NDArray[np.intp]) -> bool:
        """Whether one of (k, 2) pixels of the grid is in the frame."""
        (top, left), shape = (part.start for part in self.box), self.frame.shape
        return any(
            0 <= row - top < shape[0]
            and 0 <= column - left < shape[1]
            and bool(self.frame[row - top, column - left])
            for row, column in pixels.tolist()
        )


@dataclass(frozen=True)
class Framed:
    """What a frame is drawn around.

    Attributes
    ----------
    window : Window
        The frame.
    values : ndarray
        float32 of the window's size, to be cut at a half: the object.
    seed : tuple of float
        (row, column) of the grid that is typical of it.
    meant : int
        Number of the structure that it is; how many there are, if it is none.
    """

    window: Window
    values: FloatImage
    seed: tuple[float, float]
    meant: int


def unlike(values: NDArray[np.floating], window: Window) -> FloatImage:
    """Tell a frame's middle from its surroundings, by (n, rows, columns) values.

    Returns
    -------
    ndarray
        (rows, columns) float32 in [0, 1], to be cut at a half.
    """
    around = window.seen & ~window.frame
    if not around.any():
        around = window.seen & ~ndimage.binary_erosion(window.frame)
    outside = values[:, around]
    middle = np.median(outside, 1)[:, None, None]
    spread = 1.4826 * np.median(abs(outside - middle[:, :, 0]), 1)[:, None, None]
    away = np.sqrt((((values - middle) / (spread + 1e-3)) ** 2).mean(0))
    inside = away[window.frame]
    if np.ptp(inside) <= 0:
        return np.zeros(away.shape, np.float32)
    logarithm = np.log(away + 0.3)
    cut = threshold_otsu(logarithm[window.frame | window.seen])
    return np.asarray(1 / (1 + np.exp(-4 * (logarithm - cut))), np.float32)


def find(
    window: Window,
    maps: Sequence[FloatImage],
    pictures: Sequence[NDArray[np.floating]],
    click: Callable[[tuple[int, int]], tuple[FloatImage, int]],
) -> Framed:
    """Find what a frame is drawn around.

    Parameters
    ----------
    window : Window
        The frame.
    maps : sequence of ndarray
        Of the window's size, to be cut at a half: structures that the model names.
    pictures : sequence of ndarray
        (n, rows, columns) values; the vectors first.
    click : callable
        Takes a pixel of the grid and returns what a click there finds, of the window's
        size and to be cut at a half, and the number of the structure that it means.
    """
    every = [*maps, *(unlike(values, window) for values in pictures)]
    fits = [
        window.fit(values >= CUT) * (_NAMED if number < len(maps) else 1.0)
        for number, values in enumerate(every)
    ]
    chosen = int(np.argmax(fits))
    values, meant = every[chosen], min(chosen, len(maps))
    found = (values >= CUT) & window.frame
    seed = typical(found if found.any() else window.frame, pictures[0])
    top, left = (part.start for part in window.box)
    pixel = top + seed[0], left + seed[1]
    clicked, means = click(pixel)
    fit = window.fit(clicked >= CUT)
    if fit >= max(_LEAST_OF_CLICK * fits[chosen], _LEAST_FIT):
        values, meant = clicked, means
    elif fits[chosen] < _LEAST_FIT:
        values = np.ones(window.frame.shape, np.float32)  # all that is framed
    return Framed(window, values, (float(pixel[0]), float(pixel[1])), meant)


def typical(mask: Mask, vectors: NDArray[np.float32]) -> tuple[int, int]:
    """Return the pixel of a mask whose vector is most like all of its inner ones.

    Parameters
    ----------
    mask : ndarray
        (rows, columns) bool, not empty.
    vectors : ndarray
        (D, rows, columns) unit vectors.
    """
    inner = ndimage.binary_erosion(mask)
    if not inner.any():
        inner = mask
    rows, columns = np.nonzero(inner)
    chosen = vectors[:, rows, columns]
    best_one = int(np.argmax(chosen.mean(1) @ chosen))
    return int(rows[best_one]), int(columns[best_one])


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames among the prompts.

    Attributes
    ----------
    wanted, unwanted : tuple of Framed
        What they are drawn around.
    positives, negatives : int
        How many points there are beside them, the first of each kind among the clicks.
    """

    wanted: tuple[Framed, ...]
    unwanted: tuple[Framed, ...]
    positives: int
    negatives: int

    def put(self, values: Tensor, likeness: Likeness, clicks: Clicks) -> Tensor:
        """Return an (h, w) map, to be cut at a half, with what is in the frames."""
        result = values.clone() if self.positives else torch.zeros_like(values)
        split = clicks.positives
        liked = clicks.pixels[: self.positives]
        others = clicks.pixels[split : split + self.negatives]
        for framed in self.wanted:
            window = framed.window
            found = torch.from_numpy(framed.values).to(result)
            if window.holds(liked):
                found = torch.maximum(found, values[window.box])
            if self.unwanted or window.holds(others):
                near, against = (
                    torch.stack([each.view(values.shape)[window.box] for each in side])
                    for side in (likeness.positive, likeness.negative)
                )
                found = torch.where(against.amax(0) > near.amax(0), 0, found)
            inside = torch.from_numpy(window.frame).to(result.device)
            result[window.box][inside] = found[inside]
        for framed in self.unwanted:
            inside = torch.from_numpy(framed.window.frame).to(result.device)
            result[framed.window.box][inside] = 0
        if self.positives or self.negatives:
            correction.hold(result, self._points(clicks))
        return result

    def _points(self, clicks: Clicks) -> Clicks:
        """Return the clicks without what stands for frames."""
        first, last = clicks.positives, clicks.positives + self.negatives
        kept = [*range(self.positives), *range(first, last)]
        places = None if clicks.places is None else clicks.places[kept]
        return Clicks(
            clicks.vectors[kept],
            clicks.pixels[kept],
            self.positives,
            places=places,
        )
