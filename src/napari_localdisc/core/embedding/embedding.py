"""The embedding of an image: what every later step of the work asks."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from torch import Tensor

from napari_localdisc.core.image.appearance import picture_features
from napari_localdisc.core.image.grid import FloatImage, Mask, WorkingGrid
from napari_localdisc.core.model.card import ModelCard
from napari_localdisc.core.model.network import region_embedding
from napari_localdisc.core.names import brightness, is_lesion
from napari_localdisc.core.priors.derived import derived_from
from napari_localdisc.core.work import Steps

from . import clusters, correction, frames, masks, similarity
from .bright_pieces import Pieces
from .clicked_exudates import ClickedExudates
from .clusters import ClusterMaps
from .exudates import EXUDATE, WOOL
from .kinds import means_cup, means_wool
from .meaning import (
    DARK_CUT,
    STRUCTURE_CUT,
    Candidate,
    Clicks,
    Extent,
    choose,
    depth_of,
    shown_at,
)
from .prompts import MaskOptions, Prompts
from .similarity import Likeness, RememberedNearness
from .spots import Spot

_AS_IT_IS = MaskOptions()

_RIM = 4
"""Pixels about a disc that are none of its surroundings."""

_CUP, _DISC = "optic cup", "optic disc"

_LARGEST_MICROANEURYSM = 45
"""Pixels of the working grid: a twelfth of the optic disc's diameter across."""

_DENIED = 0.02
"""Of the grid's longer side: how far around a negative point nothing is sure."""


class Embedding(ClusterMaps):
    """One unit vector per pixel of the working grid, beside its `ClusterMaps`.

    Made by `embed`; everything that a hand does afterwards is a method of it.

    Parameters
    ----------
    matrix : Tensor
        (D, h·w) float32 unit vectors, one column a pixel, C-contiguous: a prompt then
        costs one pass over memory.  May be on a GPU.
    probability, field_of_view, grid, card, centres, presence, colour
        As of `ClusterMaps`; `learn` reads the picture too.
    model_hash : str
        Of the model's weights.
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
        super().__init__(
            probability, field_of_view, grid, card, centres, presence or {}, colour
        )
        self.matrix = matrix
        self.model_hash = model_hash

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
        remembered += sum(values.nbytes for values in made.get("_lesions", {}).values())
        closer = (self.closer, made.get("_exudates"), made.get("_exudate_map"))
        remembered += sum(part.nbytes for part in closer if part is not None)
        return int(remembered + sum(t.nbytes for t in tensors))

    def fresh(self) -> Embedding:
        """Return the same without what it remembers of prompts, on the same memory."""
        other = copy.copy(self)
        vars(other).pop("_nearness", None)
        return other

    def with_presence(self, maps: Mapping[str, Tensor]) -> Embedding:
        """Return the same with other maps of structures, on the same memory.

        Parameters
        ----------
        maps : mapping of str to Tensor
            (h, w) float32 in [0, 1], to be cut at one half; of structures that the
            model's card names, in place of its own, and of others.
        """
        other = self.fresh()
        for made in (
            "_candidates",
            "_meanings",
            "_structures",
            "_pieces",
            "_lesions",
            "_exudate_map",
            "_exudates",
        ):
            vars(other).pop(made, None)
        other.presence = {**self.presence, **maps}
        other._found = dict(maps)
        other._told = self._told | maps.keys()
        return other

    @property
    def vectors(self) -> FloatImage:
        """(h, w, D) float32 unit vectors on the working grid: a view, channel last."""
        planes = self.matrix.view(-1, *self.grid.shape)
        return np.asarray(planes.permute(1, 2, 0).cpu().numpy())

    @cached_property
    def appearance(self) -> Tensor | None:
        """`picture_features` as float16, made once asked for; None: no picture."""
        if self.colour is None:
            return None
        inside = torch.from_numpy(self.inside).to(self.matrix)
        return picture_features(self.colour, inside).half()

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
            One of ``embedding.card.structures``, or one that follows from them, as the
            fovea from optic disc and vessels: see `derived_from`.
        readout : {"presence", "probability", "embedding"}
            ``"presence"``: the sigmoid of the structure's channel in the clustering
            branch, so that a vessel may lie on an optic disc; lesions are completed by
            the picture, see `whole_lesions`.  The paper's two (IPMI
            2021, section 2.3): ``"probability"``, the same normalised over the
            clusters, and ``"embedding"``, the softmax over cosines / 0.2 between each
            pixel's vector and the region embeddings.
        centres : {"model", "image"}
            Whose region embeddings the second read-out uses.

        Returns
        -------
        ndarray
            (H, W) float32 in [0, 1]; 0 outside the field of view and, in images with
            a round field of view whose end the model sees (see
            `ModelCard.surround`), in its outermost 6/540 of the diameter.

        Raises
        ------
        ModelError
            If the card does not name the structure, nor what it follows from; or one
            that follows from others is asked for as a cluster.
        """
        if readout in ("presence", "probability"):
            return super().structure(name, readout)
        channel = clusters.structure_channel(self.card, name)
        regions = self.centres if centres == "model" else self.region_vectors()
        values = clusters.nearest_region(self.matrix, regions, channel)
        return self.of_structure(values.view(self.grid.shape))

    def read(
        self,
        prompts: Prompts,
        options: MaskOptions = _AS_IT_IS,
        closer: bool = True,
    ) -> Reading:
        """Ask once what a few points find: a map, a threshold, a mask, a meaning.

        Parameters
        ----------
        prompts : Prompts
            The points.
        options : MaskOptions
            How they become a mask.
        closer : bool
            Whether a closer look is taken where small lesions are meant; see
            `Reading.waits_for`.

        Raises
        ------
        PromptError
            If there is no positive point, or a point lies outside the image or its
            field of view.
        """
        if len(prompts.frames) or len(prompts.negative_frames):
            return self._read_frames(prompts, options)
        kinds = similarity.check_prompts(
            prompts.positive, prompts.negative, self.field_of_view
        )
        points = self.grid.points_to_working(np.concatenate(kinds))
        clicks = self._clicks(points, len(kinds[0]))
        return self._reading(
            prompts, options, clicks, self._meant(clicks), closer=closer
        )

    def _clicks(self, points: NDArray[np.float64], positives: int) -> Clicks:
        """Look at (k, 2) points of the grid; so many, the first, are wanted."""
        vectors, pixels = self._vectors(points), self.grid.nearest(points)
        spots = self._spots(pixels[:positives])
        return Clicks(vectors, pixels, positives, spots, points)

    def _meant(self, clicks: Clicks) -> int:
        """Return the number of the structure that clicks mean; how many, if none."""
        if not self._means_more:
            return 0
        every = self._candidates
        cup = next(
            (k for k, each in enumerate(every) if self._is_cup_meant(each, clicks)),
            None,
        )
        if cup is not None:  # which then explains the clicks in place of the disc
            every = list(every)
            every[cup] = replace(every[cup], presence=self.shown(_CUP))
        meant = choose(every, clicks, partial(self._share_alike, clicks))
        if meant == len(every):
            return len(self._meanings)
        if meant == cup:
            return self._meanings.index(_CUP)
        return self._bright_kind(meant, clicks) if every[meant].bright else meant

    def _is_cup_meant(self, candidate: Candidate, clicks: Clicks) -> bool:
        """Whether clicks on the optic disc, if this is it, mean its cup."""
        if candidate.depth is None or _CUP not in self._meanings[len(self.presence) :]:
            return False
        return means_cup(clicks, candidate.depth)

    def _share_alike(self, clicks: Clicks) -> float:
        """Return the share of the field of view that is like clicks."""
        near = [every[self._few_inside] for every in self._nearness(clicks.vectors)]
        likeness = Likeness(near[: clicks.positives], near[clicks.positives :])
        every = torch.arange(len(near[0]), device=near[0].device)
        alike = similarity.alike_by_prompts(likeness, every) >= correction.CUT
        return float(alike.float().mean())

    def _reading(
        self,
        prompts: Prompts,
        options: MaskOptions,
        clicks: Clicks,
        meant: int,
        around: frames.Frames | None = None,
        closer: bool = False,
    ) -> Reading:
        weights = None
        if self._means_more:
            weights = np.zeros(len(self._meanings) + 1)
            weights[meant] = 1
        likes, dislikes = np.split(clicks.vectors, [clicks.positives])
        waits_for = ""
        if closer and self._means_more and self._is_pieces(meant):
            kind = self._meanings[meant]
            waits_for = "" if self.is_looked_at(kind) else kind
        return Reading(
            self,
            prompts,
            options,
            likes,
            dislikes,
            closer,
            waits_for,
            weights,
            clicks,
            around,
        )

    def _read_frames(self, prompts: Prompts, options: MaskOptions) -> Reading:
        """Ask what points and frames find: what is typical of a frame is a point."""
        wanted, unwanted = (
            [self._framed(corners) for corners in frames.check_frames(given)]
            for given in (prompts.frames, prompts.negative_frames)
        )
        if not wanted:
            similarity.require_positive(prompts.positive)
        kinds = [
            self.grid.points_to_working(
                similarity.check_points(points, self.field_of_view)
            )
            for points in (prompts.positive, prompts.negative)
        ]
        parts = [
            part
            for points, framed in zip(kinds, (wanted, unwanted), strict=True)
            for part in (points, np.array([f.seed for f in framed]).reshape(-1, 2))
        ]
        clicks = self._clicks(np.concatenate(parts), len(kinds[0]) + len(wanted))
        by_frame = wanted and not len(kinds[0])
        meant = wanted[0].meant if by_frame else self._meant(clicks)
        around = frames.Frames(tuple(wanted), tuple(unwanted), *map(len, kinds))
        return self._reading(prompts, options, clicks, meant, around)

    def _framed(self, corners: NDArray[np.float64]) -> frames.Framed:
        """Find what a frame, in the image's pixels, is drawn around."""
        shown = self.grid.points_to_working(corners)
        window = frames.Window.about(shown, self.inside)
        maps = [
            values.view(self.grid.shape)[window.box].cpu().numpy()
            for values in (self._structures if self._means_more else ())
        ]
        vectors = self.matrix.view(-1, *self.grid.shape)
        pictures = [vectors[:, *window.box].cpu().numpy()]
        if self.colour is not None:
            pictures.append(self.colour[:, *window.box].float().cpu().numpy())
        if self._contrast is not None:
            pictures.append(self._contrast.smooth[window.box][None])
        return frames.find(window, maps, pictures, partial(self._clicked, window.box))

    def _clicked(
        self, box: tuple[slice, slice], pixel: tuple[int, int]
    ) -> tuple[FloatImage, int]:
        """Read one click on a pixel of the grid: its map there, and what it means."""
        points = np.array([pixel], float)
        clicks = self._clicks(points, 1)
        meant = self._meant(clicks)
        prompts = Prompts(self.grid.points_to_image(points))
        reading = self._reading(prompts, _AS_IT_IS, clicks, meant)
        return reading.at_half[box].cpu().numpy(), meant

    def read_vectors(
        self,
        positive: ArrayLike,
        negative: ArrayLike = (),
        meaning: Mapping[str, float] | None = None,
        options: MaskOptions = _AS_IT_IS,
    ) -> Reading:
        """Ask what given vectors find, for instance those of another image's prompts.

        Parameters
        ----------
        positive, negative : array_like
            (k, D) unit vectors of the same model; at least one positive.
        meaning : mapping of str to float, optional
            What `meaning` said of the prompts there; empty if they meant no structure.
            Without it likeness to the vectors is all there is, see `Likeness`.
        options : MaskOptions
            How they become a mask; nothing is connected to vectors.

        Raises
        ------
        PromptError
            If there is no positive vector, or they come from another model.
        """
        likes, dislikes = (
            similarity.as_rows(vectors, len(self.matrix))
            for vectors in (positive, negative)
        )
        similarity.require_positive(likes)
        weights = None
        if meaning is not None and self._means_more:
            named = [meaning.get(name, 0.0) for name in self._meanings]
            weights = np.array([*named, 1 - sum(named)])
        return Reading(self, Prompts(()), options, likes, dislikes, _weights=weights)

    def similarity(
        self,
        positive: ArrayLike = (),
        negative: ArrayLike = (),
        frames: Sequence[ArrayLike] = (),
        negative_frames: Sequence[ArrayLike] = (),
    ) -> FloatImage:
        """How similar each pixel is to the positive and not to the negative prompts.

        Parameters
        ----------
        positive, negative : array_like
            (k, 2) points (row, column) in the image's pixels.
        frames, negative_frames : sequence of array_like
            (k, 2) corners of what is drawn around objects: two opposite ones of a box,
            or three and more of a lasso.  A positive frame finds the object, or the
            objects, in it and nothing outside, unless a point says so; a negative one
            takes away what is in it, and what looks like that.

        Returns
        -------
        ndarray
            (H, W) float32 in [0, 1], 0 outside the field of view.  See
            `Likeness` for the formula, and the module ``meaning`` for what is added
            where the model's card names structures: the points may mean one of them,
            see `meaning`, and every point corrects the map around itself.

        Raises
        ------
        PromptError
            As `read`.
        """
        return self.read(Prompts(positive, negative, frames, negative_frames)).map

    def similarity_on_grid(
        self, positive: ArrayLike, negative: ArrayLike = ()
    ) -> FloatImage:
        """Like `similarity`, but (h, w) on the working grid: one pass over memory."""
        return self.read(Prompts(positive, negative)).map_on_grid

    def similarity_to(
        self,
        positive: ArrayLike,
        negative: ArrayLike = (),
        meaning: Mapping[str, float] | None = None,
    ) -> FloatImage:
        """Return the (h, w) map, on the working grid, of what `read_vectors` finds."""
        return self.read_vectors(positive, negative, meaning).map_on_grid

    def meaning(
        self,
        positive: ArrayLike = (),
        negative: ArrayLike = (),
        frames: Sequence[ArrayLike] = (),
        negative_frames: Sequence[ArrayLike] = (),
    ) -> dict[str, float]:
        """Say what prompts most likely mean: a named structure, or pixels like these.

        Parameters are as for `similarity`.

        Returns
        -------
        dict
            Structure → weight, those above 0; what is missing to 1 is the weight of
            likeness to the points.
        """
        return self.read(Prompts(positive, negative, frames, negative_frames)).weights

    def automatic_threshold(
        self, positive: ArrayLike, negative: ArrayLike = ()
    ) -> float:
        """Return the similarity that `mask` cuts at by itself.

        0.5 where the model's card names structures, else Otsu's threshold of the
        similarity within the field of view; moved as little as needed for every
        positive point to be in the mask and every negative one out.
        """
        return self.read(Prompts(positive, negative)).threshold

    def mask(
        self,
        positive: ArrayLike = (),
        negative: ArrayLike = (),
        threshold: float | None = None,
        connected: bool = False,
        smooth: bool = False,
        minimum_size: int = 0,
        frames: Sequence[ArrayLike] = (),
        negative_frames: Sequence[ArrayLike] = (),
    ) -> Mask:
        """Segment what is similar to the positive and not to the negative prompts.

        Parameters
        ----------
        positive, negative, frames, negative_frames
            As of `similarity`.
        threshold, connected, smooth, minimum_size
            As of `MaskOptions`; the threshold is `automatic_threshold` by default.

        Returns
        -------
        ndarray
            (H, W) bool.

        Raises
        ------
        PromptError
            As `read`, or if the minimum size is negative.
        """
        options = MaskOptions(threshold, connected, smooth, minimum_size)
        prompts = Prompts(positive, negative, frames, negative_frames)
        return self.read(prompts, options).mask

    def corrected(
        self, name: str, positive: ArrayLike = (), negative: ArrayLike = ()
    ) -> Mask:
        """Cut a structure's map at one half, corrected by points that mean it.

        The map is moved around points that disagree with it, as far as pixels there
        are like them; of lesions, single ones come and go.

        Parameters
        ----------
        name : str
            As of `structure`, or one that `with_presence` was given.
        positive, negative : array_like
            (k, 2) points (row, column) in the image's pixels; there may be none.

        Returns
        -------
        ndarray
            (H, W) bool.

        Raises
        ------
        PromptError
            If a point lies outside the image or its field of view.
        """
        kinds = [
            self.grid.points_to_working(
                similarity.check_points(points, self.field_of_view)
            )
            if len(np.asarray(points))
            else np.zeros((0, 2))
            for points in (positive, negative)
        ]
        shown = self.shown(name)
        if any(map(len, kinds)):
            # What is surest, and not denied, stands for the map beside the points
            sure = np.where(self.inside, shown.cpu().numpy(), -1)
            reach = max(1, round(_DENIED * max(self.grid.shape)))
            for row, column in self.grid.nearest(kinds[1]).tolist():
                rows, columns = (
                    slice(max(at - reach, 0), at + reach + 1) for at in (row, column)
                )
                sure[rows, columns] = -1
            seed = np.array(np.unravel_index(sure.argmax(), sure.shape), float)
            points = np.concatenate([seed[None], *kinds])
            pixels = self.grid.nearest(points)
            count = 1 + len(kinds[0])
            kind: correction.Kind | None = None
            spots: tuple[Spot | None, ...] = ()
            if is_lesion(name):
                kind = correction.Kind(brightness(name), is_wide=name == WOOL)
                spots = (None, *self._spots(pixels[1:count]))
            clicks = Clicks(self._vectors(points), pixels, count, spots)
            every = self._nearness(clicks.vectors)
            shown = correction.mix(
                Likeness(every[:count], every[count:]),
                None,
                [shown.reshape(-1)],
                np.array([1.0, 0.0]),
                self.grid.shape,
                clicks,
                kind,
            )
        return np.asarray(self.of_structure(shown) >= correction.CUT)

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

    def to_image(self, on_grid: FloatImage) -> FloatImage:
        """Bring an (h, w) map in [0, 1] from the working grid to the image's pixels.

        Returns
        -------
        ndarray
            (H, W) float32, 0 outside the field of view.
        """
        values = torch.from_numpy(np.ascontiguousarray(on_grid)).to(self.matrix)
        return self.on_image(values, self.visible)

    def get_ready(self) -> None:
        """Make what all readings of points share, so that the first is as quick."""
        if self._means_more:
            _ = self._structures
        if self._contrast is not None:
            _ = self._contrast.slope

    # What readings share

    @property
    def _means_more(self) -> bool:
        """Whether prompts are read by their meaning, not as likeness alone."""
        return bool(self.presence)

    @cached_property
    def _meanings(self) -> tuple[str, ...]:
        """What prompts may mean: what the network shows, then what is a part of it."""
        derived = derived_from(self.card.structures)
        cup = _CUP in derived and _DISC in self.presence and _CUP not in self.presence
        seen = cup and self.colour is not None
        return (*self.presence, *((_CUP,) if seen else ()))

    def _vectors(self, on_grid: NDArray[np.float64]) -> FloatImage:
        """(k, D) vectors at (k, 2) points of the working grid."""
        return similarity.sample_vectors(self.matrix, self.grid.shape, on_grid)

    @cached_property
    def _nearness(self) -> RememberedNearness:
        return RememberedNearness(self.matrix)

    def _spots(self, pixels: NDArray[np.intp]) -> tuple[Spot | None, ...]:
        """Find the object about each of (k, 2) pixels of the working grid."""
        lesions = any(each.is_lesion for each in self._candidates)
        if self._contrast is None or not lesions:
            return ()
        discs = [e.presence for e in self._candidates if e.is_single]
        return tuple(
            None
            if any(float(disc[row, column]) > STRUCTURE_CUT for disc in discs)
            else self._contrast.spot(row, column)
            for row, column in pixels.tolist()
        )

    @cached_property
    def _candidates(self) -> list[Candidate]:
        """Structures that a click may mean.

        A lesion does not lie on an optic disc, and what is taken for a second disc is a
        bright lesion.
        """
        maps = {name: self.shown(name) for name in self.presence}
        disc = maps.get("optic disc")
        made = []
        for name, presence in maps.items():
            bright = brightness(name)
            if disc is not None and bright is not None:
                if bright:
                    seen = self.presence["optic disc"]
                    presence = torch.maximum(presence, torch.where(disc > 0, 0, seen))
                presence = presence * (1 - disc)
            extent = Extent.of(presence, self.inside)
            lesion, single = is_lesion(name), name == "optic disc"
            depth = depth_of(presence) if single else None
            made.append(Candidate(presence, extent, lesion, single, bright, depth))
        return made

    @cached_property
    def _structures(self) -> list[Tensor]:
        """(h·w,) map of each named structure, to be cut at 0.5."""
        named = zip(self.presence, self._candidates, strict=True)
        maps = [self._cut_map(*each) for each in named]
        maps += [self.shown(name) for name in self._meanings[len(maps) :]]
        return [values.reshape(-1) for values in maps]

    def _cut_map(self, name: str, candidate: Candidate) -> Tensor:
        """(h, w) map of a structure; bright lesions as whole pieces of the picture."""
        presence = candidate.presence
        if name == WOOL:
            return self._whole(name)
        if candidate.bright is False:
            return similarity.cut_at_half(presence, DARK_CUT)
        if not candidate.bright or self._pieces is None:
            return similarity.cut_at_half(presence, STRUCTURE_CUT)
        return torch.from_numpy(self._pieces.likely()).to(self.matrix)

    def _is_pieces(self, number: int) -> bool:
        """Whether a candidate is bright pieces of the picture, each of them sharp."""
        every = self._candidates
        bright = number < len(every) and bool(every[number].bright)
        sharp = bright and self._meanings[number] != WOOL
        return sharp and self._pieces is not None

    def _map_of_pieces(
        self, number: int, clicks: Clicks | None, closer: bool
    ) -> Tensor:
        """(h, w) map of a candidate that is bright pieces, as clicks say.

        It begins with the structure's own map, at a closer look, if that is wanted.
        """
        assert self._pieces is not None
        known = None
        if closer:
            name = self._meanings[number]
            if name not in self._lesions:
                whole = clusters.resized(self._whole(name), self.grid.shape)
                self._lesions[name] = whole.float().cpu().numpy()
            known = self._lesions[name]
        return torch.from_numpy(self._pieces.likely(clicks, known)).to(self.matrix)

    def closer_steps(self) -> Steps[None]:
        """Take the closer look, and make of it what structures and clicks ask for."""
        if self.closer is not None:
            yield from self.closer.steps()
            if self._exudates is not None:
                self._exudates.prepare()

    def _exudates_meant(self, meant: int) -> ClickedExudates | None:
        """Return what finds exudates at the closer look; None: clicks mean no such."""
        if not self._is_pieces(meant) or self._meanings[meant] != EXUDATE:
            return None
        return self._exudates

    @cached_property
    def _exudates(self) -> ClickedExudates | None:
        """Clicks on exudates at the closer look; None: there is no such look."""
        taught = not self._told_without_labels(EXUDATE)
        if self.closer is None or taught or not self.is_closer(EXUDATE):
            return None
        whole = self._exudate_map.float().cpu().numpy()
        outside = np.zeros(whole.shape, bool)
        for each in self._candidates:
            if each.is_single:
                disc = clusters.resized(each.presence, whole.shape) > STRUCTURE_CUT
                rim = round(_RIM * max(whole.shape) / max(self.grid.shape))
                outside |= ndimage.binary_dilation(disc.cpu().numpy(), iterations=rim)
        return ClickedExudates(self.closer.maps(), whole, outside, self.grid)

    def _bright_kind(self, number: int, clicks: Clicks) -> int:
        """Return which bright lesion is meant where clicks mean this or another."""
        names, pieces = list(self.presence), self._pieces
        if EXUDATE not in names or WOOL not in names or pieces is None:
            return number
        wanted = clicks.pixels[: clicks.positives]
        exudate, wool = (
            shown_at(self.presence[name], wanted) for name in (EXUDATE, WOOL)
        )
        is_wool = means_wool(clicks, exudate, wool, pieces.peaks(wanted))
        return names.index(WOOL if is_wool else EXUDATE)

    @cached_property
    def _lesions(self) -> dict[str, FloatImage]:
        """(h, w) maps of lesions that clicks meant, as whole pieces of the picture."""
        return {}

    @cached_property
    def _pieces(self) -> Pieces | None:
        """Bright pieces of the picture; None: no picture, or no bright lesion."""
        bright = [each.presence for each in self._candidates if each.bright]
        if self.colour is None or not bright:
            return None
        presence = torch.stack(bright).amax(0).cpu().numpy()
        colour = self.colour.float().cpu().numpy()
        inside = self.inside
        for each in self._candidates:
            if each.is_single:
                seen = each.presence.cpu().numpy() > STRUCTURE_CUT
                inside = inside & ~ndimage.binary_dilation(seen, iterations=_RIM)
        return Pieces.of(colour, presence, inside)

    @cached_property
    def _few_inside(self) -> Tensor:
        """Pixels of the working grid within the field of view, some ten thousand."""
        step = max(1, min(self.grid.shape) // 110)
        few = np.zeros(self.grid.shape, bool)
        few[::step, ::step] = self.inside[::step, ::step]
        return torch.from_numpy(np.flatnonzero(few)).to(self.matrix.device)


@dataclass(frozen=True, eq=False)
class Reading:
    """What an image shows of what prompts mean.

    Each part is made once, when it is first asked for; arrays are not to be changed.

    Attributes
    ----------
    embedding : Embedding
        Of the image.
    prompts : Prompts
        The points; without any where vectors were given.
    options : MaskOptions
        How they become a mask.
    likes, dislikes : ndarray
        (k, D) unit vectors that pixels are, and are not, to be like.
    closer : bool
        Whether a closer look is taken where small lesions are meant.
    waits_for : str
        The structure that was still to be looked at closer when this was asked; empty:
        the map is there at once.
    """

    embedding: Embedding
    prompts: Prompts
    options: MaskOptions
    likes: FloatImage
    dislikes: FloatImage
    closer: bool = False
    waits_for: str = ""
    _weights: NDArray[np.float64] | None = None
    _clicks: Clicks | None = None
    _frames: frames.Frames | None = None

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each structure that may be meant, see `Embedding.meaning`."""
        weights = [] if self._weights is None else self._weights.tolist()
        named = zip(self.embedding._meanings, weights, strict=False)
        return {name: weight for name, weight in named if weight > 0}

    @cached_property
    def meaning(self) -> str:
        """The structure that is most likely meant; empty: pixels like these."""
        likeness = 1 - sum(self.weights.values())
        every = {"": likeness, **self.weights}
        return max(every, key=every.__getitem__)

    @property
    def map_on_grid(self) -> FloatImage:
        """(h, w) float32 similarity in [0, 1] on the working grid."""
        return np.asarray(self._on_grid.cpu().numpy())

    @property
    def _on_grid(self) -> Tensor:
        return clusters.resized(self._found, self.embedding.grid.shape)

    @cached_property
    def map(self) -> FloatImage:
        """(H, W) float32 similarity in [0, 1], 0 outside the field of view."""
        return self.embedding.on_image(self._found, self.embedding.visible)

    @cached_property
    def threshold(self) -> float:
        """The similarity that the mask is cut at."""
        if self.options.threshold is not None:
            return self.options.threshold
        prompts, threshold = self.prompts, correction.CUT
        if self._weights is None and self._frames is None:
            inside = torch.from_numpy(self.embedding.inside).to(self._on_grid.device)
            seen = self._on_grid[inside].cpu().numpy()
            threshold = similarity.otsu_threshold(seen)
        return similarity.moved_threshold(
            threshold, self.map, prompts.positive, prompts.negative
        )

    @cached_property
    def mask(self) -> Mask:
        """(H, W) bool: what the prompts find, refined as the options say.

        Raises
        ------
        PromptError
            If the minimum size is negative.
        """
        options, seen = self.options, self.embedding.field_of_view
        found = (self.map >= self.threshold) & seen
        scale = self.embedding.grid.scale
        mask = masks.refine(found, self._anchors, options, scale)
        return mask & seen if options.smooth else mask

    @property
    def _anchors(self) -> ArrayLike:
        """(k, 2) points of the image that what is connected holds one of."""
        if self._frames is None or self._clicks is None:
            return self.prompts.positive
        pixels = self._clicks.pixels[: self._clicks.positives]
        return self.embedding.grid.points_to_image(pixels)

    @cached_property
    def _found(self) -> Tensor:
        """(h, w) similarity on its device, on the working grid or a closer look's."""
        if self._frames is None or self._clicks is None:
            return self._of_points()
        return self._frames.put(self.at_half, self._likeness(), self._clicks)

    @property
    def at_half(self) -> Tensor:
        """(h, w) what the points find without frames, to be cut at a half."""
        values = self._of_points()
        if self._weights is None:
            seen = values.view(-1)[self.embedding._few_inside].cpu().numpy()
            values = similarity.cut_at_half(values, similarity.otsu_threshold(seen))
        return values

    def _of_points(self) -> Tensor:
        known, weights, clicks = self.embedding, self._weights, self._clicks
        if weights is None:
            return self._likeness().at().clamp(0, 1).view(known.grid.shape)
        likeness = alike = None
        # For nothing but a structure's map a pass over memory would be in vain
        if clicks is None or len(clicks.pixels) > 1 or weights[-1] > 0:
            likeness = self._likeness()
        if likeness is not None and weights[-1] > 0:
            alike = similarity.alike_by_prompts(likeness, known._few_inside)
        structures, meant = known._structures, int(weights.argmax())
        if clicks is not None and self.closer:
            exudates = known._exudates_meant(meant)
            if exudates is not None:
                return exudates.find(clicks).to(known.matrix)
        if known._is_pieces(meant):
            structures = list(structures)
            found = known._map_of_pieces(meant, clicks, self.closer)
            structures[meant] = found.view(-1)
        return correction.mix(
            likeness, alike, structures, weights, known.grid.shape, clicks, self._kind
        )

    @property
    def _kind(self) -> correction.Kind | None:
        """Which objects are meant, if single ones are."""
        weights, every = self._weights, self.embedding._candidates
        if weights is None or self._clicks is None:
            return None
        known, meant = self.embedding, int(weights.argmax())
        likeness = meant == len(known._meanings)
        if not likeness and (meant >= len(every) or every[meant].is_single):
            return correction.Kind(is_single=True)
        if not self._clicks.spots:
            return None
        if likeness:
            return correction.Kind()
        if not every[meant].is_lesion:
            return None
        pieces = known._pieces if known._is_pieces(meant) else None
        largest = math.inf
        if known._meanings[meant] == "microaneurysm":
            first = self._clicks.spots[0]  # may be of another kind, and larger
            largest = max(_LARGEST_MICROANEURYSM, first.area if first else 0)
        wide = known._meanings[meant] == WOOL
        return correction.Kind(every[meant].bright, pieces, largest, wide)

    def _likeness(self) -> Likeness:
        every = self.embedding._nearness(np.concatenate([self.likes, self.dislikes]))
        count = len(self.likes)
        return Likeness(every[:count], every[count:])
