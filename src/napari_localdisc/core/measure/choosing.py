"""Which rows of a table are looked at: groups of measures, and one unit of each."""

from __future__ import annotations

from collections.abc import Iterable

from .table import Row, Table
from .units import DISC, MILLIMETRE, PIXEL

MAIN = "the main ones"
_MAIN = frozenset(
    (
        *("area", "density", "share covered", "skeleton length", "calibre median"),
        *("tortuosity arc/chord", "fractal dimension", "branch points"),
        *("CRAE", "CRVE", "AVR", "vertical diameter", "vertical cup-to-disc ratio"),
        *("rim area", "count", "largest area", "nearest distance to the fovea"),
        *("pieces", "equivalent diameter", "mean intensity", "mean green"),
        *("distance to the fovea", "length", "calibre mean"),
        *("heart width", "chest width", "cardiothoracic ratio", "symmetry"),
        *("right lung area", "left lung area"),
    )
)
_SHAPE = (
    *("area", "share covered", "density", "perimeter", "equivalent diameter"),
    *("eccentricity", "solidity", "centroid row", "centroid column", "pieces"),
)
_GROUPS: dict[str, tuple[str, ...]] = {
    "size and shape": _SHAPE,
    "brightness": ("mean intensity", "mean red", "mean green", "mean blue"),
    "calibre": ("calibre", "CRAE", "CRVE", "AVR"),
    "length and branching": (
        *("skeleton length", "length", "end points", "branch points", "crossings"),
        "branching angle",
    ),
    "tortuosity": ("tortuosity",),
    "fractal dimension": ("fractal dimension",),
    "disc and cup": (
        *("diameter", "vertical", "horizontal", "cup", "rim", "centre"),
        *("area cup-to-disc ratio", "row", "column"),
    ),
    "lesions": (*("count", "largest area", "nearest", "mean distance", "distance to"),),
    "chest": (
        *("heart", "chest", "cardiothoracic", "right lung", "left lung"),
        *("left share", "symmetry"),
    ),
}
MEASURE_GROUPS = (MAIN, *_GROUPS)
"""What can be chosen of the measures."""

UNITS = (PIXEL, DISC, MILLIMETRE)
_FIRST = (MILLIMETRE, PIXEL, DISC)


def is_in_group(measure: str, group: str) -> bool:
    """Tell whether a measure belongs to one of `MEASURE_GROUPS`."""
    if group == MAIN:
        return measure in _MAIN
    if group == "size and shape":
        return measure in _SHAPE
    return measure.startswith(_GROUPS[group])


def choose_rows(
    table: Table, groups: Iterable[str] = (), unit: str | None = None
) -> Table:
    """Choose some of a table's rows.

    Parameters
    ----------
    table : Table
        From `measure`.
    groups : iterable of str
        Of `MEASURE_GROUPS`; none: every measure.
    unit : {"pixel", "disc diameter", "mm"}, optional
        In which lengths and areas are told, where they are known in it; by default
        millimetres, else pixels.

    Returns
    -------
    Table
        One row a value.
    """
    chosen = tuple(groups)
    order = _FIRST if unit is None else (unit, *(u for u in _FIRST if u != unit))
    rows: dict[tuple[object, ...], Row] = {}
    for row in table:
        if chosen and not any(is_in_group(row.measure, group) for group in chosen):
            continue
        key = row.structure, row.piece, row.region, row.measure
        held = rows.get(key)
        if held is None or _rank(row, order) < _rank(held, order):
            rows[key] = row
    return Table(rows.values())


def _rank(row: Row, order: tuple[str, ...]) -> int:
    base = row.unit.rstrip("²⁻¹")
    return order.index(base) if base in order else len(order)
