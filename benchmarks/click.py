"""Claim: a click costs about one pass over the embedding.

At most 1.5 times the pass on the working grid, less than 12 ms on the image's grid,
and ten prompts less than twice as much as one.
Every click is at another point, so that nothing is remembered of it.
"""

from __future__ import annotations

import itertools

import numpy as np

import napari_localdisc as ld

from .machine import Row, interleaved, retina, table, verdict

NEEDS_DATA = False


def run() -> str:
    """Measure clicks against one sum over the whole embedding."""
    embedding = ld.embed(retina(), ld.load_model("fundus"))
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(embedding.field_of_view)
    chosen = rng.choice(len(rows), 4000, replace=False)
    points = itertools.cycle(np.stack([rows, columns], 1)[chosen].tolist())

    def take(count: int) -> list[list[int]]:
        return [next(points) for _ in range(count)]

    nine = take(9)
    apart = ld.embed(retina(), ld.load_model("fundus"))  # remembers what it was asked
    apart.similarity_on_grid(nine)
    works = {
        "pass": lambda: float(embedding.matrix.sum()),
        "click": lambda: embedding.similarity_on_grid(take(1)),
        "tenth": lambda: apart.similarity_on_grid([*nine, *take(1)]),
        "ten": lambda: embedding.similarity_on_grid(take(10)),
        "image": lambda: embedding.similarity(take(1)),
        "image ten": lambda: embedding.similarity(take(10)),
    }
    seconds = interleaved(works, least=21)
    once, click, image = seconds["pass"], seconds["click"], seconds["image"]

    def row(name: str, key: str, claim: str, value: float, limit: float) -> Row:
        times = seconds[key]
        held = verdict(value, limit)
        return name, f"{1000 * times:.1f}", f"{times / once:.2f}", claim, held

    within, twice = "≤ 1.5 passes", "< 2× one click"
    tenth, ten = seconds["tenth"] / click, seconds["ten"] / click
    on_image = seconds["image ten"] / image
    return table(
        "what | ms | passes over the embedding | claim | holds",
        [
            ("one pass: the sum of all numbers", f"{1000 * once:.1f}", 1, "–", "–"),
            row("click, working grid", "click", within, click / once, 1.5),
            row("tenth prompt beside nine", "tenth", twice, tenth, 2),
            row("ten new prompts at once, working grid", "ten", twice, ten, 2),
            row("click, image's grid", "image", "< 12 ms", image, 0.012),
            row("ten new prompts, image's grid", "image ten", twice, on_image, 2),
        ],
    )
