"""Claim: vessels are found as well at another angle of view, and up to the rim.

DRIVE's camera sees 45°.  Two others are simulated from its images, so that the same
hand's vessels measure all three: the inner 66 % of the diameter, as a camera of 30°
sees them, and the image with its surroundings continued from inside (mirrored) to 4/3
of its diameter as one of 60°, scored in the original field of view alone.  Dice at 0.5
and area under the curve are means over images; "uncut, there" is the Dice of the uncut
image on the pixels that the camera sees: near the fovea, which is most of what the
narrow one does, vessels are thin.  The recall of vessels by their radius
(in pixels of the uncut image's working grid) and by their distance from the field of
view's edge (in shares of its diameter) are of all pixels together.  "Seen at" is the
mean magnification, which follows from the vessels.

``python -m benchmarks.cameras FOLDER MODEL`` measures another model than the bundled
one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import skeletonize

from napari_localdisc.core.embedding.embed import map_clusters
from napari_localdisc.core.evaluation.agreement import area_under_curve, dice
from napari_localdisc.core.image.mirrored import surrounded
from napari_localdisc.core.model.model import Model, load_model
from napari_localdisc.io.labelled import labelled_images

from .machine import table

NEEDS_DATA = True
HOW = "once for each of 20 images"
MOST_IMAGES = 20
ANGLE, NARROW, WIDE = 45, 30, 60
RADII = (0.0, 1.5, 2.6, np.inf)
EDGES = (0.0, 0.01, 0.02, 0.04, 0.08, 1.0)
THRESHOLDS = np.arange(0.2, 0.81, 0.05)

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
View = tuple[Image, Mask, Mask, Mask]
"""An image, its vessels, and the pixels measured: in it, and in the uncut image."""


def run(data: str) -> str:
    """Measure the bundled model on a folder of images with vessels."""
    return measure(load_model("fundus"), data)


def measure(model: Model, data: str) -> str:
    """Return a table of the uncut images and of both simulated cameras."""
    found = [case for case in labelled_images(Path(data)) if case.has("vessel")]
    cases = [labelled.case("vessel") for labelled in found[:MOST_IMAGES]]
    uncut_maps = [map_clusters(case.image, model) for case in cases]
    rows = []
    for name, simulate in VIEWS.items():
        totals: list[dict[str, Any]] = []
        for at, case in enumerate(cases):
            inside = case.field_of_view
            if inside is None:
                inside = uncut_maps[at].field_of_view
            whole = uncut_maps[at].structure("vessel") >= 0.5
            image, vessels, seen, there = simulate(case.image, case.reference, inside)
            maps = map_clusters(image, model)
            found = _of_one(maps.structure("vessel"), vessels & seen, seen, inside)
            same = dice(whole[there], case.reference[there])
            totals.append({**found, "same": same, "size": maps.magnification})
        rows.append((name, *_summary(totals)))
    radii = [f"recall, radius to {r:g}" for r in RADII[1:]]
    edges = [f"recall, edge to {100 * e:g} %" for e in EDGES[1:]]
    heads = ["camera", "Dice", "uncut, there", "AUC", "best Dice", "at", "area"]
    heads.append("seen at")
    return table(" | ".join([*heads, *radii, *edges]), rows)


def uncut(image: Image, vessels: Mask, inside: Mask) -> View:
    """Return the image as it is."""
    return image, vessels, inside, inside


def narrow(image: Image, vessels: Mask, inside: Mask) -> View:
    """Return the inner part of the field of view, as a camera of 30° sees it."""
    row, column, radius = _circle(inside)
    radius *= NARROW / ANGLE
    rows, columns = np.ogrid[: inside.shape[0], : inside.shape[1]]
    seen = np.hypot(rows - row, columns - column) <= radius
    seen &= inside
    box = tuple(
        slice(max(0, int(centre - radius) - 8), int(centre + radius) + 9)
        for centre in (row, column)
    )
    return (image * seen[..., None])[box], vessels[box], seen[box], seen


def wide(image: Image, vessels: Mask, inside: Mask) -> View:
    """Return the image continued beyond its edge, as a camera of 60° sees it."""
    row, column, radius = _circle(inside)
    more = int(radius * (WIDE / ANGLE - 1)) + 1
    pads = (more + 8, more + 8)
    there = inside
    image = np.pad(image * inside[..., None], (pads, pads, (0, 0)))
    vessels, inside = (np.pad(mask, (pads, pads)) for mask in (vessels, inside))
    colour = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None]
    core = ndimage.binary_erosion(inside, iterations=3)
    mask = torch.from_numpy(core.astype(np.float32))[None, None]
    filled, _ = surrounded(colour, mask, more + 6)
    wider = filled[0].permute(1, 2, 0).numpy().round().astype(np.uint8)
    rows, columns = np.ogrid[: inside.shape[0], : inside.shape[1]]
    row, column = row + pads[0], column + pads[0]
    round_ = np.hypot(rows - row, columns - column) <= radius * WIDE / ANGLE
    return wider * round_[..., None], vessels, inside, there


VIEWS = {"45°, uncut": uncut, "30°, simulated": narrow, "60°, simulated": wide}


def _circle(inside: Mask) -> tuple[float, float, float]:
    """Centre and radius of a round field of view, which may be cut straight."""
    rows, columns = np.nonzero(inside)
    sides = [(float(np.min(p)), float(np.max(p))) for p in (rows, columns)]
    (top, bottom), (left, right) = sides
    radius = max(bottom - top, right - left) / 2 + 0.5
    return (top + bottom) / 2, (left + right) / 2, radius


def _of_one(
    score: NDArray[np.float32], vessels: Mask, seen: Mask, uncut_view: Mask
) -> dict[str, Any]:
    found = score >= 0.5
    inner = score[seen]
    scale = 576 / (2 * _circle(uncut_view)[2])
    radius = _radius(vessels) * scale
    depth = ndimage.distance_transform_edt(np.pad(seen, 1))[1:-1, 1:-1]
    depth = depth / (2 * _circle(seen)[2])
    hits = vessels & found

    def recall(values: NDArray[Any], limits: Any) -> list[tuple[int, int]]:
        parts = [(values > low) & (values <= high) for low, high in pairwise(limits)]
        return [(int((hits & p).sum()), int((vessels & p).sum())) for p in parts]

    return {
        "dice": dice(found[seen], vessels[seen]),
        "auc": area_under_curve(inner, vessels[seen]),
        "dices": [dice(inner >= t, vessels[seen]) for t in THRESHOLDS],
        "area": float(found[seen].sum() / vessels[seen].sum()),
        "radius": recall(radius, RADII),
        "edge": recall(depth, EDGES),
    }


def _radius(vessels: Mask) -> NDArray[np.float64]:
    """Radius of the vessel that each pixel belongs to: that of its centre line."""
    depth = ndimage.distance_transform_edt(vessels)
    _, at = ndimage.distance_transform_edt(~skeletonize(vessels), return_indices=True)
    return np.where(vessels, depth[tuple(at)], 0)


def _summary(totals: list[dict[str, Any]]) -> Iterator[str]:
    def mean(key: str) -> Any:
        return np.mean([total[key] for total in totals], axis=0)

    dices = mean("dices")
    best = int(dices.argmax())
    yield from (f"{mean(key):.3f}" for key in ("dice", "same", "auc"))
    yield f"{dices[best]:.3f}"
    yield f"{THRESHOLDS[best]:.2f}"
    yield f"{mean('area'):.2f}"
    yield f"{mean('size'):.2f}"
    for key in ("radius", "edge"):
        for hit, there in np.sum([total[key] for total in totals], axis=0):
            yield f"{hit / there:.2f}" if there else "–"


if __name__ == "__main__":
    print(measure(load_model(sys.argv[2]), sys.argv[1]))
