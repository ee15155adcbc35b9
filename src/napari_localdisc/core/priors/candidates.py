"""Lesions said by what they are objects of: small pieces, bright or dark, on their own.

Exudates are yellow pieces with a steep border, cotton wool spots larger and softer
ones, haemorrhages and microaneurysms dark ones that are no line.  What is surely one
within the photograph's own noise is one to learn from, what might be one says nothing,
and the rest is none.  No label is involved; the constants were chosen by how many of
what is found people call lesions, on odd images of IDRiD (docs/experiments.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold, threshold_otsu
from torch import Tensor

from napari_localdisc.core.image.contrast import gaussian_blur

from .disc import DOUBTFUL_CONFIDENCE, fit_disc
from .fovea import DISTANCE, DROP
from .masks import UNKNOWN
from .vessel_tree import REFERENCE_DIAMETER

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]

_WINDOW, _WIDE = 1 / 18, 1 / 5
"""Sides of the window of the background's median, in diameters of the field of view:
for what is small, and for what is large."""
_COARSE = 4
_LEAST_NOISE = 1e-3

_LINE_SCALES = (1.2, 2.0, 3.2)
_LONG, _LINE_PIECE = 70, 25
"""Lengths of what is surely a vessel, and of what may be a piece of one."""
_DISC_REACH = 1.25
"""Radii about the optic disc's centre in which nothing is a lesion."""
_FOVEA = 0.8
"""Diameters of the optic disc about where the fovea may be, which is dark, too."""
_RIM, _GLARE = 6, 35
"""Pixels from the edge of the field of view: light falls off, and glares."""

_BRIGHT, _FAINT = 2.5, 1.5
"""Deviations of noise of a bright piece, and of what may belong to one."""
_STEEP, _FAIRLY_STEEP = 1.2, 0.45
"""Of an exudate's border, and of what may be one, in deviations a pixel."""
_SOFT = 0.2
"""Steepness of a cotton wool spot's border, in parts of its height, at most."""
_WOOL_STEEP, _MAYBE_WOOL_STEEP = 1.0, 1.6
_WOOL_HEIGHT, _WOOL_AREA, _WOOL_ROUND = (3.2, 9.0), (60, 2500), 0.4
_MAYBE_WOOL_AREA = 40
_SMALL_BRIGHT = 300
"""Pixels of an exudate where the disc is doubtful: a larger piece may be the disc."""

_DARK, _MAYBE_DARK, _DARKER = 2.0, 1.2, 3.0
_BLOB, _SURE_BLOB = 0.15, 0.9
"""Least curvature across, in thresholds of lines, of a dark spot, and a sure one."""
_SPOTS, _REACH, _LARGEST_DARK = 150, 40, 1500
_HALF, _LEAST_LEVEL = 0.5, 0.75
_ROUND, _APART = 0.35, 0.35
_SMALLEST, _ON_LINE = 4, 0.3
_MICRO, _BLEED, _EITHER = 22, 33, 45
"""Pixels of a dark spot: from the first on it may be a haemorrhage, from the second on
it rather is one, from the third on no microaneurysm."""
_RING = 2
"""Pixels about a lesion that may still be it: people draw them wider."""


@dataclass
class Candidates:
    """What may be lesions, each map (h, w) bool.

    Attributes
    ----------
    sure, maybe : dict of str to ndarray
        By the kind's name: what it surely is, and what may be it.
    """

    sure: dict[str, Mask] = field(default_factory=dict)
    maybe: dict[str, Mask] = field(default_factory=dict)


KINDS = "hard exudate", "cotton wool spot", "haemorrhage", "microaneurysm"


def candidate_map(kind: str, rgb: FloatImage, inside: Mask) -> NDArray[np.uint8]:
    """Say of a photograph where lesions of a kind are, and where they may be.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    rgb : ndarray
        (h, w, 3) float32 in [0, 1] on the working grid.
    inside : ndarray
        (h, w) bool, the field of view.

    Returns
    -------
    ndarray
        (h, w) uint8: 255 the lesion, 0 not, 127 unknown.
    """
    found = _remembered(rgb, inside)
    result = np.where(found.maybe[kind], UNKNOWN, 0).astype(np.uint8)
    result[found.sure[kind]] = 255
    return result


_latest: list[tuple[FloatImage, Mask, Candidates]] = []
"""What was found last: the kinds of one photograph are asked for in turn."""


def _remembered(rgb: FloatImage, inside: Mask) -> Candidates:
    for of, within, found in tuple(_latest):
        if of is rgb and within is inside:
            return found
    found = find_candidates(rgb, inside)
    _latest[:] = [(rgb, inside, found)]
    return found


def find_candidates(rgb: FloatImage, inside: Mask) -> Candidates:
    """Find what may be lesions in one photograph; parameters as of `candidate_map`."""
    scale = max(inside.shape) / REFERENCE_DIAMETER
    contrast, noise = _contrast(rgb[..., 1], inside)
    # A dark ring about something bright is no line
    bright = ndimage.binary_dilation(contrast > 2, iterations=2)
    ground = rgb[..., 1] - contrast * noise
    levelled = np.where(bright, np.minimum(rgb[..., 1], ground), rgb[..., 1])
    line, piece, blob = _lines(levelled, inside, scale)
    disc = fit_disc(rgb, inside)
    rows, columns = np.indices(inside.shape)
    away = np.hypot(rows - disc.row, columns - disc.column)
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    seen = _Seen(
        scale,
        contrast,
        np.asarray(ndimage.gaussian_filter(contrast, 0.7 * scale)),
        line,
        np.asarray(depth / scale),
        inside & (away > _DISC_REACH * disc.radius) & (depth > _RIM * scale),
        disc.confidence < DOUBTFUL_CONFIDENCE,
    )
    at = disc.row + DROP * 2 * disc.radius, 2 * DISTANCE * disc.radius
    may_be_fovea = np.hypot(rows - at[0], abs(columns - disc.column) - at[1])
    found = Candidates(
        {kind: np.zeros(inside.shape, bool) for kind in KINDS},
        {kind: np.zeros(inside.shape, bool) for kind in KINDS},
    )
    _bright(seen, found)
    _dark(seen, blob, may_be_fovea < _FOVEA * 2 * disc.radius, found)
    # Flames look like short lines, and what is dark and no line may be anything
    wide, _ = _contrast(rgb[..., 1], inside, _WIDE)
    dark = np.asarray(ndimage.gaussian_filter(wide, 3 * scale)) < -_DARK
    dark |= seen.smooth < -_MAYBE_DARK
    dark &= ~ndimage.binary_dilation(line, iterations=2)
    found.maybe["haemorrhage"] |= (piece | dark) & seen.allowed
    pale = np.asarray(ndimage.gaussian_filter(wide, 2 * scale)) > _FAINT
    found.maybe["cotton wool spot"] |= pale & seen.allowed
    for kind in KINDS:
        ring = ndimage.binary_dilation(found.sure[kind], iterations=_RING)
        found.maybe[kind] |= ring
    return found


@dataclass(frozen=True)
class _Seen:
    scale: float
    contrast: FloatImage
    smooth: FloatImage
    line: Mask
    depth: FloatImage
    allowed: Mask
    disc_is_doubtful: bool


def _contrast(
    light: FloatImage, inside: Mask, window: float = _WINDOW
) -> tuple[FloatImage, float]:
    """Return how much brighter than its background each pixel is, in noise; noise."""
    small, seen = (part[::_COARSE, ::_COARSE] for part in (light, inside))
    nearest = ndimage.distance_transform_edt(
        np.logical_not(seen), return_distances=False, return_indices=True
    )
    size = max(3, round(window * max(light.shape) / _COARSE))
    middle = ndimage.median_filter(small[tuple(nearest)], size, mode="nearest")
    places = ((np.arange(side) + 0.5) / _COARSE - 0.5 for side in light.shape)
    at = np.meshgrid(*places, indexing="ij")
    behind = ndimage.map_coordinates(middle, at, order=1, mode="nearest")
    above = np.where(inside, light - behind, 0).astype(np.float32)
    noise = max(1.4826 * float(np.median(abs(above[inside]))), _LEAST_NOISE)
    return above / np.float32(noise), noise


def _lines(
    light: FloatImage, inside: Mask, scale: float
) -> tuple[Mask, Mask, FloatImage]:
    """Find dark lines, short pieces of such, and how dark all around a pixel is.

    The last is in thresholds of lines.
    """
    x = torch.from_numpy(np.ascontiguousarray(light))[None, None]
    m = torch.from_numpy(inside)[None, None].float()
    level = gaussian_blur(x * m, 14 * scale) / (gaussian_blur(m, 14 * scale) + 1e-3)
    flat = (x - level) / (level + 0.05) * m
    line, blob = torch.zeros_like(flat), torch.zeros_like(flat)
    for reference in _LINE_SCALES:
        sigma = reference * scale
        larger, smaller = _curvatures(gaussian_blur(flat, sigma))
        smaller = smaller.clamp_min(0)
        line = torch.maximum(line, (larger - smaller).clamp_min(0) * sigma**2)
        blob = torch.maximum(blob, smaller * sigma**2)
    deep = ndimage.binary_erosion(np.pad(inside, 1), iterations=4)[1:-1, 1:-1]
    strength = line[0, 0].numpy() * deep
    threshold = max(float(threshold_otsu(strength[inside])), 1e-4)
    found = apply_hysteresis_threshold(strength, 0.6 * threshold, 1.2 * threshold)
    names, _ = ndimage.label(found, np.ones((3, 3)))
    lengths = np.array(
        [0.0]
        + [
            np.hypot(*(part.stop - part.start for part in box))
            for box in ndimage.find_objects(names)
        ]
    )
    long = (lengths >= _LONG * scale)[names]
    short = ((lengths >= _LINE_PIECE * scale) & (lengths < _LONG * scale))[names]
    return long, short, blob[0, 0].numpy() * deep / np.float32(threshold)


def _curvatures(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the larger and the smaller curvature of a (1, 1, h, w) image."""
    x = F.pad(x, (2,) * 4, mode="replicate")
    rows, columns = x.diff(dim=-2), x.diff(dim=-1)
    yy = rows.diff(dim=-2)[..., 1:-1, 2:-2]
    xx = columns.diff(dim=-1)[..., 2:-2, 1:-1]
    centred = x[..., 2:, :] - x[..., :-2, :]
    xy = ((centred[..., 2:] - centred[..., :-2]) / 4)[..., 1:-1, 1:-1]
    root = ((yy - xx).square() / 4 + xy.square()).sqrt()
    return (yy + xx) / 2 + root, (yy + xx) / 2 - root


def _roundness(piece: Mask) -> float:
    """Return a piece's area by that of a circle about it that holds all of it."""
    rows, columns = np.nonzero(piece)
    away = np.hypot(rows - rows.mean(), columns - columns.mean()).max()
    return float(len(rows) / (np.pi * (away + 0.5) ** 2))


def _bright(seen: _Seen, found: Candidates) -> None:
    slope = ndimage.gaussian_gradient_magnitude(seen.smooth, 1.0)
    names, _ = ndimage.label(seen.contrast > _BRIGHT)
    exudate, wool = KINDS[:2]
    maybe = found.maybe[exudate]
    for k, box in enumerate(ndimage.find_objects(names), 1):
        piece = names[box] == k
        if piece.sum() < _SMALLEST or not seen.allowed[box][piece].all():
            maybe[box] |= piece
            continue
        piece = ndimage.binary_fill_holes(piece)
        area = piece.sum() / seen.scale**2
        border = piece & ~ndimage.binary_erosion(piece)
        steep = float(slope[box][border].mean()) * seen.scale
        values = seen.smooth[box][piece]
        soft = steep / max(float(values.max()), 1e-3) < _SOFT
        glares = float(seen.depth[box][piece].min()) < _GLARE
        may_be_disc = seen.disc_is_doubtful and area > _SMALL_BRIGHT
        height = float(np.median(values))
        round_ = _roundness(piece) > _WOOL_ROUND
        wool_like = (
            soft and area > _MAYBE_WOOL_AREA and steep < _MAYBE_WOOL_STEEP
        ) and height > _BRIGHT
        least, most = _WOOL_AREA
        is_wool = (
            wool_like
            and round_
            and steep < _WOOL_STEEP
            and least < area < most
            and _WOOL_HEIGHT[0] < height < _WOOL_HEIGHT[1]
            and not (glares or may_be_disc)
        )
        is_exudate = steep > _STEEP and not (
            glares or may_be_disc or (wool_like and round_)
        )
        if is_wool:
            found.sure[wool][box] |= piece
        elif wool_like or may_be_disc:
            found.maybe[wool][box] |= piece
        if is_exudate:
            found.sure[exudate][box] |= piece
        elif steep > _FAIRLY_STEEP or may_be_disc:
            maybe[box] |= piece
    near = ndimage.binary_dilation(found.sure[exudate] | maybe, iterations=_RING)
    maybe |= near & (seen.contrast > _FAINT)


def _dark(seen: _Seen, blob: FloatImage, may_be_fovea: Mask, found: Candidates) -> None:
    peaks = (blob == ndimage.maximum_filter(blob, 5)) & (blob > _BLOB)
    points = np.argwhere(peaks & seen.allowed & ~seen.line)
    order = np.argsort(-blob[tuple(points.T)])[:_SPOTS]
    taken = np.zeros(blob.shape, bool)
    bleed, micro = KINDS[2:]
    for row, column in points[order].tolist():
        if taken[row, column]:
            continue
        grown = _grown(-seen.smooth, row, column, seen.scale)
        if grown is None:
            continue
        box, piece, round_, apart, height = grown
        taken[box] |= piece
        area = float(piece.sum()) / seen.scale**2
        on_line = float(seen.line[box][piece].mean()) > _ON_LINE
        is_dark = height > _DARK or blob[row, column] > _SURE_BLOB
        alone = round_ > _ROUND and apart > _APART and not on_line
        sure = is_dark and alone
        if area > _BLEED and may_be_fovea[row, column]:
            sure = False
        sizes = {micro: area < _EITHER, bleed: area > _MICRO}
        for kind in (kind for kind, fits in sizes.items() if fits):
            if sure and (kind == bleed) == (area > _BLEED):
                found.sure[kind][box] |= piece
            elif height > _MAYBE_DARK or sure:
                found.maybe[kind][box] |= piece


def _grown(
    dark: FloatImage, row: int, column: int, scale: float
) -> tuple[tuple[slice, slice], Mask, float, float, float] | None:
    """Grow a spot to half its depth: box, piece, roundness, apartness, depth."""
    reach = round(_REACH * scale)
    box = (
        slice(max(0, row - reach), row + reach + 1),
        slice(max(0, column - reach), column + reach + 1),
    )
    near = dark[box]
    at = row - box[0].start, column - box[1].start
    top = float(
        np.median(near[max(0, at[0] - 1) : at[0] + 2, max(0, at[1] - 1) : at[1] + 2])
    )
    if top < 1:
        return None
    names, _ = ndimage.label(near >= max(_HALF * top, _LEAST_LEVEL))
    if not names[at]:
        return None
    piece = names == names[at]
    ends = (piece[0], piece[-1], piece[:, 0], piece[:, -1])
    largest = _LARGEST_DARK * scale**2
    if any(end.any() for end in ends) or not _SMALLEST <= piece.sum() <= largest:
        return None
    piece = ndimage.binary_fill_holes(piece)
    inner = ndimage.binary_dilation(piece)
    ring = ndimage.binary_dilation(inner, iterations=3) & ~inner
    height = float(np.median(near[piece]))
    apart = 1 - float(np.quantile(near[ring], 0.9)) / max(height, 1e-6)
    return box, piece, _roundness(piece), apart, height
