"""Where a number of the table comes from, as lines and points in the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

from .chest import chest_line, heart_line
from .examined import Examined
from .grids import Region
from .landmarks import Point
from .regions import Pieces
from .table import Row
from .tortuosity import Tortuosity
from .vessels import Vessels

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

SKELETON, CALIBRE, CHORD = "skeleton", "calibre", "chord"
REGION, OUTLINE, DISTANCE, NODES = "region", "outline", "distance", "nodes"

MOST_BARS = 10_000
"""Calibres that are drawn; of more every second, third, … one."""

_ARM = 3.0
"""Times a branch point's radius that the arms of its angle are drawn long."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """Lines and points of one kind.

    Attributes
    ----------
    what : str
        Of what: a calibre, a chord, …
    lines : ndarray
        (n, 2, 2) first and last point (row, column) of straight lines.
    points : ndarray
        (k, 2) points.
    """

    what: str
    lines: Floats = field(default_factory=lambda: np.zeros((0, 2, 2)))
    points: Floats = field(default_factory=lambda: np.zeros((0, 2)))


def evidence(examined: Examined, row: Row) -> list[Drawing]:
    """Draw what a value was read from.

    Parameters
    ----------
    examined : Examined
        What the row's table was made of.
    row : Row
        One of its rows.

    Returns
    -------
    list of Drawing
        One of each kind.  Of a part of the image its border first; of a value that is
        missing that alone.  Nothing that is empty.
    """
    region = examined.region(row.region)
    found = [_border(region)]
    if row.value is None:
        pass
    elif examined.kind == "chest" and row.measure in _OF_CHESTS:
        found += _of_chest(examined, row.measure)
    elif row.structure in examined.vessels:
        vessels = examined.vessels[row.structure]
        if row.measure in ("CRAE", "CRVE", "AVR"):
            for name in _equivalent_of(examined, row.measure):
                found.append(_bars(examined.vessels[name], region))
        elif row.piece is not None:
            found += _of_segment(vessels, row.measure, row.piece - 1)
        else:
            found += _of_vessels(vessels, row.measure, region)
    elif row.structure in examined.pieces:
        found += _of_pieces(examined, row, examined.pieces[row.structure], region)
    else:
        found += _of_landmark(examined, row)
    kinds = dict.fromkeys(drawn.what for drawn in found)
    joined = [
        Drawing(
            kind,
            np.concatenate([each.lines for each in found if each.what == kind]),
            np.concatenate([each.points for each in found if each.what == kind]),
        )
        for kind in kinds
    ]
    return [drawn for drawn in joined if len(drawn.lines) or len(drawn.points)]


def _border(region: Region) -> Drawing:
    inside = region.inside
    return Drawing(REGION) if inside.all() else Drawing(REGION, outline(inside, 4))


def outline(mask: Mask, step: int = 1) -> Floats:
    """(n, 2, 2) the lines between a mask and what is around it.

    Of a smooth border some points are enough: every second, third, … one.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros((0, 2, 2))
    crop = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    rings = find_contours(np.pad(crop, 1).astype(np.uint8), 0.5)
    rings = [np.concatenate([ring[:-1:step], ring[-1:]]) for ring in rings]
    corner = np.array([rows[0] - 1.0, columns[0] - 1.0])
    return np.asarray(_chains(rings) + corner)


def _chains(paths: list[Floats]) -> Floats:
    """(n, 2, 2) the steps along paths."""
    if not paths:
        return np.zeros((0, 2, 2))
    return np.concatenate([np.stack([path[:-1], path[1:]], 1) for path in paths])


def _line(one: Point, other: Point) -> Floats:
    return np.array([[one, other]], float)


def _circle(centre: Point, radius: float) -> Floats:
    angle = np.linspace(0, 2 * np.pi, 121)
    ring = np.stack([np.sin(angle), np.cos(angle)], 1) * radius + centre
    return _chains([ring])


# Vessels


def _of_vessels(vessels: Vessels, measure: str, region: Region) -> Iterator[Drawing]:
    if measure.startswith("calibre"):
        yield _skeleton(vessels, region)
        yield _bars(vessels, region)
    elif measure == "skeleton length":
        yield _skeleton(vessels, region)
    elif measure in _NODES or measure.startswith("branching angle"):
        yield _skeleton(vessels, region)
        yield _nodes(vessels, measure, region)
    elif measure.startswith("tortuosity"):
        yield _skeleton(vessels, region)
        yield _chords(vessels, region)
    else:
        yield Drawing(OUTLINE, outline(vessels.mask & region.inside))


_NODES = {
    "end points": lambda degree: degree == 1,
    "branch points": lambda degree: degree == 3,
    "crossings": lambda degree: degree > 3,
}


def _steps(vessels: Vessels) -> tuple[Floats, NDArray[np.intp]]:
    """Return lines along the middle lines, of three points each, and their segments."""
    tree = vessels.tree
    starts = tree.curves.starts
    order = np.arange(len(tree.points)) - np.repeat(starts[:-1], np.diff(starts))
    kept = order % 3 == 0
    kept[starts[1:] - 1] = True
    points, segment = tree.points[kept], tree.segment[kept]
    steps = np.stack([points[:-1], points[1:]], 1)
    same = segment[:-1] == segment[1:]
    return steps[same], segment[:-1][same]


def _skeleton(vessels: Vessels, region: Region) -> Drawing:
    steps, _ = _steps(vessels)
    return Drawing(SKELETON, steps[region.contains(steps[:, 0])])


def _bars(vessels: Vessels, region: Region, segment: int | None = None) -> Drawing:
    tree = vessels.tree
    chosen = np.isfinite(tree.calibre) & region.contains(tree.points)
    if segment is not None:
        chosen &= tree.segment == segment
    at = np.flatnonzero(chosen)
    at = at[:: 1 + len(at) // MOST_BARS]
    half = tree.across[at] * (tree.calibre[at] / 2)[:, None]
    middle = tree.points[at]
    return Drawing(CALIBRE, np.stack([middle - half, middle + half], 1))


def _nodes(vessels: Vessels, measure: str, region: Region) -> Drawing:
    skeleton = vessels.tree.skeleton
    here = region.contains(skeleton.nodes)
    if measure in _NODES:
        return Drawing(
            NODES, points=skeleton.nodes[_NODES[measure](skeleton.degree) & here]
        )
    arms = []
    for found in vessels.angles:
        if here[found.node]:
            start = skeleton.nodes[found.node]
            far = max(_ARM * float(skeleton.radius[found.node]), 6.0)
            arms += [(start, start + far * way) for way in found.ways]
    return Drawing(NODES, np.array(arms, float).reshape(-1, 2, 2))


def _chords(
    vessels: Vessels, region: Region | None = None, segment: int | None = None
) -> Drawing:
    """Draw the chords of segments that have a tortuosity."""
    tree, winding = vessels.tree, vessels.winding
    starts = tree.curves.starts
    chosen = np.isfinite(winding.ratio)
    if region is not None:
        inside = region.contains(tree.points)
        chosen &= np.bincount(tree.segment[inside], minlength=len(chosen)) > 0
    if segment is not None:
        chosen &= np.arange(len(chosen)) == segment
    return Drawing(CHORD, _ends(winding, tree.points, starts)[chosen])


def _ends(winding: Tortuosity, points: Floats, starts: NDArray[np.intp]) -> Floats:
    if not len(winding.arc):
        return np.zeros((0, 2, 2))
    return np.stack([points[starts[:-1]], points[starts[1:] - 1]], 1)


def _of_segment(vessels: Vessels, measure: str, segment: int) -> Iterator[Drawing]:
    steps, owner = _steps(vessels)
    yield Drawing(SKELETON, steps[owner == segment])
    if measure.startswith("calibre"):
        everywhere = Region("", np.ones(vessels.mask.shape, bool))
        yield _bars(vessels, everywhere, segment)
    elif measure.startswith("tortuosity"):
        yield _chords(vessels, None, segment)


def _equivalent_of(examined: Examined, measure: str) -> list[str]:
    wanted = {"CRAE": ("artery",), "CRVE": ("vein",)}.get(measure, ("artery", "vein"))
    return [name for name in examined.vessels if examined.role(name) in wanted]


# Whatever has pieces


def _of_pieces(
    examined: Examined, row: Row, pieces: Pieces, region: Region
) -> Iterator[Drawing]:
    mask, measure = pieces.mask, row.measure
    role = examined.role(row.structure)
    index = None if row.piece is None else row.piece - 1
    if index is not None:
        mask = pieces.names == row.piece
    elif measure == "largest area":
        here = region.contains(pieces.centres)
        largest = np.flatnonzero(here)[np.argmax(pieces.areas[here])]
        mask = pieces.names == largest + 1
    elif measure in ("area", "share covered") or measure.startswith("mean "):
        mask = mask & region.inside
    if measure.startswith("cup") or measure.endswith("cup-to-disc ratio"):
        cup = examined.mask_of("cup")
        if cup is not None:
            yield Drawing(OUTLINE, outline(cup & mask))
    yield Drawing(OUTLINE, outline(mask))
    shapes = pieces.whole if index is None else pieces.shapes
    at = index or 0
    if measure.startswith("centroid"):
        yield Drawing(NODES, points=shapes.centre[at : at + 1])
    elif measure == "equivalent diameter" and len(shapes.area):
        centre, radius = shapes.centre[at], float(np.sqrt(shapes.area[at] / np.pi))
        yield Drawing(DISTANCE, _circle((centre[0], centre[1]), radius))
    elif role == "lesion" and "distance to" in measure:
        yield from _distances(examined, measure, pieces, region, index)
    elif role in ("disc", "cup"):
        yield from _of_disc(examined, measure, mask)


def _distances(
    examined: Examined,
    measure: str,
    pieces: Pieces,
    region: Region,
    index: int | None,
) -> Iterator[Drawing]:
    """Draw the ways from lesions to the fovea, or to the disc's circle."""
    fovea, disc = examined.landmarks.fovea, examined.landmarks.disc
    centres = pieces.centres
    if measure.endswith("fovea") and fovea is not None:
        ends = np.broadcast_to(np.asarray(fovea, float), centres.shape)
        yield Drawing(NODES, points=np.array([fovea], float))
    elif measure.endswith("disc") and disc is not None:
        way = centres - disc.centre
        away = np.maximum(np.hypot(*way.T), 1e-9)[:, None]
        ends = disc.centre + way * np.minimum(1, disc.diameter / 2 / away)
        yield Drawing(NODES, _circle(disc.centre, disc.diameter / 2))
    else:
        return
    lines = np.stack([centres, ends], 1)
    if index is not None:
        yield Drawing(DISTANCE, lines[index : index + 1])
        return
    lines = lines[region.contains(centres)]
    if measure.startswith("nearest") and len(lines):
        nearest = np.hypot(*(lines[:, 0] - lines[:, 1]).T).argmin()
        lines = lines[nearest : nearest + 1]
    yield Drawing(DISTANCE, lines)


def _of_disc(examined: Examined, measure: str, mask: Mask) -> Iterator[Drawing]:
    """Draw diameters; of a rim the cup, of its parts their borders."""
    cup = examined.mask_of("cup")
    if measure.startswith("rim area") and cup is not None:
        yield Drawing(OUTLINE, outline(cup & mask))
        rows, columns = np.nonzero(mask)
        centre = float(rows.mean()), float(columns.mean())
        far = float(np.hypot(np.ptp(rows), np.ptp(columns))) / 2
        if measure != "rim area":
            slant = far * np.array([(1, 1), (1, -1)]) / np.sqrt(2)
            yield Drawing(DISTANCE, np.stack([centre - slant, centre + slant], 1))
    elif "vertical" in measure or "horizontal" in measure:
        with_cup = cup is not None and "cup" in measure
        shown = [mask] if not measure.startswith("cup") else []
        for of in [*shown, *([cup & mask] if with_cup and cup is not None else [])]:
            yield Drawing(DISTANCE, _extent(of, "vertical" in measure))
    elif measure in ("diameter", "centre row", "centre column"):
        yield from _of_circle(examined)


def _extent(mask: Mask, vertical: bool) -> Floats:
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.zeros((0, 2, 2))
    if vertical:
        column = columns.mean()
        return _line((rows.min() - 0.5, column), (rows.max() + 0.5, column))
    row = rows.mean()
    return _line((row, columns.min() - 0.5), (row, columns.max() + 0.5))


def _of_circle(examined: Examined) -> Iterator[Drawing]:
    disc = examined.landmarks.disc
    if disc is not None:
        yield Drawing(
            DISTANCE,
            _circle(disc.centre, disc.diameter / 2),
            np.array([disc.centre], float),
        )


def _of_landmark(examined: Examined, row: Row) -> Iterator[Drawing]:
    fovea = examined.landmarks.fovea
    if row.structure == "fovea" and fovea is not None:
        yield Drawing(NODES, points=np.array([fovea], float))
    elif row.structure == "optic disc":
        yield from _of_circle(examined)


# Chests


_OF_CHESTS = {
    "heart width": ("heart",),
    "chest width": ("right", "left"),
    "cardiothoracic ratio": ("heart", "right", "left"),
    "right lung area": ("right",),
    "left lung area": ("left",),
    "left share of the area": ("right", "left"),
    "symmetry": ("right", "left"),
}
"""Measures, and what they are read from."""


def _of_chest(examined: Examined, measure: str) -> Iterator[Drawing]:
    heart, lungs = examined.subject.union("heart"), examined.lungs
    if lungs is None:
        return
    masks = dict(zip(("right", "left", "heart"), (*lungs, heart), strict=True))
    for name in _OF_CHESTS[measure]:
        mask = masks[name]
        if mask is not None:
            yield Drawing(OUTLINE, outline(mask))
    lines = []
    if measure in ("heart width", "cardiothoracic ratio") and heart is not None:
        lines.append(heart_line(heart))
    if measure in ("chest width", "cardiothoracic ratio"):
        lines.append(chest_line(*lungs))
    for line in lines:
        if line is not None:
            at, first, last = line
            yield Drawing(DISTANCE, _line((at, first - 0.5), (at, last + 0.5)))


def middle_of(examined: Examined, row: Row) -> Point | None:
    """Return the middle (row, column) of what was measured; None: of nothing."""
    found = [each for each in evidence(examined, row) if each.what != REGION]
    if not found:
        return None
    ends = [each.lines.reshape(-1, 2) for each in found]
    every = np.concatenate([*ends, *(each.points for each in found)])
    low, high = every.min(axis=0), every.max(axis=0)
    return float((low[0] + high[0]) / 2), float((low[1] + high[1]) / 2)
