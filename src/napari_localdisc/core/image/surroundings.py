"""What lies around a photograph that is no dark frame: pages, frames, strips, boxes.

A page is smooth, adjoins the border, and ends abruptly; tissue is never all three.  It
is peeled off layer by layer: a white page around a grey frame around a photograph.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .grid import FloatImage, Mask

_SEARCH_SIZE = 300

_ALIKE = 12 / 255
"""Two pixels of one page differ by no more than this, in any channel."""

_OVEREXPOSED = 0.98
_EXACT, _NO_TEXTURE = 2.5 / 255, 0.5 / 255
"""The same for a page that is drawn, and the range of its values in 3×3 blocks."""

_SMOOTH = 8 / 255
"""Range of values in 3×3 blocks of a page whose colour varies."""

_ABRUPT = 20 / 255
"""Step at the edge of a page, in any channel."""

_ABRUPT_SHARE = {"colour": 0.6, "box": 0.7, "paper": 0.6, "shade": 0.8, "exact": 0.2}
"""Share of a page's edge that is abrupt, by what the page was found by."""

_QUIET, _VERY_QUIET = 4 / 255, 1.5 / 255
"""Most 3×3 blocks of a page have a smaller range of values than this."""

_LIGHTEST_DARK = 32 / 255
"""No page is darker: a lifted black is the frame's."""

_BEHIND_VESSELS = 9
"""So many pixels from the edge of tissue the other side of a vessel is seen."""

_LEAST_AREA, _LEAST_SHADE = 0.003, 0.02
_LEAST_SHADE_BRIGHT = 48 / 255
_LEAST_RIM = 0.03
"""Share of the rim around what is left that a page adjoins."""

_BOX = 0.8
"""A label box fills this share of its bounding box."""

_CLOSED = 3
"""Pixels of a gap in a box that lettering is."""

_LETTERS = 0.02
"""What a page encloses and is a smaller share of the image is no photograph."""

_RIM = 4
_LAYERS, _PIECES, _LEAST_PIECE, _COLOURS = 6, 12, 12, 6
_PAPER, _GREY = 0.7, 0.1
"""Least brightness of paper, and its largest saturation."""

_HALO = 8
"""Pixels that lossy compression spoils on either side of an edge."""


@dataclass(frozen=True)
class Surroundings:
    """What was found around a photograph.

    Attributes
    ----------
    mask : ndarray
        (h, w) bool, per block of pixels.
    colours : ndarray
        (h, w, 3) float32: the colour of the nearest page.
    alike : ndarray
        (h, w) float32: how much its pixels differ from it at most.
    """

    mask: Mask
    colours: FloatImage
    alike: FloatImage

    def shows(
        self, rgb: NDArray[np.float32], blocks: tuple[NDArray[np.intp], ...]
    ) -> Mask:
        """Whether each of (n, 3) pixels, in blocks (n rows, n columns), is a page's."""
        off = _largest(np.abs(rgb - self.colours[blocks]))
        return np.asarray(off <= self.alike[blocks])


@dataclass
class _Peeled:
    """What was peeled off so far, and how much each part's colours may differ."""

    rgb: FloatImage
    smooth: FloatImage
    dark: Mask
    found: Mask = field(init=False)
    alike: FloatImage = field(init=False)

    def __post_init__(self) -> None:
        self.found = np.zeros(self.dark.shape, bool)
        self.alike = np.zeros(self.dark.shape, np.float32)

    def add(self, part: Mask, step: float, kind: str) -> None:
        self.found |= part
        alike = min(max(step / 2, _ALIKE), 40 / 255)
        self.alike[part] = _EXACT if kind == "exact" else alike


def find_surroundings(rgb: FloatImage, dark: float, step: int) -> Surroundings | None:
    """Find what lies around a photograph beside a dark frame.

    Parameters
    ----------
    rgb : ndarray
        (h, w, 3) float32: means over blocks of pixels.
    dark : float
        What is not brighter is the dark frame, which is not looked for here.
    step : int
        Side of a block in pixels.

    Returns
    -------
    Surroundings or None
        None where there is nothing but a photograph and a dark frame.
    """
    shape = rgb.shape[:2]
    fold = 2 if max(shape) > _SEARCH_SIZE else 1
    small = _folded(rgb, fold)
    peeled = _peel(small, dark)
    if peeled is None:
        return None
    found = peeled.found
    nearest = ndimage.distance_transform_edt(
        ~found, return_distances=False, return_indices=True
    )
    colours, alike = small[tuple(nearest)], peeled.alike[tuple(nearest)]
    # Halos of lossy compression are a page's as well
    near = _largest(np.abs(small - colours)) <= alike
    reach = -(-_HALO // (fold * step))
    found = ndimage.binary_dilation(found, None, reach, mask=near | found)
    found |= _letters(found)
    mask, colours, alike = (
        part.repeat(fold, 0).repeat(fold, 1)[: shape[0], : shape[1]]
        for part in (found, colours, alike)
    )
    return None if mask.all() else Surroundings(mask, colours, alike)


def _folded(rgb: FloatImage, fold: int) -> FloatImage:
    """Average over fold×fold blocks; those at the end may repeat their last pixels."""
    if fold == 1:
        return rgb
    height, width = rgb.shape[:2]
    padding = ((0, -height % fold), (0, -width % fold), (0, 0))
    padded = np.pad(rgb, padding, mode="edge") if any(map(any, padding)) else rgb
    rows = padded[::fold] + padded[1::fold]  # fold is 2
    total = rows[:, ::fold] + rows[:, 1::fold]
    return np.asarray(total / np.float32(fold**2))


def _peel(rgb: FloatImage, dark: float) -> _Peeled | None:
    smooth = _range(rgb)
    brightest = _largest(rgb)
    peeled = _Peeled(rgb, smooth, brightest <= dark)
    bright = brightest > _LIGHTEST_DARK
    for _ in range(_LAYERS):
        outside = _outside(peeled.found | peeled.dark)
        rim = _rim(outside)
        candidates = rim & bright & (smooth <= _ALIKE)
        if candidates.sum() < max(4, 0.01 * rim.sum()):
            break
        before = int(peeled.found.sum())
        for region, kind in _regions(
            rgb, candidates, smooth, bright & ~outside, outside
        ):
            for part in _adjoining(region & ~peeled.found, candidates):
                edge = _edge_of_page(peeled, part, outside, rim, kind)
                if edge is not None:
                    peeled.add(part, edge, kind)
        if int(peeled.found.sum()) == before:
            break
    return peeled if peeled.found.any() and not peeled.found.all() else None


def _regions(
    rgb: FloatImage, candidates: Mask, smooth: FloatImage, free: Mask, outside: Mask
) -> list[tuple[Mask, str]]:
    """Return where pages may be: paper, common colours of the rim, smooth shades."""
    found = []
    paper = _is_paper(rgb) & free
    if (paper & candidates).any():
        found.append((paper, "paper"))
    colours = _quiet_colours(rgb, candidates & (smooth <= _QUIET))
    for colour in colours:
        off = _largest(np.abs(rgb - colour))
        found.append(((off <= _ALIKE) & free, "colour"))
        found.append(((off <= 2 * _ALIKE) & free, "box"))
    found.append(((smooth <= _SMOOTH) & ~outside, "shade"))
    # Tissue may have a page's colour, but has some texture, unless it is overexposed
    for colour in (colour for colour in colours if colour.max() < _OVEREXPOSED):
        off = _largest(np.abs(rgb - colour))
        found.append(((off <= _EXACT) & free, "exact"))
    return found


def _is_paper(rgb: FloatImage) -> Mask:
    low, high = -_largest(-rgb), _largest(rgb)
    return np.asarray((low >= _PAPER) & (high - low <= _GREY))


def _largest(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest of three channels; numpy's own maximum is slow for few."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.asarray(np.maximum(np.maximum(red, green), blue))


def _range(rgb: FloatImage) -> FloatImage:
    """Range of values in 3×3 blocks, the largest of the channels; by shifts, fast."""
    high = low = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="edge")
    for _ in range(2):
        high = np.maximum(np.maximum(high[:-2], high[1:-1]), high[2:]).swapaxes(0, 1)
        low = np.minimum(np.minimum(low[:-2], low[1:-1]), low[2:]).swapaxes(0, 1)
    return _largest(high - low)


def _outside(gone: Mask) -> Mask:
    """Return what is gone and adjoins the border."""
    names, count = ndimage.label(gone)
    is_outside = np.zeros(count + 1, bool)
    for side in (names[0], names[-1], names[:, 0], names[:, -1]):
        is_outside[side] = True
    is_outside[0] = False
    return np.asarray(is_outside[names])


def _rim(outside: Mask) -> Mask:
    """Return what is left and adjoins the outside or the border."""
    return np.asarray(grown(outside, _RIM, beyond=True) & ~outside)


def grown(region: Mask, by: int, *, beyond: bool = False) -> Mask:
    """Dilate by a square of ``2 by + 1`` pixels; ``beyond``: what the border adjoins.

    One axis after the other by shifts: ten times as fast as scipy's.
    """
    grown = np.pad(region, by, constant_values=beyond)
    for _ in range(2):
        length = grown.shape[0] - 2 * by
        rows = grown[:length].copy()
        for shift in range(1, 2 * by + 1):
            rows |= grown[shift : shift + length]
        grown = rows.T
    return np.ascontiguousarray(grown)


def _quiet_colours(rgb: FloatImage, quiet: Mask) -> list[NDArray[np.float32]]:
    """Return colours of the largest quiet pieces of a rim, no two of them alike."""
    names, count = ndimage.label(quiet)
    areas = np.bincount(names.ravel(), minlength=count + 1)
    areas[0] = 0
    colours: list[NDArray[np.float32]] = []
    for name in np.argsort(-areas)[:_PIECES]:
        if areas[name] < _LEAST_PIECE or len(colours) == _COLOURS:
            break
        colour = np.median(rgb[names == name], axis=0)
        if all(np.abs(colour - other).max() > _ALIKE / 2 for other in colours):
            colours.append(colour)
    return colours


def _adjoining(region: Mask, rim: Mask) -> list[Mask]:
    """Return the largest connected parts of a region that adjoin the rim."""
    names, count = ndimage.label(region)
    if not count:
        return []
    areas = np.bincount(names.ravel())
    touched = np.unique(names[rim & region])
    large = [name for name in touched if areas[name] >= _LEAST_AREA * region.size]
    large.sort(key=lambda name: -areas[name])
    return [names == name for name in large[:6]]


def _edge_of_page(
    peeled: _Peeled, part: Mask, outside: Mask, rim: Mask, kind: str
) -> float | None:
    """Return the step at the edge of a part that is a page; None if it is none."""
    if not _has_shape_of_page(peeled, part, outside, rim, kind):
        return None
    nearest = ndimage.distance_transform_edt(
        ~part, return_distances=False, return_indices=True
    )
    own = peeled.rgb[tuple(nearest)]
    gone = outside | peeled.found | _letters(part)
    # At an edge colours are mixed, two pixels beyond they are not; tissue that ends at
    # a vessel goes on behind it
    medians = []
    for distance in (3, _BEHIND_VESSELS):
        beyond = grown(part, distance) & ~grown(part, distance - 1) & ~gone
        if beyond.any():
            steps = _largest(np.abs(peeled.rgb[beyond] - own[beyond]))
            if (steps >= _ABRUPT).mean() < _ABRUPT_SHARE[kind]:
                return None
            medians.append(float(np.median(steps)))
    return medians[0] if medians else 0.0


def _has_shape_of_page(
    peeled: _Peeled, part: Mask, outside: Mask, rim: Mask, kind: str
) -> bool:
    """Whether a part is a box, or smooth and where only a page can be."""
    height, width = part.shape
    rows, columns = slice(height // 4, -height // 4), slice(width // 4, -width // 4)
    if part[rows, columns].mean() > 0.5:  # the picture is there
        return False
    if kind == "exact":
        is_large = part.sum() >= _LEAST_SHADE * part.size
        is_drawn = float(np.median(peeled.smooth[part])) <= _NO_TEXTURE
        return bool(is_large and is_drawn and _touches_border(part))
    if kind != "shade":
        box = ndimage.find_objects(part.astype(np.int8))[0]
        closed = ~grown(~grown(part[box], _CLOSED), _CLOSED, beyond=True)
        if float(ndimage.binary_fill_holes(closed | part[box]).mean()) >= _BOX:
            return True
    elif (
        part.sum() < _LEAST_SHADE * part.size
        or np.percentile(_largest(peeled.rgb[part]), 90) < _LEAST_SHADE_BRIGHT
    ):
        return False
    if kind == "box":
        return False
    if (part & rim).sum() < _LEAST_RIM * rim.sum():
        return False
    quiet = float(np.median(peeled.smooth[part]))
    if quiet > _QUIET:
        return False
    if _touches_border(part):
        return True
    if kind == "shade":
        return False
    in_corner = quiet <= _VERY_QUIET and _is_in_corner(part, ~outside)
    return in_corner or bool((grown(part, 3) & peeled.found).any())


def _touches_border(part: Mask) -> bool:
    return bool(
        part[0].any() or part[-1].any() or part[:, 0].any() or part[:, -1].any()
    )


def _is_in_corner(part: Mask, left: Mask) -> bool:
    """Whether a part fills a corner of what is left; a round field never does."""
    boxes = ndimage.find_objects(left.astype(np.int8))
    if not boxes:
        return False
    box = part[boxes[0]]
    ends = slice(None, _RIM), slice(-_RIM, None)
    return any(bool(box[a, b].any()) for a in ends for b in ends)


def _letters(found: Mask) -> Mask:
    """Return what a page encloses and is much smaller than a photograph."""
    names, count = ndimage.label(~found)
    if not count:
        return np.zeros_like(found)
    small = np.bincount(names.ravel()) < _LETTERS * found.size
    small[0] = False
    return np.asarray(small[names])
