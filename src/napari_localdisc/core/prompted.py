"""Pixels with vectors and known structures, asked for what a few points mean."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from . import prompt_meaning as meanings
from . import prompt_readout as readout
from . import similarity as similar
from .nearness import RememberedNearness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from .grid import FloatImage, Mask, WorkingGrid


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
        checked = similar.check_points(points, self.field_of_view)
        return self._vectors(self.grid.points_to_working(checked))

    def _vectors(self, on_grid: NDArray[np.float64]) -> FloatImage:
        """(k, D) vectors at (k, 2) points of the working grid."""
        return similar.sample_vectors(self.matrix, self.grid.shape, on_grid)

    def _likeness(self, positive: ArrayLike, negative: ArrayLike) -> similar.Likeness:
        likes, dislikes = (
            similar.as_rows(vectors, len(self.matrix))
            for vectors in (positive, negative)
        )
        if len(likes) == 0:
            similar.require_positive(())
        every = self._nearness(np.concatenate([likes, dislikes]))
        return similar.Likeness(every[: len(likes)], every[len(likes) :])

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

    def _weigh(self, prompts: meanings.Prompts) -> NDArray[np.float64]:
        return meanings.weigh(list(self.presence.values()), self._extents, prompts)

    @cached_property
    def _extents(self) -> list[meanings.Extent]:
        """Where each named structure is seen."""
        return [
            meanings.Extent.of(values, self.inside) for values in self.presence.values()
        ]

    def _prompts(self, positive: ArrayLike, negative: ArrayLike) -> meanings.Prompts:
        similar.require_positive(positive)
        kinds = [
            similar.check_points(points, self.field_of_view)
            for points in (positive, negative)
        ]
        points = self.grid.points_to_working(np.concatenate(kinds))
        vectors = self._vectors(points)
        return meanings.Prompts.at(vectors, points, len(kinds[0]), self.grid.shape)

    def _mix(
        self,
        likeness: similar.Likeness | None,
        weights: NDArray[np.float64],
        prompts: meanings.Prompts | None = None,
    ) -> Tensor:
        cut = readout.CUT
        if likeness is not None and weights[-1] > 0:
            seen = likeness.at(self._few_inside).cpu().numpy()
            cut = similar.otsu_threshold(seen)
        maps = self._structures
        return readout.mix(likeness, cut, maps, weights, self.grid.shape, prompts)

    @cached_property
    def _structures(self) -> list[Tensor]:
        """(h·w,) presence of each named structure, to be cut at 0.5."""
        cut = meanings.STRUCTURE_CUT
        maps = (values.reshape(-1) for values in self.presence.values())
        return [readout.cut_at_half(values, cut) for values in maps]

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
