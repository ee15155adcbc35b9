"""Clusters at any granularity: structures, and a background merged by likeness.

What a label means follows from the model alone, so it and its colour are the same in
every image; where it lies is said by ``regions``.  Structures that the model's card
names, or that follow from these, are clusters of their own: they appear first, one at
a time, then the background is opened from the root of its dendrogram.  Clusters are
numbered in the order in which they appear: a label keeps its meaning at every n.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_localdisc.core.colours import PALETTE, QUIET, colour_rows
from napari_localdisc.core.errors import LocalDiscError, ModelError
from napari_localdisc.core.image.grid import FloatImage, Mask, WorkingGrid, resize
from napari_localdisc.core.image.typical import Looks, misfit
from napari_localdisc.core.model.card import FEWEST, MOST, ModelCard
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.priors.derived import (
    derived_from,
    every_structure,
)

from . import tuning
from .exudates import EXUDATE, WOOL, whole_exudates
from .named import card_colours, cluster_names, region_leaves
from .regions import MARGIN, Named, Regions, find_regions
from .spots import Contrast
from .tuning import STRUCTURE_THRESHOLD, StructureOptions
from .whole_lesions import completion, whole

if TYPE_CHECKING:
    from .closer import CloserLook

_CHUNK_PIXELS = 1 << 16


def merge_table(
    centres: FloatImage, n: int, structures: Mapping[str, int] | None = None
) -> NDArray[np.uint8]:
    """Say which of ``n`` labels each of a model's clusters gets.

    Label 1 is the first named structure and 2 the background, with all that has no
    label yet; then each further structure gets the next number.  What is left of the
    n labels goes to the background: average linkage on the cosine distance of its
    clusters' mean region embeddings.  When a cluster is split, the part that holds the
    lower channel keeps the label and the other part gets the next number.

    Parameters
    ----------
    centres : ndarray
        (M, D) float32 unit vectors, one per cluster.
    n : int
        2 to 16, and at most M.
    structures : mapping of str to int, optional
        Named structures → cluster; from M on for those that follow from others.

    Returns
    -------
    ndarray
        (M + those that follow from others,) uint8 in 1..n.

    Raises
    ------
    LocalDiscError
        If ``n`` is not a whole number in range.
    """
    most = len(centres)
    wanted = check_number(n, most)
    named = list(dict.fromkeys((structures or {}).values()))
    background = [m for m in range(most) if m not in named]
    if not background:  # every cluster has a name, and one holds what is left
        background = [named.pop()]
    rest = 2 if named else 1
    table = np.full(max(most, *(leaf + 1 for leaf in named), 0), rest, np.uint8)
    for place, leaf in enumerate(named):
        label = place + 1 + (place > 0)
        table[leaf] = label if label <= wanted else rest
    parts = min(max(1, wanted - len(named)), len(background))
    for part, members in enumerate(_opened(centres[background], parts)[1:], 1):
        table[[background[m] for m in members]] = len(named) + 1 + part
    return table


def _opened(centres: FloatImage, n: int) -> list[list[int]]:
    """Cut a dendrogram into n groups, in the order in which they appear."""
    if n == 1:
        return [[*range(len(centres))]]
    # Takes a third of a second and is wanted only once the network has run
    from scipy.cluster.hierarchy import linkage

    merges = linkage(centres.astype(np.float64), method="average", metric="cosine")
    return _cut(merges[:, :2].astype(int).tolist(), len(centres), n)


def check_number(n: int, clusters: int) -> int:
    """Return ``n`` as an int.

    Raises
    ------
    LocalDiscError
        If it is not a whole number from 2 to 16 and at most ``clusters``.
    """
    most = min(MOST, clusters)
    try:
        number = operator.index(n)
    except TypeError:
        number = 0
    if not FEWEST <= number <= most:
        raise LocalDiscError(
            f"The number of clusters must be a whole number from {FEWEST} to {most}, "
            f"not {n!r}."
        )
    return number


def _cut(children: Sequence[Sequence[int]], count: int, n: int) -> list[list[int]]:
    """Undo merges from the root until there are n groups, in order of appearance.

    ``children`` are the two nodes that each merge joins, in the order of the merges.
    """
    members = [[leaf] for leaf in range(count)]
    members += ([] for _ in children)
    for node, (a, b) in enumerate(children, count):
        members[node] = sorted(members[a] + members[b])
    groups = [len(members) - 1]
    for node in range(len(members) - 1, len(members) - n, -1):
        keeps, appears = sorted(
            children[node - count], key=lambda child: members[child][0]
        )
        groups[groups.index(node)] = keeps
        groups.append(appears)
    return [members[group] for group in groups]


def cluster_colours(model: Model, n: int) -> NDArray[np.float32]:
    """Colours of the labels that ``Embedding.clusters(n)`` gives.

    Label k has the same colour in every image and at every ``n``; structures have
    their own, see `structure_colours`.

    Parameters
    ----------
    model : Model
        The embedding's model.
    n : int
        As for ``Embedding.clusters``.

    Returns
    -------
    ndarray
        (n + 1, 4) float32 RGBA in [0, 1]; row 0, outside the field of view, is
        transparent.

    Raises
    ------
    LocalDiscError
        If ``n`` is out of range.
    """
    number = check_number(n, len(model.centres))
    names = cluster_names(model.card, min(MOST, len(model.centres)))
    by_name = card_colours(model.card)
    own = {label: by_name[name] for label, name in names.items()}
    quiet = QUIET if names else ()
    left = (c for c in dict.fromkeys((*quiet, *PALETTE)) if c not in own.values())
    colours = {k: own.get(k) or next(left) for k in range(1, MOST + 1)}
    return colour_rows({k: colours[k] for k in range(1, number + 1)}).astype(np.float32)


@torch.no_grad()
def dominant_cluster(
    probability: Tensor, grid: WorkingGrid, field_of_view: Mask
) -> NDArray[np.uint8]:
    """Find the most probable cluster of every pixel of the image.

    (M, h, w) probabilities are interpolated to the image's grid, a few rows at a time,
    before they are compared: outlines are as smooth as the image's own pixels allow.
    The result is (H, W) uint8: 1 + the cluster's channel; 0 outside the field of view.
    """
    count, height, width = probability.shape
    image = np.zeros(grid.image_shape, np.uint8)
    box = image[grid.box]
    if grid.height < height or grid.width < width:
        # Probabilities are smooth: only what shrinks by half must be filtered first
        filtered = 2 * grid.height < height or 2 * grid.width < width
        probability = F.interpolate(
            probability[None],
            size=(grid.height, grid.width),
            mode="bilinear",
            antialias=filtered,
        )[0]
        height, width = grid.height, grid.width
    rows = (torch.arange(grid.height) + 0.5) * (height / grid.height) - 0.5
    rows = rows.clamp(0, height - 1).to(probability.device)
    above = rows.long()
    below = (above + 1).clamp(max=height - 1)
    share = (rows - above)[None, :, None]
    step = max(1, _CHUNK_PIXELS // grid.width)
    for start in range(0, grid.height, step):
        part = slice(start, start + step)
        if (height, width) == (grid.height, grid.width):
            between = probability[:, part].clone()
        else:
            between = torch.lerp(
                probability[:, above[part]], probability[:, below[part]], share[:, part]
            )
            between = F.interpolate(between, size=grid.width, mode="linear")
        box[part] = argmax_channel(between, count).add_(1).cpu().numpy()
    image *= field_of_view
    return image


def argmax_channel(values: Tensor, count: int) -> Tensor:
    """Argmax over dim 0 of non-negative floats, as uint8; destroys ``values``.

    The channel is written into the last bits of the number's mantissa, so that one
    maximum gives both: several times faster than an argmax.
    """
    bits = (1 << (count - 1).bit_length()) - 1
    channels = torch.arange(count, dtype=torch.int32, device=values.device)
    # Non-negative floats are ordered as their bit patterns; lower channels win ties
    coded = values.view(torch.int32).bitwise_and_(~bits)
    coded.bitwise_or_((bits - channels)[:, None, None])
    return (bits - (coded.amax(0) & bits)).to(torch.uint8)


_JUST_NONE = 0.49
"""Highest probability of what is no piece of an exudate."""

ON_DISC = 0.3
"""Presence of the optic disc from which pieces of the picture are no lesions."""


@dataclass(eq=False, repr=False)
class ClusterMaps:
    """M cluster probabilities per pixel of the working grid, and what follows of them.

    Made by `map_clusters`, which runs the clustering branch alone; every `Embedding`
    has them.

    Attributes
    ----------
    cluster_probability : Tensor
        (M, h, w) float32, summing to 1 over M.  May be on a GPU.
    field_of_view : ndarray
        (H, W) bool, on the image's grid.
    grid : WorkingGrid
        Between the image's pixels and the working grid.
    card : ModelCard
        The model's card.
    centres : ndarray
        (M, D) float32 unit vectors: the model's clusters.
    presence : mapping of str to Tensor
        (h, w) float32 for each structure that the card names: the sigmoid of its
        channel, before the normalisation over clusters.
    colour : Tensor, optional
        (3, h, w) float16 RGB in [0, 1], 0 outside the field of view: the picture on
        the working grid, for what follows from it; same device.
    closer : CloserLook, optional
        Taken when a small lesion is first asked for; None: there is none.
    """

    cluster_probability: Tensor
    field_of_view: Mask
    grid: WorkingGrid
    card: ModelCard
    centres: FloatImage
    presence: Mapping[str, Tensor]
    colour: Tensor | None = None
    closer: CloserLook | None = field(default=None, init=False)
    _told: Set[str] = field(default=frozenset(), init=False)
    """Structures whose maps were put in place of the model's own."""
    _found: dict[str, Tensor] = field(default_factory=dict, init=False)

    @property
    def magnification(self) -> float:
        """How much larger than usual the network saw the image."""
        return round(max(self.grid.shape) / self.card.working_diameter, 2)

    @property
    def probability(self) -> FloatImage:
        """(M, h, w) float32 cluster probabilities on the working grid."""
        return np.asarray(self.cluster_probability.cpu().numpy())

    def clusters(self, n: int) -> NDArray[np.uint8]:
        """Label every pixel with one of ``n`` clusters.

        Named structures come first, see `cluster_names`; the other clusters are merged
        by the cosine of their region embeddings (average linkage).  So labels mean the
        same in every image of a model, and label k keeps its meaning and colour when
        ``n`` grows or shrinks.  Regions are smooth, none lives along the edge of the
        field of view, and specks belong to what surrounds them: see ``regions``.

        Parameters
        ----------
        n : int
            2 to 16 (or the model's number of clusters, if that is less).

        Returns
        -------
        ndarray
            (H, W) uint8: 1..n inside the field of view, 0 outside.  An image need not
            have them all.

        Raises
        ------
        LocalDiscError
            If ``n`` is out of range.
        """
        table = merge_table(self.centres, n, region_leaves(self.card))
        return np.take(np.concatenate([[0], table]).astype(np.uint8), self._dominant)

    def structure(
        self, name: str, readout: Literal["presence", "probability"] = "presence"
    ) -> FloatImage:
        """How likely each pixel is of a structure; see `Embedding.structure`."""
        if readout == "presence" and completion(name) is not None:
            return self.of_structure(self._whole(name))
        if name in derived_from(self.card.structures):
            return self.on_image(self.shown(name), self.interior)
        if readout == "presence":
            return self.of_structure(self.shown(name))
        channel = structure_channel(self.card, name)
        return self.of_structure(self.cluster_probability[channel])

    def structure_mask(
        self,
        name: str,
        threshold: float = STRUCTURE_THRESHOLD,
        bridge_gaps: int = 0,
        fill_holes: bool = False,
        minimum_size: int = 0,
        largest_only: bool = False,
    ) -> Mask:
        """Segment a structure that the model's card names.

        Parameters
        ----------
        name : str
            As for `structure`.
        threshold, bridge_gaps, fill_holes, minimum_size, largest_only
            As of `StructureOptions`.

        Returns
        -------
        ndarray
            (H, W) bool.

        Raises
        ------
        ModelError
            As `structure`.
        PromptError
            If an option is impossible.
        """
        options = StructureOptions(
            threshold, bridge_gaps, fill_holes, minimum_size, largest_only
        )
        return self.tuned(self.structure(name), options)

    def tuned(self, probability: FloatImage, options: StructureOptions) -> Mask:
        """Return the mask that options make of (H, W) probability, where one sees."""
        mask = tuning.structure_mask(probability, options)
        return mask & self.field_of_view if options.bridge_gaps else mask

    def of_structure(self, on_grid: Tensor) -> FloatImage:
        """Bring an (h, w) map of a structure to the image's pixels, up to the edge."""
        if self._inward is not None and on_grid.shape == self.grid.shape:
            on_grid = on_grid.flatten()[self._inward].view(on_grid.shape)
        return self.on_image(on_grid, self.interior)

    @cached_property
    def _inward(self) -> Tensor | None:
        """(h·w,) int64: the pixel that each pixel's structures are read from."""
        if not self.card.surround:
            return None
        margin = EDGE_SHARE * self.card.working_diameter
        rows, columns = nearest_deep(np.pad(self.inside, 1), margin)[:, 1:-1, 1:-1] - 1
        flat = torch.from_numpy((rows * self.inside.shape[1] + columns).ravel())
        return flat.to(self.cluster_probability.device)

    def _whole(self, name: str) -> Tensor:
        """(h, w) map of lesions, completed by the picture; none lies on the disc.

        The grid may be that of the closer look.
        """
        row = derived_from(self.card.structures).get(name)
        if row is not None and name not in self._told:
            parts = [self._whole(part) for part in row.of]
            finest = max((part.shape for part in parts), key=max)
            return torch.stack([resized(part, finest) for part in parts]).amax(0)
        if name == EXUDATE and self._told_without_labels(name):
            # What is no piece is as doubtful as either look finds it, but none
            found = self._exudate_map
            either = resized(self._looked_at(name), found.shape)
            return torch.maximum(found, either.clamp_max(_JUST_NONE))
        presence, how = self._looked_at(name), completion(name)
        if self._contrast is None or how is None:
            return presence
        completed = whole(self._contrast, presence.cpu().numpy(), how)
        return self._off_disc(completed, presence)

    def _told_without_labels(self, name: str) -> bool:
        """Whether a lesion's map is that of a network that has seen no masks."""
        return name not in self._told and not self.card.has_seen_labels

    @cached_property
    def _exudate_map(self) -> Tensor:
        """(h, w) map of exudates, on the grid of the closer look where there is one."""
        presence, contrast = self.shown(EXUDATE), self._contrast
        if self.closer is not None and self.is_closer(EXUDATE):
            look = self.closer.maps()
            presence, contrast = look.presence[EXUDATE], look.contrast
        if contrast is None or self.colour is None:
            return presence
        seen, vessel, wool = (
            values.cpu().numpy()
            for values in (
                presence,
                self._beside("vessel", presence),
                self._beside(WOOL, presence),
            )
        )
        pieces = whole_exudates(contrast.light, contrast.inside, seen, vessel, wool)
        return self._off_disc(pieces, presence)

    def _off_disc(self, completed: FloatImage, presence: Tensor) -> Tensor:
        """(h, w) lesions completed by the picture, but not where the disc is."""
        on_disc = self._beside("optic disc", presence) > ON_DISC
        return torch.where(on_disc, presence, torch.from_numpy(completed).to(presence))

    def _beside(self, other: str, presence: Tensor) -> Tensor:
        """(h, w) map of another structure on a lesion's grid; 0 where it is unknown."""
        if other not in self.card.structures:
            return torch.zeros_like(presence)
        return resized(self.shown(other), presence.shape)

    def _looked_at(self, name: str) -> Tensor:
        """(h, w) map of lesions, also as the closer look shows small ones."""
        own, closer = self.shown(name), self.closer
        if closer is None or not self.is_closer(name):
            return own
        return torch.maximum(own, closer.maps().on_first_grid(name))

    def is_closer(self, name: str) -> bool:
        """Whether a closer look shows a structure, taken or not."""
        known = () if self.closer is None else self.closer.structures
        return name in known and name not in self._told

    def is_looked_at(self, name: str) -> bool:
        """Whether `structure` answers at once, with no closer look to take before."""
        if self.closer is None or self.closer.is_taken or name in self._told:
            return True
        row = derived_from(self.card.structures).get(name)
        if row is not None:
            return all(map(self.is_looked_at, row.of))
        return not self.is_closer(name)

    @cached_property
    def _contrast(self) -> Contrast | None:
        """Where the picture is brighter or darker than its background; None: none."""
        if self.colour is None:
            return None
        return Contrast(self.colour[1].float().cpu().numpy(), self.inside)

    def shown(self, name: str) -> Tensor:
        """(h, w) float32 map of a structure, with what others say of it.

        Raises
        ------
        ModelError
            As `Embedding.structure`.
        """
        named = self.card.structures
        row = derived_from(named).get(name)
        if row is None:
            return self._present(name)
        if name not in self._found:
            rgb = np.zeros((*self.grid.shape, 3), np.float32)
            if self.colour is not None:
                rgb = self.colour.float().permute(1, 2, 0).cpu().numpy()
            maps = {part: self.shown(part) for part in row.of}
            of = {part: values.cpu().numpy() for part, values in maps.items()}
            found = torch.from_numpy(row.find(rgb, self.inside, of))
            # Replaced as a whole, never changed: threads may ask at the same time
            self._found = {**self._found, name: found.to(self.cluster_probability)}
        return self._found[name]

    def _present(self, name: str) -> Tensor:
        """(h, w) what the network says of a structure that the card names."""
        if name in self._found:
            return self._found[name]
        channel = structure_channel(self.card, name)
        if name not in self.presence:
            return self.cluster_probability[channel]
        if name not in self.card.single:
            return self.presence[name]
        self._found = {**self._found, name: in_one_piece(self.presence[name])}
        return self._found[name]

    def on_image(self, on_grid: Tensor, inside: Tensor) -> FloatImage:
        """Bring an (h, w) map in [0, 1] to the image's pixels; 0 where not inside."""
        # Interpolation weights may sum to a rounding error more than 1
        spread = self.grid.spread(on_grid, inside).clamp_(max=1)
        return np.asarray(spread.cpu().numpy())

    @cached_property
    def misfit(self) -> str:
        """Why the image is of another kind than the model's, and what to do; or empty.

        One sentence; see `misfit` of the module ``typical``.
        """
        typical = self.card.typical
        if self.colour is None or not typical or not self.inside.any():
            return ""
        rgb = self.colour.float().permute(1, 2, 0).cpu().numpy()
        return misfit(Looks.of(rgb, self.inside), typical, self.card.modality)

    @cached_property
    def inside(self) -> Mask:
        """(h, w) bool: the field of view on the working grid."""
        return self.grid.to_working(self.field_of_view) >= 0.5

    @cached_property
    def visible(self) -> Tensor:
        """(H, W) bool: the field of view, on the maps' device."""
        return torch.from_numpy(self.field_of_view).to(self.cluster_probability.device)

    @cached_property
    def interior(self) -> Tensor:
        """(H, W) bool: where structures are looked for.

        In a round field of view whose end the network sees, without the outermost
        6/540 of its diameter.
        """
        if self.card.modality == "frame" or self.card.surround:
            return self.visible
        deep = self.grid.spread(deep_inside(self.inside))
        return (deep.to(self.visible.device) >= 0.5) & self.visible

    @cached_property
    def regions(self) -> Regions:
        """What `clusters` labels, before anything is merged."""
        named = [
            Named(
                name, leaf, self.shown(name).cpu().numpy(), leaf >= self.card.clusters
            )
            for name, leaf in region_leaves(self.card).items()
            if self.presence
        ]
        is_round = self.card.modality == "fundus"
        return find_regions(self.cluster_probability, named, self.inside, is_round)

    @cached_property
    def _dominant(self) -> NDArray[np.uint8]:
        found = self.regions
        number = dominant_cluster(found.scores, self.grid, self.field_of_view)
        return np.append(0, found.leaves + 1).astype(np.uint8)[number]


def resized(values: Tensor, shape: Sequence[int]) -> Tensor:
    """(h, w) float map on another grid of the same field of view."""
    return resize(values[None, None], (shape[0], shape[1]))[0, 0]


def kept_colour(colour: FloatImage, device: torch.device) -> Tensor:
    """(h, w, 3) colours → (3, h, w) float16, as `ClusterMaps` keeps them."""
    planes = torch.from_numpy(colour).permute(2, 0, 1)
    return planes.half().contiguous().to(device)


EDGE_SHARE = 5 / 576
"""The same where the network sees the picture go on: light falls off there, which
looks like a vessel along the edge.  Structures are continued there from inside."""

TEMPERATURE = 0.2
"""Of the softmax over cosines to region embeddings, as in region discrimination."""


def check_structure(card: ModelCard, name: str) -> None:
    """Raise a ModelError where a model can show no such structure."""
    if name not in derived_from(card.structures):
        structure_channel(card, name)


def structure_channel(card: ModelCard, name: str) -> int:
    """Return the cluster that shows a structure.

    Raises
    ------
    ModelError
        If the card does not name the structure.
    """
    if name not in card.structures:
        every = every_structure(card.structures)
        known = ", ".join(repr(known) for known in every) or "no structure"
        raise ModelError(
            f"The model {card.name!r} knows no structure {name!r}; its card names "
            f"{known}."
        )
    return card.structures[name]


@torch.no_grad()
def nearest_region(matrix: Tensor, regions: FloatImage, channel: int) -> Tensor:
    """Softmax over cosines / 0.2 to the region embeddings (IPMI 2021, section 2.3).

    Of (D, N) pixels and (M, D) regions, unit vectors all: (N,) float32 in [0, 1] for
    the region ``channel``.
    """
    queries = torch.from_numpy(regions).to(matrix)
    pieces = [
        (queries @ matrix[:, start : start + _CHUNK_PIXELS])
        .div_(TEMPERATURE)
        .softmax(0)[channel]
        for start in range(0, matrix.shape[1], _CHUNK_PIXELS)
    ]
    return torch.cat(pieces)


def beside_the_roundest(presence: Tensor) -> Mask:
    """Return (h, w) bool: what is found beside a structure's largest round piece."""
    found = (presence >= 0.5).cpu().numpy()
    names, count = ndimage.label(found)
    if count < 2:
        return np.zeros_like(found)
    depth = ndimage.distance_transform_edt(np.pad(found, 1))[1:-1, 1:-1]
    radius = ndimage.maximum(depth, names, range(1, count + 1))
    area = np.bincount(names.ravel())[1:]
    # The area of the circle that it holds, and how round it is
    best = int((np.asarray(radius) ** 3 / np.sqrt(area)).argmax()) + 1
    return np.asarray(found & (names != best))


_RIM = 1 / 72
"""Width of the rim in which a structure's presence falls, in sides of the grid."""


def in_one_piece(presence: Tensor) -> Tensor:
    """Leave of an (h, w) map of a single structure its largest round piece and rim."""
    found = (presence >= 0.5).cpu().numpy()
    if not found.any():
        return presence
    kept = torch.from_numpy(found).to(presence.device) & ~torch.from_numpy(
        beside_the_roundest(presence)
    ).to(presence.device)
    reach = 2 * round(_RIM * max(presence.shape)) + 1
    near = F.max_pool2d(kept[None].float(), reach, 1, reach // 2)[0]
    return presence * near


def deep_inside(inside: Mask) -> Tensor:
    """(h, w) field of view on a working grid → (h, w) float32, 0 near its edge."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    return torch.from_numpy((depth > MARGIN * max(inside.shape)).astype(np.float32))


def nearest_deep(inside: Mask, margin: float) -> NDArray[np.intp]:
    """Say which pixel deeper than ``margin`` in a field of view is nearest to each.

    Returns (2, h, w) rows and columns; each pixel's own where none is deep.
    """
    deep = ndimage.distance_transform_edt(inside) > margin
    if not deep.any():
        return np.indices(inside.shape)
    nearest: NDArray[np.intp] = ndimage.distance_transform_edt(
        ~deep, return_distances=False, return_indices=True
    ).astype(np.intp)
    return nearest
