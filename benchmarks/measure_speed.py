"""Claim: numbers follow an edit: regions within 0.5 s, vessels within 1.5 s.

Of a 2-megapixel mask: the vessels that the bundled model finds in the retina, and 400
discs of 20 pixels' radius.  From labels to the table, a row for each piece and segment
included; the last two lines without them, for the field and for all its parts.  Other
work on the machine makes the clock's time longer, hardly the processor's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

import napari_localdisc as ld
from napari_localdisc.core.embedding.embed import map_clusters

from . import machine
from .machine import Row, retina, table, verdict

NEEDS_DATA = False
REGIONS, VESSELS = 0.5, 1.5


def run() -> str:
    """Measure the sample's vessels and drawn discs."""
    maps = map_clusters(retina(), ld.load_model("fundus"))
    probability, view = maps.structure("vessel"), maps.field_of_view
    vessels = (probability >= 0.5) & view
    rows, columns = (np.arange(side) % 70 - 35 for side in vessels.shape)
    discs = np.hypot(rows[:, None], columns) < 20
    side = len(vessels)
    marks = {
        "disc": (0.46 * side, 0.16 * side, 0.14 * side),
        "fovea": (0.5 * side, 0.49 * side),
        "disc_mm": 1.8,
    }
    own = {"names": "vessel", "field_of_view": view}

    def of_vessels(**how: object) -> Callable[[], object]:
        return lambda: ld.measure(vessels, **own, **how)  # type: ignore[arg-type]

    works: list[tuple[str, Callable[[], object], float | None]] = [
        ("regions: 400 discs", lambda: ld.measure(discs, "any"), REGIONS),
        ("vessels, by the mask", of_vessels(), VESSELS),
        ("vessels, by the probability", of_vessels(probability=probability), VESSELS),
        ("vessels, the field alone", of_vessels(pieces=False), VESSELS),
        ("vessels, all regions", of_vessels(pieces=False, **marks), None),
    ]
    return table(
        "what | seconds by the clock | processor's seconds | claim | holds",
        [_row(name, work, limit) for name, work, limit in works],
    )


def _row(name: str, work: Callable[[], object], limit: float | None) -> Row:
    work()
    clock, processor = [], []
    for _ in range(machine.RUNS):
        start, busy = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    seconds = statistics.median(clock)
    claim = f"≤ {limit} s" if limit else "–"
    holds = verdict(seconds, limit) if limit else "–"
    busy = statistics.median(processor)
    return name, f"{seconds:.2f}", f"{busy:.2f}", claim, holds
