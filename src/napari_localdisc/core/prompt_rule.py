"""Prompts as a rule: what is similar to some vectors and not to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from . import masks
from .prompt_readout import CUT
from .similarity import automatic_threshold

if TYPE_CHECKING:
    from .images import FloatImage, Mask
    from .pixel_embedding import Embedding


@dataclass(frozen=True, eq=False)
class PromptRule:
    """Similar to some vectors and not to others.

    Attributes
    ----------
    positive, negative : ndarray
        (k, D) float32 unit vectors; at least one positive.
    threshold : float or None
        Similarity from which a pixel belongs to the mask; None: Otsu's, on each image,
        or 0.5 where the model's card names structures.
    smooth : bool
        Round the outline, as `Embedding.mask` does.
    minimum_area : float
        Pixels *of the working grid* below which a piece is left out, so that it means
        the same in images of any size.
    meaning : mapping of str to float
        Weights of named structures, from `Embedding.meaning`.
    """

    positive: FloatImage
    negative: FloatImage
    threshold: float | None = None
    smooth: bool = False
    minimum_area: float = 0.0
    meaning: Mapping[str, float] = field(default_factory=dict)

    def mask(self, embedding: Embedding) -> Mask:
        """Return (H, W) bool."""
        on_grid = embedding.similarity_to(self.positive, self.negative, self.meaning)
        threshold = self.threshold
        if threshold is None and embedding.presence:
            threshold = CUT
        elif threshold is None:
            nothing = np.zeros(0, np.float32)
            seen = on_grid[embedding.inside]
            threshold = automatic_threshold(seen, nothing, nothing)
        mask = (embedding.to_image(on_grid) >= threshold) & embedding.field_of_view
        scale = np.asarray(embedding.grid.scale)
        smallest = round(self.minimum_area / float(np.prod(scale)))
        sigma = tuple(masks.SMOOTHING / scale) if self.smooth else None
        refined = masks.refine(mask, (), False, sigma, smallest)
        return refined & embedding.field_of_view
