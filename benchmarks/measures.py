"""Claim: what is measured in our label-free masks is near to that in masks by hand.

Vessels: DRIVE, as `localdisc measure --model fundus` finds them against the masks by
hand, both within DRIVE's own fields of view.  Calibres of both are measured in the
picture, as that command does; two more rows compare ours, in the picture and in the
probability, with the widths that the masks by hand have themselves.  The median
absolute error of density and median calibre is at most 12 % on the training part, on
which two constants were chosen; on the test part none was.

Cardiothoracic ratio: JSRT, as `localdisc measure --model chest` finds heart and lungs
against the masks of the SCR set.  Three constants were chosen on every other image, and
the others report: mean absolute difference at most .04.

Limits of agreement are those of Bland and Altman, bias ± 1.96 standard deviations of
the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_localdisc as ld
from napari_localdisc.core.embedding.embed import map_clusters
from napari_localdisc.core.measure.found import find_vessels, found_masks
from napari_localdisc.io.labelled import labelled_images

from .machine import Row, table, verdict

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.io.labelled import LabelledImage

NEEDS_DATA = True
HOW = "once"
MODELS = {"fundus": "fundus", "chest": "chest"}
CLAIMED = {"density": 0.12, "calibre median": 0.12}
BESIDE_MASK = "calibre median, by hand in the mask"
IN_MAP = "calibre median, in the probability, by hand in the mask"
MOST_OFF, AIM = 0.04, 0.02

VESSELS = (
    ("density", "share"),
    ("skeleton length", "pixel"),
    ("calibre median", "pixel"),
    ("calibre mean", "pixel"),
    ("end points", "count"),
    ("branch points", "count"),
    ("branching angle median", "degree"),
    ("tortuosity arc/chord", "ratio"),
    ("tortuosity squared curvature", "pixel⁻¹"),
    ("fractal dimension", ""),
)


def run(data: str) -> str:
    """Measure both, and put them into two tables."""
    folder = Path(data)
    parts = [
        *(
            _vessels(f"DRIVE {part}", labelled_images(folder / "fundus/drive" / part))
            for part in ("training", "test")
        ),
        _hearts(labelled_images(folder / "chest" / "jsrt")),
    ]
    return "\n\n".join(parts)


def _vessels(called: str, images: Sequence[LabelledImage]) -> str:
    model = ld.load_model(MODELS["fundus"], "cpu")
    found: dict[str, list[list[float | None]]] = {}
    for image in images:
        for name, pair in vessel_values(image, model).items():
            found.setdefault(name, []).append(pair)
    units = dict(VESSELS) | {BESIDE_MASK: "pixel", IN_MAP: "pixel"}
    rows = [
        (name + (f" ({units[name]})" if units[name] else ""), *_agreement(pairs, name))
        for name, pairs in found.items()
    ]
    return table(
        f"{called}, {len(images)} | by hand, mean | ours, mean | correlation | "
        "bias | limits of agreement | median absolute error | claim | holds",
        rows,
    )


def vessel_values(image: LabelledImage, model: Model) -> dict[str, list[float | None]]:
    """Measure the mask by hand and ours of one image: both values of each measure."""
    case = image.case("vessel")
    maps = map_clusters(case.image, model)
    seen = maps.field_of_view if case.field_of_view is None else case.field_of_view
    probability = maps.structure("vessel")
    mask = find_vessels(probability, seen)
    how: dict[str, Any] = {"names": "vessel", "pieces": False, "regions": ["field"]}
    how["field_of_view"] = seen
    by_hand = ld.measure(case.reference, image=case.image, **how)
    ours = ld.measure(mask, image=case.image, **how)
    in_map = ld.measure(mask, probability=probability, **how)
    in_mask = ld.measure(case.reference, **how)
    values = {
        name: [one.value(measure=name, unit=unit) for one in (by_hand, ours)]
        for name, unit in VESSELS
    }
    calibre = {"measure": "calibre median", "unit": "pixel"}
    values[BESIDE_MASK] = [one.value(**calibre) for one in (in_mask, ours)]
    values[IN_MAP] = [one.value(**calibre) for one in (in_mask, in_map)]
    return values


def _hearts(images: Sequence[LabelledImage]) -> str:
    model = ld.load_model(MODELS["chest"], "cpu")
    found = [heart_ratios(image, model) for image in images]
    halves: list[tuple[str, Callable[[int], bool]]] = [
        ("half that anything was chosen on", lambda index: index % 2 == 0),
        ("reporting half", lambda index: index % 2 == 1),
    ]
    rows: list[Row] = []
    for name, chosen in halves:
        values = [pair for index, pair in enumerate(found) if chosen(index)]
        usable = [pair for pair in values if None not in pair]
        away = np.array(usable, float)
        mean = float(np.abs(away[:, 1] - away[:, 0]).mean())
        by_hand, ours, r, bias, limits, *_ = _agreement(usable, "")
        rows.append(
            (
                f"cardiothoracic ratio, {name}, {len(usable)} of {len(values)}",
                *(by_hand, ours, r, bias, limits),
                f"{mean:.3f}",
                f"≤ {MOST_OFF}, aim {AIM}",
                f"{verdict(mean, MOST_OFF)}, aim {verdict(mean, AIM)}",
            )
        )
    return table(
        "JSRT | by hand, mean | ours, mean | correlation | bias | limits of agreement "
        "| mean absolute difference | claim | holds",
        rows,
    )


def heart_ratios(
    image: LabelledImage, model: Model
) -> tuple[float | None, float | None]:
    """Return the ratio in masks by hand and in ours."""
    heart, lungs = image.case("heart"), image.case("lung")
    maps = map_clusters(heart.image, model)
    found = {name: maps.structure(name) for name in ("lung", "heart")}
    ours = found_masks(found, maps.field_of_view)
    by_hand = {"lung": lungs.reference, "heart": heart.reference}
    one, two = (
        ld.measure(masks, "chest", pieces=False).value(measure="cardiothoracic ratio")
        for masks in (by_hand, ours)
    )
    return one, two


def _agreement(found: Sequence[Sequence[float | None]], name: str) -> Row:
    """Return the cells of a row about pairs of values."""
    usable = np.array([pair for pair in found if None not in pair], float)
    if len(usable) < 2:
        return ("–",) * 8
    by_hand, ours = usable.T
    away = ours - by_hand
    bias, spread = float(away.mean()), float(1.96 * away.std(ddof=1))
    limit = CLAIMED.get(name)
    with np.errstate(invalid="ignore", divide="ignore"):  # all alike, or all 0
        correlation = np.corrcoef(by_hand, ours)[0, 1]
        error = float(np.median(np.abs(away) / np.abs(by_hand)))
    return (
        f"{by_hand.mean():.4g}",
        f"{ours.mean():.4g}",
        f"{correlation:.2f}",
        f"{bias:+.3g}",
        f"{bias - spread:+.3g} to {bias + spread:+.3g}",
        f"{100 * error:.1f} %",
        f"≤ {100 * limit:.0f} %" if limit else "–",
        verdict(error, limit) if limit else "–",
    )
