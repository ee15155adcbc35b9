"""Clusters at any granularity: a model's clusters merged by how alike they are.

Everything here follows from the model alone, so that labels and colours are the same
in every image.  Clusters are numbered in the order in which they appear when the
dendrogram is opened from its root, so that a label keeps its meaning at every n.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_localdisc.core.colours import PALETTE, colour_rows
from napari_localdisc.core.errors import LocalDiscError, ModelError
from napari_localdisc.core.image.grid import FloatImage, Mask, WorkingGrid
from napari_localdisc.core.model.card import FEWEST, MOST, ModelCard
from napari_localdisc.core.model.model import Model

_CHUNK_PIXELS = 1 << 16


def merge_table(
    centres: FloatImage, n: int, structures: Mapping[str, int] | None = None
) -> NDArray[np.uint8]:
    """Say which of ``n`` labels each of a model's clusters gets.

    Average linkage on the cosine distance of the clusters' mean region embeddings.
    A merged cluster stands for its most important member: a named structure before
    any other, then the lower channel.  When a cluster is split, the part that holds
    this member keeps the label and the other part gets the next number.

    Parameters
    ----------
    centres : ndarray
        (M, D) float32 unit vectors, one per cluster.
    n : int
        2 to 16, and at most M.
    structures : mapping of str to int, optional
        Named structures → cluster.

    Returns
    -------
    ndarray
        (M,) uint8 in 1..n; every label occurs.

    Raises
    ------
    LocalDiscError
        If ``n`` is not a whole number in range.
    """
    count = len(centres)
    wanted = check_number(n, count)
    named = list((structures or {}).values())
    order = [*dict.fromkeys(named), *(m for m in range(count) if m not in named)]
    rank = {cluster: position for position, cluster in enumerate(order)}
    # Takes a third of a second and is wanted only once the network has run
    from scipy.cluster.hierarchy import linkage

    merges = linkage(centres.astype(np.float64), method="average", metric="cosine")
    groups = _cut(merges[:, :2].astype(int).tolist(), count, wanted, rank)
    table = np.zeros(count, np.uint8)
    for label, members in enumerate(groups, 1):
        table[members] = label
    return table


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


def _cut(
    children: Sequence[Sequence[int]], count: int, n: int, rank: Mapping[int, int]
) -> list[list[int]]:
    """Undo merges from the root until there are n groups, in order of appearance.

    ``children`` are the two nodes that each merge joins, in the order of the merges.
    """
    members = [[leaf] for leaf in range(count)]
    members += ([] for _ in children)
    for node, (a, b) in enumerate(children, count):
        members[node] = sorted(members[a] + members[b], key=rank.__getitem__)
    groups = [len(members) - 1]
    for node in range(len(members) - 1, len(members) - n, -1):
        # Members are sorted by importance: the first stands for the group
        keeps, appears = sorted(
            children[node - count], key=lambda child: rank[members[child][0]]
        )
        groups[groups.index(node)] = keeps
        groups.append(appears)
    return [members[group] for group in groups]


def cluster_colours(model: Model, n: int) -> NDArray[np.float32]:
    """Colours of the labels that ``Embedding.clusters(n)`` gives.

    Label k has the same colour in every image and at every ``n``.

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
    return colour_rows(dict(enumerate(PALETTE[:number], 1))).astype(np.float32)


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
    """

    cluster_probability: Tensor
    field_of_view: Mask
    grid: WorkingGrid
    card: ModelCard
    centres: FloatImage
    presence: Mapping[str, Tensor]

    @property
    def probability(self) -> FloatImage:
        """(M, h, w) float32 cluster probabilities on the working grid."""
        return np.asarray(self.cluster_probability.cpu().numpy())

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
        table = merge_table(self.centres, n, self.card.structures)
        return np.take(np.concatenate([[0], table]).astype(np.uint8), self._dominant)

    def structure(
        self, name: str, readout: Literal["presence", "probability"] = "presence"
    ) -> FloatImage:
        """How likely each pixel is of a structure; see `Embedding.structure`."""
        channel = structure_channel(self.card, name)
        if readout == "presence" and name in self.presence:
            return self.of_structure(self.presence[name])
        return self.of_structure(self.cluster_probability[channel])

    def of_structure(self, on_grid: Tensor) -> FloatImage:
        """Bring an (h, w) map of a structure to the image's pixels, up to the edge."""
        if self._inward is not None:
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

    def on_image(self, on_grid: Tensor, inside: Tensor) -> FloatImage:
        """Bring an (h, w) map in [0, 1] to the image's pixels; 0 where not inside."""
        # Interpolation weights may sum to a rounding error more than 1
        spread = self.grid.spread(on_grid, inside).clamp_(max=1)
        return np.asarray(spread.cpu().numpy())

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
    def _dominant(self) -> NDArray[np.uint8]:
        return dominant_cluster(self.cluster_probability, self.grid, self.field_of_view)


MARGIN = 6 / 540
"""Outermost part of the field of view's diameter that structures leave out: there the
network sees the edge itself."""

EDGE_SHARE = 5 / 576
"""The same where the network sees the picture go on: light falls off there, which
looks like a vessel along the edge.  Structures are continued there from inside."""

TEMPERATURE = 0.2
"""Of the softmax over cosines to region embeddings, as in region discrimination."""


def structure_channel(card: ModelCard, name: str) -> int:
    """Return the cluster that shows a structure.

    Raises
    ------
    ModelError
        If the card does not name the structure.
    """
    if name not in card.structures:
        known = ", ".join(repr(known) for known in card.structures) or "no structure"
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


def in_one_piece(card: ModelCard, presence: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Halve what is found of single structures beside their largest round piece."""
    kept = dict(presence)
    for name in card.single:
        others = torch.from_numpy(beside_the_roundest(kept[name]))
        kept[name] = kept[name].where(~others.to(kept[name].device), kept[name] / 2.01)
    return kept


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
