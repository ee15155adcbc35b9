"""Means over images, as plain numbers for JSON and for tables."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .measures import FIRST_CLICK, MEASURES, Row, Rows


@dataclass
class CaseResult:
    """What was measured on one image.

    Attributes
    ----------
    name : str
        Of the case.
    area : float
        Fraction of the field of view that the structure covers.
    tables : dict
        Measure → its rows.
    """

    name: str
    area: float
    tables: dict[str, Rows]


@dataclass
class Failure:
    """An image that could not be measured, and why."""

    name: str
    reason: str


@dataclass
class Report:
    """What a set of images showed; each of `results` counts alike."""

    results: list[CaseResult]
    failures: list[Failure]

    @cached_property
    def tables(self) -> dict[str, Rows]:
        """Measure → method, or number of clusters → column → mean over images.

        Dice and AUC of structures come with ``"dice_std"``, the spread between images,
        and for the model with ``"best_threshold"``, which suits the set best when
        chosen with its masks, and ``"dice_at_best_threshold"``.  Of clusters ``"one"``
        and ``"two"`` are with the cluster, or union of two, that suits each image best;
        ``"same_one"`` and ``"same_two"`` with one choice for all, which ``"labels"``
        names.
        """
        tables: dict[str, Rows] = {}
        for name, measure in MEASURES.items():
            images = [result.tables.get(name, {}) for result in self.results]
            tables[name] = {}
            for key in images[0] if images else ():
                rows = [rows[key] for rows in images]
                means = {
                    column: _mean([row[column] for row in rows])
                    for column in _reported(rows[0])
                }
                tables[name][key] = means | measure.of_all(rows)
        return tables

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers, NaN as None: ready for JSON."""
        return {
            "images": len(self.results),
            **_plain(_apart(self.tables)),
            "per_image": [
                _plain({"name": r.name, "area": r.area, **_apart(r.tables)})
                for r in self.results
            ],
            "failures": [asdict(failure) for failure in self.failures],
        }


def _mean(values: Sequence[float]) -> float:
    """Mean of what there is: an image without thin vessels says nothing of them."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _reported(row: Row) -> Row:
    return {column: value for column, value in row.items() if str(column)[:1] != "_"}


def _apart(tables: dict[str, Rows]) -> dict[str, Rows]:
    """Return a table for each measure there is, the first click's area as its own."""
    apart = {
        name: {key: _reported(row) for key, row in tables.get(name, {}).items()}
        for name in MEASURES
    }
    first = {key: row.pop(FIRST_CLICK) for key, row in apart["clicks"].items()}
    return {**apart, FIRST_CLICK: first}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(float(value), 4)
    return value
