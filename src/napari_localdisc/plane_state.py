"""What was done on one plane of an image: prompts, and the layers that show results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .derived import DerivedLabels, DerivedMap

Point = tuple[float, float]


@dataclass(frozen=True)
class Prompt:
    """A point (row, column) of an image that is, or is not, like what is looked for."""

    row: float
    column: float
    positive: bool = True

    @property
    def point(self) -> Point:
        """(row, column)."""
        return self.row, self.column


def split(prompts: Sequence[Prompt]) -> tuple[list[Point], list[Point]]:
    """Separate the points of positive and of negative prompts."""
    positive = [prompt.point for prompt in prompts if prompt.positive]
    negative = [prompt.point for prompt in prompts if not prompt.positive]
    return positive, negative


def within(prompts: Sequence[Prompt], mask: NDArray[np.bool_]) -> list[Prompt]:
    """Keep the prompts that lie on true pixels of an (H, W) mask."""
    return [
        prompt
        for prompt in prompts
        if mask[int(np.rint(prompt.row)), int(np.rint(prompt.column))]
    ]


@dataclass
class PlaneState:
    """What was done on one plane."""

    prompts: list[Prompt] = field(default_factory=list)
    shown: list[Prompt] = field(default_factory=list)
    """The prompts that the similarity map shows."""
    clusters: DerivedLabels | None = None
    similarity: DerivedMap | None = None
    structures: dict[str, DerivedMap] = field(default_factory=dict)
    masks: dict[str, DerivedLabels] = field(default_factory=dict)
