"""Named results on the disk, and what differs between two sets of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Results = dict[str, Any]
"""Name → array, or what JSON holds."""

FEW = 700
"""Numbers of a map that are committed; labels are committed whole."""

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?")


@dataclass(frozen=True)
class Tolerance:
    """How far results of two machines may be apart.

    Attributes
    ----------
    labels : float
        Part of the pixels that must have equal labels.
    mean, largest : float
        Of the absolute differences of a map.
    numbers : float
        Relative, of single numbers, also those in texts.
    """

    labels: float
    mean: float
    largest: float
    numbers: float


def plain(value: Any) -> Any:
    """Turn a value into what comes back from JSON."""

    def simple(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        return str(value)

    return json.loads(json.dumps(value, default=simple))


def save(folder: Path, name: str, results: Mapping[str, Any], whole: bool) -> None:
    """Write results as ``name.npz`` and ``name.json``; maps whole or thinned out."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays, values = {}, {}
    for key, value in results.items():
        if isinstance(value, np.ndarray):
            arrays[key] = value if whole else thinned(value)
        else:
            values[key] = plain(value)
    # Whole results are hundreds of megabytes of last bits, which do not compress
    write = np.savez if whole else np.savez_compressed
    write(folder / f"{name}.npz", **arrays)
    text = json.dumps(values, indent=None if whole else 0, sort_keys=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def load(folder: Path, name: str) -> Results:
    """Return what `save` wrote."""
    with np.load(folder / f"{name}.npz") as file:
        arrays = dict(file)
    text = (folder / f"{name}.json").read_text(encoding="utf-8")
    return {**json.loads(text), **arrays}


def thinned(array: np.ndarray) -> np.ndarray:
    """Keep some numbers of a large map; labels and small arrays stay as they are."""
    if array.dtype.kind != "f" or array.size <= FEW:
        return array
    # An odd step, so that not one column is all there is
    return array.ravel()[:: array.size // FEW | 1]


def differences(
    left: Mapping[str, Any], right: Mapping[str, Any], tolerance: Tolerance | None
) -> list[str]:
    """Say in which results two sets differ; without a tolerance in any bit."""
    found = [f"{key}: only on the left" for key in left if key not in right]
    found += [f"{key}: only on the right" for key in right if key not in left]
    for key in left:
        if key in right:
            said = _differ(left[key], right[key], tolerance)
            found += [f"{key}: {each}" for each in said]
    return found


def _differ(left: Any, right: Any, tolerance: Tolerance | None) -> Iterator[str]:
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        yield from _arrays(left, right, tolerance)
    elif isinstance(left, dict) and isinstance(right, dict):
        yield from differences(left, right, tolerance)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, pair in enumerate(zip(left, right, strict=True)):
            yield from (f"[{index}] {each}" for each in _differ(*pair, tolerance))
    elif not _alike(left, right, tolerance):
        yield f"{left!r:.300} is not {right!r:.300}"


def _arrays(
    left: np.ndarray, right: np.ndarray, tolerance: Tolerance | None
) -> Iterator[str]:
    if left.shape != right.shape or left.dtype != right.dtype:
        yield f"{left.dtype}{left.shape} is not {right.dtype}{right.shape}"
        return
    if left.size == 0 or left.tobytes() == right.tobytes():
        return
    if left.dtype.kind not in "fbiu":
        yield "other values"
        return
    equal = float(np.mean(left == right))
    apart = np.abs(left.astype(float) - right.astype(float))
    if tolerance is None:
        yield f"{equal:.4%} are equal, {apart.max():g} apart at most"
    elif left.dtype.kind != "f" and equal < tolerance.labels:
        yield f"{equal:.4%} of the labels are equal"
    elif left.dtype.kind == "f" and not (
        apart.mean() <= tolerance.mean and apart.max() <= tolerance.largest
    ):
        yield f"{apart.mean():g} apart, {apart.max():g} at most"


def _alike(left: Any, right: Any, tolerance: Tolerance | None) -> bool:
    if tolerance is None or left == right:
        return type(left) is type(right) and left == right
    if isinstance(left, str) and isinstance(right, str):
        numbers = [_NUMBER.findall(text) for text in (left, right)]
        return _NUMBER.sub("#", left) == _NUMBER.sub("#", right) and all(
            _near(*(float(text.replace(",", "")) for text in pair), tolerance)
            for pair in zip(*numbers, strict=True)
        )
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _near(left, right, tolerance)
    return False


def _near(left: float, right: float, tolerance: Tolerance) -> bool:
    scale = max(abs(left), abs(right), 1e-3)
    return abs(left - right) <= tolerance.numbers * scale
