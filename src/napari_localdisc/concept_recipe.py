"""Concepts in folders of images: a recipe for `batch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .core.colours import from_hex
from .core.naming import plain_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .core.concepts import Concept
    from .core.models import Model
    from .recipes import LabelClass, Progress


@dataclass(frozen=True)
class ConceptRecipe:
    """Find a concept.

    Attributes
    ----------
    concept : Concept
        What to find.
    flips : {1, 2, 4}
        Mirrored copies that are averaged.
    """

    concept: Concept
    flips: int = 1

    @property
    def endings(self) -> tuple[str, ...]:
        """One labels file."""
        return (f"_{plain_name(self.concept.name)}.tif",)

    @property
    def settings(self) -> dict[str, Any]:
        """What tells the concept from others."""
        return {
            "made": "concept",
            "concept": self.concept.name,
            "concept_hash": self.concept.hash,
            "flips": self.flips,
        }

    def check(self, model: Model) -> None:
        """Raise where the concept was learned with another model."""
        self.concept.check(model.card.name, model.hash)

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return (H, W) labels, 0 where the concept is not."""
        from .core.embedding import embed

        embedding = embed(image, model, flips=self.flips, progress=progress)
        return (self.concept.labels(embedding),)

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Return names and colours of the concept's classes."""
        return {
            entry.value: (entry.name, (*from_hex(entry.colour), 1.0))
            for entry in self.concept.classes
            if not entry.background
        }
