"""Means over images, as plain numbers for JSON and for tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .evaluate import THRESHOLDS, CaseResult, Failure


@dataclass
class Report:
    """What a set of images showed.

    Attributes
    ----------
    images : int
        Images measured.
    structure : dict
        Method → ``{"dice", "dice_std", "auc"}``: means over images and the spread;
        for the model also ``"best_threshold"``, the one that suits the set best when
        chosen with its masks, and ``"dice_at_best_threshold"``.
    clicks : dict
        Method → clicks → mean Dice.
    first_click_auc : dict
        Method → mean area under the curve of the similarity to the first click.
    clusters : dict
        n → mean Dice: ``"one"`` and ``"two"`` with the cluster, or union of two, that
        suits each image best; ``"same_one"`` and ``"same_two"`` with one choice for
        all images, which ``"labels"`` names.
    per_image : list of dict
        The same per image.
    failures : list of dict
        Images left out, with the reason.
    """

    images: int
    structure: dict[str, dict[str, float]] = field(default_factory=dict)
    clicks: dict[str, dict[int, float]] = field(default_factory=dict)
    first_click_auc: dict[str, float] = field(default_factory=dict)
    clusters: dict[int, dict[str, Any]] = field(default_factory=dict)
    per_image: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists and numbers, NaN as None: ready for JSON."""
        return _plain(asdict(self))  # type: ignore[no-any-return]


def summarise(
    results: Sequence[CaseResult], failures: Sequence[Failure] = ()
) -> Report:
    """Average over images; every image counts alike."""
    report = Report(len(results), failures=[asdict(failure) for failure in failures])
    for method in _methods(results, "structure"):
        report.structure[method] = _mean_structure(
            [result.structure[method] for result in results]
        )
    for method in _methods(results, "clicks"):
        rows = [result.clicks[method] for result in results]
        report.clicks[method] = {
            count: float(np.mean([row[count] for row in rows])) for count in rows[0]
        }
        areas = [result.first_click_auc[method] for result in results]
        report.first_click_auc[method] = float(np.mean(areas))
    for n in results[0].clusters if results else ():
        report.clusters[n] = _mean_clusters([result.clusters[n] for result in results])
    report.per_image = [_image_row(result) for result in results]
    return report


def _methods(results: Sequence[CaseResult], measure: str) -> list[str]:
    return list(getattr(results[0], measure)) if results else []


def _mean_structure(rows: list[dict[str, Any]]) -> dict[str, float]:
    scores = [row["dice"] for row in rows]
    means = {
        "dice": float(np.mean(scores)),
        "dice_std": float(np.std(scores)),
        "auc": float(np.mean([row["auc"] for row in rows])),
    }
    if "by_threshold" in rows[0]:
        by_threshold = np.mean([row["by_threshold"] for row in rows], axis=0)
        best = int(by_threshold.argmax())
        means["best_threshold"] = round(float(THRESHOLDS[best]), 2)
        means["dice_at_best_threshold"] = float(by_threshold[best])
    return means


def _mean_clusters(tables: list[NDArray[np.float64]]) -> dict[str, Any]:
    stacked = np.stack(tables)
    single = np.diagonal(stacked, axis1=1, axis2=2)
    mean, mean_single = stacked.mean(axis=0), single.mean(axis=0)
    one = int(mean_single.argmax())
    pair = np.unravel_index(mean.argmax(), mean.shape)
    return {
        "one": float(single.max(axis=1).mean()),
        "two": float(stacked.max(axis=(1, 2)).mean()),
        "same_one": float(mean_single.max()),
        "same_two": float(mean.max()),
        "labels": {"one": [one + 1], "two": sorted({int(k) + 1 for k in pair})},
    }


def _image_row(result: CaseResult) -> dict[str, Any]:
    row: dict[str, Any] = {"name": result.name, "area": result.area}
    row["structure"] = {
        method: {key: value for key, value in values.items() if key != "by_threshold"}
        for method, values in result.structure.items()
    }
    row["clicks"] = result.clicks
    row["first_click_auc"] = result.first_click_auc
    row["clusters"] = {
        n: {"one": float(np.diagonal(table).max()), "two": float(table.max())}
        for n, table in result.clusters.items()
    }
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if np.isnan(value) else round(float(value), 4)
    return value
