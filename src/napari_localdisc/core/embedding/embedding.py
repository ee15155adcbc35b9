"""The embedding of an image: what every later step of the work asks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_localdisc.core.image.appearance import picture_features
from napari_localdisc.core.model.network import region_embedding

from . import clusters, correction, masks, meaning, similarity
from .clusters import ClusterMaps
from .correction import CUT
from .similarity import RememberedNearness

if TYPE_CHECKING:
    from napari_localdisc.core.image.grid import FloatImage, Mask, WorkingGrid
    from napari_localdisc.core.model.model import ModelCard


class PromptedPixels:
    """What `Embedding` needs to answer prompts on the working grid.

    Parameters
    ----------
    matrix : Tensor
        (D, h·w) float32 unit vectors.
    field_of_view : ndarray
        (H, W) bool, on the image's grid.
    grid : WorkingGrid
        Between the image's pixels and the working grid.
    presence : mapping of str to Tensor
        (h, w) float32 in [0, 1] of each named structure.
    """

    def __init__(
        self,
        matrix: Tensor,
        field_of_view: Mask,
        grid: WorkingGrid,
        presence: Mapping[str, Tensor],
    ) -> None:
        self.matrix = matrix
        self.field_of_view = field_of_view
        self.grid = grid
        self.presence = dict(presence)

    @cached_property
    def inside(self) -> Mask:
        """(h, w) bool: the field of view on the working grid."""
        return self.grid.to_working(self.field_of_view) >= 0.5

    def vectors_at(self, points: ArrayLike) -> FloatImage:
        """Return the unit vectors at points of the image.

        Parameters
        ----------
        points : array_like
            (k, 2) (row, column) in the image's pixels, inside the field of view;
            between pixels of the working grid vectors are interpolated.

        Returns
        -------
        ndarray
            (k, D) float32 unit vectors.

        Raises
        ------
        PromptError
            If a point lies outside the image or its field of view.
        """
        checked = similarity.check_points(points, self.field_of_view)
        return self._vectors(self.grid.points_to_working(checked))

    def _vectors(self, on_grid: NDArray[np.float64]) -> FloatImage:
        """(k, D) vectors at (k, 2) points of the working grid."""
        return similarity.sample_vectors(self.matrix, self.grid.shape, on_grid)

    def _likeness(
        self, positive: ArrayLike, negative: ArrayLike
    ) -> similarity.Likeness:
        likes, dislikes = (
            similarity.as_rows(vectors, len(self.matrix))
            for vectors in (positive, negative)
        )
        if len(likes) == 0:
            similarity.require_positive(())
        every = self._nearness(np.concatenate([likes, dislikes]))
        return similarity.Likeness(every[: len(likes)], every[len(likes) :])

    @cached_property
    def _nearness(self) -> RememberedNearness:
        return RememberedNearness(self.matrix)

    @property
    def _means_more(self) -> bool:
        """Whether prompts are read as `prompt_meaning` says, not as likeness alone."""
        return bool(self.presence)

    def _prompted(self, positive: ArrayLike, negative: ArrayLike) -> Tensor:
        prompts = self._prompts(positive, negative)
        vectors = np.split(prompts.vectors, [prompts.positives])
        if not self._means_more:
            return self._likeness(*vectors).at().clamp(0, 1).view(self.grid.shape)
        weights = self._weigh(prompts)
        # For nothing but a structure's map a pass over memory would be in vain
        several = len(prompts.pixels) > 1
        likeness = self._likeness(*vectors) if several or weights[-1] > 0 else None
        return self._mix(likeness, weights, prompts)

    def _weigh(self, prompts: meaning.Prompts) -> NDArray[np.float64]:
        return meaning.weigh(list(self.presence.values()), self._extents, prompts)

    @cached_property
    def _extents(self) -> list[meaning.Extent]:
        """Where each named structure is seen."""
        return [
            meaning.Extent.of(values, self.inside) for values in self.presence.values()
        ]

    def _prompts(self, positive: ArrayLike, negative: ArrayLike) -> meaning.Prompts:
        similarity.require_positive(positive)
        kinds = [
            similarity.check_points(points, self.field_of_view)
            for points in (positive, negative)
        ]
        points = self.grid.points_to_working(np.concatenate(kinds))
        vectors = self._vectors(points)
        return meaning.Prompts.at(vectors, points, len(kinds[0]), self.grid.shape)

    def _mix(
        self,
        likeness: similarity.Likeness | None,
        weights: NDArray[np.float64],
        prompts: meaning.Prompts | None = None,
    ) -> Tensor:
        cut = correction.CUT
        if likeness is not None and weights[-1] > 0:
            seen = likeness.at(self._few_inside).cpu().numpy()
            cut = similarity.otsu_threshold(seen)
        maps = self._structures
        return correction.mix(likeness, cut, maps, weights, self.grid.shape, prompts)

    @cached_property
    def _structures(self) -> list[Tensor]:
        """(h·w,) presence of each named structure, to be cut at 0.5."""
        cut = meaning.STRUCTURE_CUT
        maps = (values.reshape(-1) for values in self.presence.values())
        return [correction.cut_at_half(values, cut) for values in maps]

    @cached_property
    def _few_inside(self) -> Tensor:
        """Pixels of the working grid within the field of view, some ten thousand."""
        step = max(1, min(self.grid.shape) // 110)
        few = np.zeros(self.grid.shape, bool)
        few[::step, ::step] = self.inside[::step, ::step]
        return torch.from_numpy(np.flatnonzero(few)).to(self.matrix.device)

    def meaning(
        self, positive: ArrayLike, negative: ArrayLike = ()
    ) -> dict[str, float]:
        """Say what points most likely mean: a named structure, or pixels like these.

        Parameters
        ----------
        positive, negative : array_like
            As for `similarity`.

        Returns
        -------
        dict
            Structure → weight, those above 0; what is missing to 1 is the weight of
            likeness to the points.
        """
        prompts = self._prompts(positive, negative)
        weights = self._weigh(prompts)
        named = zip(self.presence, weights.tolist(), strict=False)
        return {name: weight for name, weight in named if weight > 0}


class Embedding(PromptedPixels):
    """One unit vector and M cluster probabilities per pixel of the working grid.

    Made by `embed`; everything that a hand does afterwards is a method of it.

    Parameters
    ----------
    matrix : Tensor
        (D, h·w) float32 unit vectors, one column a pixel, C-contiguous: a prompt then
        costs one pass over memory.  May be on a GPU.
    probability : Tensor
        (M, h, w) float32, summing to 1 over M; same device.
    field_of_view : ndarray
        (H, W) bool, on the image's grid.
    grid : WorkingGrid
        Between the image's pixels and the working grid.
    card : ModelCard
        The model's card.
    centres : ndarray
        (M, D) float32 unit vectors: the model's clusters.
    model_hash : str
        Of the model's weights.
    presence : dict of str to Tensor, optional
        (h, w) float32 for each structure that the card names: the sigmoid of its
        channel in the clustering branch, before the normalisation over clusters.
    colour : Tensor, optional
        (3, h, w) float16 RGB in [0, 1], 0 outside the field of view: the picture on
        the working grid, for `learn`; same device.
    """

    def __init__(
        self,
        matrix: Tensor,
        probability: Tensor,
        field_of_view: Mask,
        grid: WorkingGrid,
        card: ModelCard,
        centres: FloatImage,
        model_hash: str,
        presence: Mapping[str, Tensor] | None = None,
        colour: Tensor | None = None,
    ) -> None:
        super().__init__(matrix, field_of_view, grid, presence or {})
        self.cluster_probability = probability
        self.card = card
        self.centres = centres
        self.model_hash = model_hash
        self._maps = ClusterMaps(
            probability, field_of_view, grid, card, centres, self.presence
        )
        self.colour = colour

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self.grid.image_shape

    @property
    def nbytes(self) -> int:
        """Bytes it takes now, with what was made once it was asked for."""
        made = vars(self)
        tensors = [
            self.matrix,
            self.cluster_probability,
            *self.presence.values(),
            *made.get("_structures", ()),
        ]
        tensors += [t for t in (self.colour, made.get("appearance")) if t is not None]
        remembered = made["_nearness"].nbytes if "_nearness" in made else 0
        return int(remembered + sum(t.nbytes for t in tensors))

    @property
    def vectors(self) -> FloatImage:
        """(h, w, D) float32 unit vectors on the working grid: a view, channel last."""
        planes = self.matrix.view(-1, *self.grid.shape)
        return np.asarray(planes.permute(1, 2, 0).cpu().numpy())

    @property
    def probability(self) -> FloatImage:
        """(M, h, w) float32 cluster probabilities on the working grid."""
        return np.asarray(self.cluster_probability.cpu().numpy())

    @cached_property
    def appearance(self) -> Tensor | None:
        """`picture_features` as float16, made once asked for; None: no picture."""
        if self.colour is None:
            return None
        inside = torch.from_numpy(self.inside).to(self.matrix)
        return picture_features(self.colour, inside).half()

    @property
    def _visible(self) -> Tensor:
        return self._maps.visible

    def clusters(self, n: int) -> NDArray[np.uint8]:
        """Label every pixel with one of ``n`` clusters.

        The model's clusters are merged by the cosine of their region embeddings
        (average linkage), so labels mean the same in every image of a model, and
        label k keeps its meaning and colour when ``n`` grows or shrinks.

        Parameters
        ----------
        n : int
            2 to 16 (or the model's number of clusters, if that is less).

        Returns
        -------
        ndarray
            (H, W) uint8: 1..n inside the field of view, 0 outside.

        Raises
        ------
        LocalDiscError
            If ``n`` is out of range.
        """
        return self._maps.clusters(n)

    def region_vectors(self) -> FloatImage:
        """(M, D) float32 unit vectors: this image's own region embeddings.

        The mean of probability × embedding over the field of view, normalised
        (IPMI 2021, section 2.2).
        """
        weight = torch.from_numpy(self.inside)[None, None].to(self.matrix)
        vectors = self.matrix.view(1, -1, *self.grid.shape)
        region = region_embedding(vectors, self.cluster_probability[None], weight)
        return np.asarray(region[0].cpu().numpy())

    def structure(
        self,
        name: str,
        readout: Literal["presence", "probability", "embedding"] = "presence",
        centres: Literal["model", "image"] = "model",
    ) -> FloatImage:
        """How likely each pixel belongs to a structure that the model's card names.

        Parameters
        ----------
        name : str
            One of ``embedding.card.structures``.
        readout : {"presence", "probability", "embedding"}
            ``"presence"``: the sigmoid of the structure's channel in the clustering
            branch, so that a vessel may lie on an optic disc.  The paper's two (IPMI
            2021, section 2.3): ``"probability"``, the same normalised over the
            clusters, and ``"embedding"``, the softmax over cosines / 0.2 between each
            pixel's vector and the region embeddings.
        centres : {"model", "image"}
            Whose region embeddings the second read-out uses.

        Returns
        -------
        ndarray
            (H, W) float32 in [0, 1]; 0 outside the field of view and, in images with
            a round field of view, in its outermost 6/540 of the diameter.

        Raises
        ------
        ModelError
            If the card does not name the structure.
        """
        if readout in ("presence", "probability"):
            return self._maps.structure(name, readout)
        channel = clusters.structure_channel(self.card, name)
        regions = self.centres if centres == "model" else self.region_vectors()
        values = clusters.nearest_region(self.matrix, regions, channel)
        return self._on_image(values.view(self.grid.shape), self._maps.interior)

    def similarity_on_grid(
        self, positive: ArrayLike, negative: ArrayLike = ()
    ) -> FloatImage:
        """Like `similarity`, but (h, w) on the working grid: one pass over memory."""
        return np.asarray(self._prompted(positive, negative).cpu().numpy())

    def similarity_to(
        self,
        positive: ArrayLike,
        negative: ArrayLike = (),
        meaning: Mapping[str, float] | None = None,
    ) -> FloatImage:
        """Similarity to given vectors, for instance those of another image's prompts.

        Parameters
        ----------
        positive, negative : array_like
            (k, D) unit vectors of the same model; at least one positive.
        meaning : mapping of str to float, optional
            What `meaning` said of the prompts there; empty if they meant no structure.
            Without it likeness to the vectors is all there is, see `Likeness`.

        Returns
        -------
        ndarray
            (h, w) float32 in [0, 1], on the working grid.
        """
        likeness = self._likeness(positive, negative)
        if meaning is not None and self._means_more:
            named = [meaning.get(name, 0.0) for name in self.presence]
            values = self._mix(likeness, np.array([*named, 1 - sum(named)]))
        else:
            values = likeness.at().clamp(0, 1).view(self.grid.shape)
        return np.asarray(values.cpu().numpy())

    def similarity(self, positive: ArrayLike, negative: ArrayLike = ()) -> FloatImage:
        """How similar each pixel is to the positive and not to the negative points.

        Parameters
        ----------
        positive, negative : array_like
            (k, 2) points (row, column) in the image's pixels; at least one positive.

        Returns
        -------
        ndarray
            (H, W) float32 in [0, 1], 0 outside the field of view.  See
            `Likeness` for the formula, and `prompt_meaning` for what is added
            where the model's card names structures: the points may mean one of them,
            see `meaning`, and every point corrects the map around itself.

        Raises
        ------
        PromptError
            If there is no positive point, or a point lies outside the image or its
            field of view.
        """
        on_grid = self._prompted(positive, negative)
        return self._on_image(on_grid, self._visible)

    def to_image(self, on_grid: FloatImage) -> FloatImage:
        """Bring an (h, w) map in [0, 1] from the working grid to the image's pixels.

        Returns
        -------
        ndarray
            (H, W) float32, 0 outside the field of view.
        """
        values = torch.from_numpy(np.ascontiguousarray(on_grid)).to(self.matrix)
        return self._on_image(values, self._visible)

    def _on_image(self, on_grid: Tensor, inside: Tensor) -> FloatImage:
        return self._maps.on_image(on_grid, inside)

    def automatic_threshold(
        self, positive: ArrayLike, negative: ArrayLike = ()
    ) -> float:
        """Return the similarity that `mask` cuts at by itself.

        0.5 where the model's card names structures, else Otsu's threshold of the
        similarity within the field of view; moved as little as needed for every
        positive point to be in the mask and every negative one out.
        """
        on_grid = self._prompted(positive, negative)
        values = self._on_image(on_grid, self._visible)
        return self._threshold(on_grid, values, positive, negative)

    def _threshold(
        self,
        on_grid: Tensor,
        values: FloatImage,
        positive: ArrayLike,
        negative: ArrayLike,
    ) -> float:
        wanted, unwanted = (
            similarity.values_at(values, points) for points in (positive, negative)
        )
        if self._means_more:
            return similarity.moved_threshold(CUT, wanted, unwanted)
        seen = on_grid[torch.from_numpy(self.inside).to(on_grid.device)]
        return similarity.automatic_threshold(seen.cpu().numpy(), wanted, unwanted)

    def mask(
        self,
        positive: ArrayLike,
        negative: ArrayLike = (),
        threshold: float | None = None,
        connected: bool = False,
        smooth: bool = False,
        minimum_size: int = 0,
    ) -> Mask:
        """Segment what is similar to the positive and not to the negative points.

        Parameters
        ----------
        positive, negative : array_like
            (k, 2) points (row, column) in the image's pixels; at least one positive.
        threshold : float, optional
            Similarity from which a pixel belongs to the mask; by default
            `automatic_threshold`.
        connected : bool
            Keep only what is connected to a positive point.
        smooth : bool
            Round the outline, over 0.75 pixels of the working grid.
        minimum_size : int
            Pixels of the image below which a connected piece is left out.

        Returns
        -------
        ndarray
            (H, W) bool.

        Raises
        ------
        PromptError
            As `similarity`.
        """
        on_grid = self._prompted(positive, negative)
        values = self._on_image(on_grid, self._visible)
        if threshold is None:
            threshold = self._threshold(on_grid, values, positive, negative)
        mask = (values >= threshold) & self.field_of_view
        sigma = (
            tuple(masks.SMOOTHING / side for side in self.grid.scale)
            if smooth
            else None
        )
        mask = masks.refine(mask, positive, connected, sigma, minimum_size)
        return mask & self.field_of_view if smooth else mask


def on_grid(embedding: Embedding, points: NDArray[np.intp]) -> NDArray[np.intp]:
    """Map (k, 2) pixels of the image to indices of the nearest working pixels."""
    shape = embedding.grid.shape
    nearest = np.rint(embedding.grid.points_to_working(points)).astype(np.intp)
    nearest = np.clip(nearest, 0, np.array(shape) - 1)
    return np.asarray(nearest[:, 0] * shape[1] + nearest[:, 1])
