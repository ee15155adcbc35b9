"""What is made of each image of a folder: pure functions of image and model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_localdisc.core.colours import STRUCTURE_RGB, from_hex
from napari_localdisc.core.errors import FileError
from napari_localdisc.core.names import plain_name

if TYPE_CHECKING:
    from napari_localdisc.core.learning.concept import Concept
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.core.work import Steps

LabelClass = tuple[str, tuple[float, float, float, float]]
"""Name, "" if it has none, and RGBA in [0, 1]."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe(ABC):
    """What is made of each image; it can be sent to other machines.

    Attributes
    ----------
    flips : {1, 2, 4}
        Mirrored copies that are averaged.
    """

    flips: int = field(default=1, kw_only=True)

    @property
    @abstractmethod
    def endings(self) -> tuple[str, ...]:
        """What follows the image's name in the names of the files made of it."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the result depends on beside image and model; JSON."""

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise a LocalDiscError where the model cannot do it."""

    @abstractmethod
    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return one (H, W) array per ending."""

    @abstractmethod
    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Say what the labels are called and which colours they have."""

    def label_large(self, array: Any, model: Model, target: Any) -> Steps[None]:
        """Label an image that is not whole in memory, block by block."""
        raise FileError(
            "it is read block by block, and only clusters and structures are made so: "
            "save a smaller image."
        )


@dataclass(frozen=True)
class ClusterRecipe(Recipe):
    """Label each pixel with one of ``clusters`` structures: 1..n, 0 outside.

    Attributes
    ----------
    clusters : int
        2 to 16.
    detail : float
        Of images that are read block by block; see `paint_large`.
    """

    clusters: int = 8
    detail: float = field(default=1.0, kw_only=True)

    @property
    def endings(self) -> tuple[str, ...]:
        """One labels file."""
        return ("_clusters.tif",)

    @property
    def settings(self) -> dict[str, Any]:
        """Its own attributes."""
        return {
            "made": "clusters",
            "clusters": self.clusters,
            "flips": self.flips,
            "detail": self.detail,
        }

    def check(self, model: Model) -> None:
        """Raise where the model has fewer clusters."""
        from napari_localdisc.core.embedding.clusters import check_number

        check_number(self.clusters, model.card.clusters)

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return (H, W) uint8 labels."""
        from napari_localdisc.core.embedding.embed import map_clusters

        maps = map_clusters(image, model, flips=self.flips, progress=progress)
        return (maps.clusters(self.clusters),)

    def label_large(self, array: Any, model: Model, target: Any) -> Steps[None]:
        """Label an image block by block."""
        from napari_localdisc.core.embedding.large import ClusterPaint, paint_large

        paint = ClusterPaint.of(model, self.clusters)
        return paint_large(array, model, paint, target, self.detail)

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Return the colours that the clusters have in napari."""
        from napari_localdisc.core.embedding.clusters import cluster_colours

        rows = cluster_colours(model, self.clusters)[1:].tolist()
        return {label: ("", tuple(row)) for label, row in enumerate(rows, 1)}


@dataclass(frozen=True)
class StructureRecipe(Recipe):
    """Find a structure that the model's card names: a mask and its probability.

    Attributes
    ----------
    structure : str
        Its name.
    threshold : float
        Probability from which a pixel belongs to the mask.
    """

    structure: str
    threshold: float = 0.5

    @property
    def endings(self) -> tuple[str, ...]:
        """A mask and a probability file."""
        name = plain_name(self.structure)
        return (f"_{name}.tif", f"_{name}_probability.tif")

    @property
    def settings(self) -> dict[str, Any]:
        """Its own attributes."""
        return {
            "made": "structure",
            "structure": self.structure,
            "threshold": self.threshold,
            "flips": self.flips,
        }

    def check(self, model: Model) -> None:
        """Raise where the model does not name the structure."""
        from napari_localdisc.core.embedding.clusters import structure_channel

        structure_channel(model.card, self.structure)

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return the (H, W) bool mask and the (H, W) float32 probability."""
        from napari_localdisc.core.embedding.embed import map_clusters

        maps = map_clusters(image, model, flips=self.flips, progress=progress)
        probability = maps.structure(self.structure)
        return probability >= self.threshold, probability

    def label_large(self, array: Any, model: Model, target: Any) -> Steps[None]:
        """Make an image's mask block by block."""
        from napari_localdisc.core.embedding.large import StructurePaint, paint_large

        paint = StructurePaint.of(model, self.structure, self.threshold)
        return paint_large(array, model, paint, target)

    def classes(self, model: Model) -> dict[int, LabelClass]:
        """Return the structure's name; it is label 1."""
        return {1: (self.structure, (*STRUCTURE_RGB, 1.0))}


@dataclass(frozen=True)
class ConceptRecipe(Recipe):
    """Find a concept: labels of its classes, 0 where it is not."""

    concept: Concept

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
        """Return (H, W) labels."""
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
