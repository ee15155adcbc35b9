"""What is made of each image of a folder: pure functions of image and model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from numpy.typing import ArrayLike, NDArray

from napari_localdisc.core.colours import from_hex
from napari_localdisc.core.embedding.tuning import StructureOptions
from napari_localdisc.core.errors import FileError
from napari_localdisc.core.names import plain_name
from napari_localdisc.core.work import Steps

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.clusters import ClusterMaps
    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.learning.concept import Concept
    from napari_localdisc.core.model.card import ModelCard
    from napari_localdisc.core.model.model import Model

Progress = Callable[[int, int], None]


def look(
    image: NDArray[Any],
    model: Model,
    embeds: bool,
    progress: Progress | None = None,
    **how: Any,
) -> ClusterMaps:
    """Let a model see an image: clusters and structures, or the whole embedding."""
    from napari_localdisc.core.embedding.embed import embed, map_clusters

    see = embed if embeds else map_clusters
    return see(image, model, **how, progress=progress)


@dataclass(frozen=True)
class Recipe(ABC):
    """What is made of each image; it can be sent to other machines.

    Attributes
    ----------
    flips : {1, 2, 4}
        Mirrored copies that are averaged.
    magnification : float, optional
        As of `Inference`.
    """

    made: ClassVar[str]
    """What it makes, as files say it."""

    embeds: ClassVar[bool] = False
    """Whether it needs the embedding, and not clusters and structures alone."""

    flips: int = field(default=1, kw_only=True)
    magnification: float | None = field(default=None, kw_only=True)

    @property
    def how(self) -> dict[str, Any]:
        """How the network sees images."""
        return {"flips": self.flips, "magnification": self.magnification}

    def by_scale(self, image: ArrayLike, card: ModelCard, side: float | None) -> Self:
        """Return it with the magnification that pixels of ``side`` mm tell.

        A magnification that is given stays.
        """
        if self.magnification is not None:
            return self
        from napari_localdisc.core.embedding.magnification import magnification_by_scale

        told = magnification_by_scale(image, card, side)
        return replace(self, magnification=told)

    @property
    @abstractmethod
    def endings(self) -> tuple[str, ...]:
        """What follows the image's name in the names of the files made of it."""

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on beside image and model; JSON."""
        return {"made": self.made, **asdict(self)}

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise a LocalDiscError where the model cannot do it."""

    def make(
        self, image: NDArray[Any], model: Model, progress: Progress | None = None
    ) -> tuple[NDArray[Any], ...]:
        """Return one (H, W) array per ending."""
        return self.read(look(image, model, self.embeds, progress, **self.how))

    @abstractmethod
    def read(self, seen: Any) -> tuple[NDArray[Any], ...]:
        """Return the same of what the model has seen; see `look`."""

    @abstractmethod
    def looks(self, model: Model) -> dict[str, Any]:
        """Return ``names`` and ``colours`` of the labels, as `LabelMap` takes them."""

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

    made = "clusters"

    clusters: int = 8
    detail: float = field(default=1.0, kw_only=True)

    @property
    def endings(self) -> tuple[str, ...]:
        """One labels file."""
        return ("_clusters.tif",)

    def check(self, model: Model) -> None:
        """Raise where the model has fewer clusters."""
        from napari_localdisc.core.embedding.clusters import check_number

        check_number(self.clusters, model.card.clusters)

    def read(self, seen: ClusterMaps) -> tuple[NDArray[Any], ...]:
        """Return (H, W) uint8 labels."""
        return (seen.clusters(self.clusters),)

    def label_large(self, array: Any, model: Model, target: Any) -> Steps[None]:
        """Label an image block by block."""
        from napari_localdisc.core.embedding.large import ClusterPaint, paint_large

        paint = ClusterPaint.of(model, self.clusters)
        return paint_large(array, model, paint, target, self.detail)

    def looks(self, model: Model) -> dict[str, Any]:
        """Return the names and colours that the clusters have in napari."""
        from napari_localdisc.core.embedding.clusters import cluster_colours
        from napari_localdisc.core.embedding.named import cluster_names

        rows = cluster_colours(model, self.clusters)[1:].tolist()
        return {
            "names": cluster_names(model.card, self.clusters),
            "colours": dict(enumerate(map(tuple, rows), 1)),
        }


@dataclass(frozen=True)
class StructureRecipe(Recipe):
    """Find a structure that the model's card names: a mask and its probability.

    Attributes
    ----------
    structure : str
        Its name.
    threshold : float
        Probability from which a pixel belongs to the mask.
    bridge_gaps, fill_holes, minimum_size, largest_only
        What is done to the mask, see `StructureOptions`.
    """

    made = "structure"

    structure: str
    threshold: float = 0.5
    bridge_gaps: int = 0
    fill_holes: bool = False
    minimum_size: int = 0
    largest_only: bool = False

    @property
    def options(self) -> StructureOptions:
        """How the probability becomes a mask."""
        return StructureOptions(
            self.threshold,
            self.bridge_gaps,
            self.fill_holes,
            self.minimum_size,
            self.largest_only,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the result depends on, as files of earlier versions say it."""
        usual = vars(StructureOptions()).keys() - {"threshold"}
        kept = {k: v for k, v in super().settings.items() if k not in usual}
        return {**kept, **self.options.given}

    @property
    def endings(self) -> tuple[str, ...]:
        """A mask and a probability file."""
        name = plain_name(self.structure)
        return (f"_{name}.tif", f"_{name}_probability.tif")

    def check(self, model: Model) -> None:
        """Raise where the model does not name it, or options are impossible."""
        from napari_localdisc.core.embedding.clusters import check_structure

        self.options.check()
        check_structure(model.card, self.structure)

    def read(self, seen: ClusterMaps) -> tuple[NDArray[Any], ...]:
        """Return the (H, W) bool mask and the (H, W) float32 probability."""
        probability = seen.structure(self.structure)
        return seen.tuned(probability, self.options), probability

    def label_large(self, array: Any, model: Model, target: Any) -> Steps[None]:
        """Make an image's mask block by block, which sees no pieces."""
        if self.options.given.keys() - {"threshold"}:
            raise FileError(
                "it is read block by block, where pieces, holes and gaps are not "
                "known: leave these options out, or save a smaller image."
            )
        from napari_localdisc.core.embedding.large import StructurePaint, paint_large

        paint = StructurePaint.of(model, self.structure, self.threshold)
        return paint_large(array, model, paint, target)

    def looks(self, model: Model) -> dict[str, Any]:
        """Return the structure's name; it is label 1."""
        from napari_localdisc.core.embedding.named import card_colours

        rgb = from_hex(card_colours(model.card)[self.structure])
        return {"names": {1: self.structure}, "colours": {1: (*rgb, 1.0)}}


@dataclass(frozen=True)
class ConceptRecipe(Recipe):
    """Find a concept: labels of its classes, 0 where it is not."""

    made = "concept"
    embeds = True

    concept: Concept

    @property
    def endings(self) -> tuple[str, ...]:
        """One labels file."""
        return (f"_{plain_name(self.concept.name)}.tif",)

    @property
    def settings(self) -> dict[str, Any]:
        """What tells the concept from others."""
        return {
            "made": self.made,
            "concept": self.concept.name,
            "concept_hash": self.concept.hash,
            **self.how,
        }

    def check(self, model: Model) -> None:
        """Raise where the concept was learned with another model."""
        self.concept.check(model.card.name, model.hash)

    def read(self, seen: Embedding) -> tuple[NDArray[Any], ...]:
        """Return (H, W) labels."""
        return (self.concept.labels(seen),)

    def looks(self, model: Model) -> dict[str, Any]:
        """Return names and colours of the concept's classes."""
        shown = [entry for entry in self.concept.classes if not entry.background]
        return {
            "names": {entry.value: entry.name for entry in shown if entry.name},
            "colours": {e.value: (*from_hex(e.colour), 1.0) for e in shown},
        }
