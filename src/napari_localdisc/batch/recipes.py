"""What is made of each image of a folder: pure functions of image and model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from napari_localdisc.core.colours import STRUCTURE_RGB, from_hex
from napari_localdisc.core.names import plain_name

if TYPE_CHECKING:
    from napari_localdisc.core.learning.concept import Concept
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.core.work import Steps

LabelClass = tuple[str, tuple[float, float, float, float]]
"""Name, "" if it has none, and RGBA in [0, 1]."""

Progress = Callable[[int, int], None]


class Recipe(Protocol):
    """What is made of each image."""

    @property
    def endings(self) -> tuple[str, ...]:
        """What follows the image's name in the names of the files made of it."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on beside image and model; JSON."""
        ...

    def check(self, model: Model) -> None:
        """Raise a LocalDiscError where the model cannot do it."""
        ...

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return one (H, W) array per ending."""
        ...

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Say what the labels are called and which colours they have."""
        ...


@dataclass(frozen=True)
class ClusterRecipe:
    """Label each pixel with one of ``clusters`` structures.

    Attributes
    ----------
    clusters : int
        2 to 16.
    flips : {1, 2, 4}
        Mirrored copies that are averaged.
    detail : float
        Of images that are read block by block; see `cluster_large`.
    """

    clusters: int = 8
    flips: int = 1
    detail: float = 1.0

    @property
    def endings(self) -> tuple[str, ...]:
        """One labels file."""
        return ("_clusters.tif",)

    @property
    def settings(self) -> dict[str, Any]:
        """Its own attributes."""
        return {"made": "clusters", **asdict(self)}

    def check(self, model: Model) -> None:
        """Raise where the model has fewer clusters."""
        from napari_localdisc.core.embedding.clusters import check_number

        check_number(self.clusters, model.card.clusters)

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return (H, W) uint8 labels, 1..n inside the field of view, 0 outside."""
        from napari_localdisc.core.embedding.embed import map_clusters

        maps = map_clusters(image, model, flips=self.flips, progress=progress)
        return (maps.clusters(self.clusters),)

    def label_large(self, array: Any, model: Model, target: Any) -> Steps[None]:
        """Label an image that is not whole in memory, block by block."""
        from napari_localdisc.core.embedding.large import ClusterPaint, paint_large

        paint = ClusterPaint.of(model, self.clusters)
        return paint_large(array, model, paint, target, self.detail)

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Return the colours that the clusters have in napari."""
        from napari_localdisc.core.embedding.clusters import cluster_colours

        rows = cluster_colours(model, self.clusters)[1:].tolist()
        return {label: ("", tuple(row)) for label, row in enumerate(rows, 1)}


@dataclass(frozen=True)
class StructureRecipe:
    """Find a structure that the model's card names.

    Attributes
    ----------
    structure : str
        Its name.
    threshold : float
        Probability from which a pixel belongs to the mask.
    flips : {1, 2, 4}
        Mirrored copies that are averaged.
    """

    structure: str
    threshold: float = 0.5
    flips: int = 1

    @property
    def endings(self) -> tuple[str, ...]:
        """A mask and a probability file."""
        name = plain_name(self.structure)
        return (f"_{name}.tif", f"_{name}_probability.tif")

    @property
    def settings(self) -> dict[str, Any]:
        """Its own attributes."""
        return {"made": "structure", **asdict(self)}

    def check(self, model: Model) -> None:
        """Raise where the model does not name the structure."""
        from napari_localdisc.core.embedding.clusters import (
            structure_channel as channel,
        )

        channel(model.card, self.structure)

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return the (H, W) bool mask and the (H, W) float32 probability."""
        from napari_localdisc.core.embedding.embed import map_clusters

        maps = map_clusters(image, model, flips=self.flips, progress=progress)
        probability = maps.structure(self.structure)
        return probability >= self.threshold, probability

    def label_large(self, array: Any, model: Model, target: Any) -> Steps[None]:
        """Make the mask of an image that is not whole in memory, block by block."""
        from napari_localdisc.core.embedding.large import StructurePaint, paint_large

        paint = StructurePaint.of(model, self.structure, self.threshold)
        return paint_large(array, model, paint, target)

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Return the structure's name; it is label 1."""
        return {1: (self.structure, (*STRUCTURE_RGB, 1.0))}


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
        from napari_localdisc.core.embedding.embed import embed

        embedding = embed(image, model, flips=self.flips, progress=progress)
        return (self.concept.labels(embedding),)

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Return names and colours of the concept's classes."""
        return {
            entry.value: (entry.name, (*from_hex(entry.colour), 1.0))
            for entry in self.concept.classes
            if not entry.background
        }
