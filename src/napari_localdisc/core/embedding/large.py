"""Labels of images that do not fit in memory: tile by tile, nothing kept.

A tile is read from the source, brought to the working grid, run through the network
and written to the target; the memory it takes does not depend on the image's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.image.blocks import BlockSource
from napari_localdisc.core.image.contrast import (
    CONTRAST_FRACTION,
    as_batch,
    colour_statistics,
    network_input,
)
from napari_localdisc.core.image.grid import FloatImage, Mask, Window, WorkingGrid
from napari_localdisc.core.image.working import few_tones, stretch_tones
from napari_localdisc.core.model.inference import (
    TILE_SIZE,
    FastNetwork,
    Inference,
    Precision,
)
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.model.network import STRIDE
from napari_localdisc.core.model.tiles import (
    Tile,
    cover,
    margin_of,
    padded_size,
    run_tiles,
)
from napari_localdisc.core.priors.derived import derived_from
from napari_localdisc.core.work import Steps, run

from .clusters import (
    EDGE_SHARE,
    ClusterMaps,
    argmax_channel,
    beside_the_roundest,
    deep_inside,
    kept_colour,
    merge_table,
    nearest_deep,
    structure_channel,
)
from .named import region_leaves
from .regions import SPECK, Named

CHUNK = 1024
"""Side of the blocks of pixels that are written at once."""


def paint_large(
    source: Any,
    model: Model,
    paint: Paint,
    target: Any,
    detail: float = 1.0,
    tile_size: int = TILE_SIZE,
    precision: Precision = "auto",
) -> Steps[None]:
    """Label every pixel of an image that is too large for memory, step by step.

    The labels are those of ``embed(source, model, magnification=1)``: of its
    ``clusters(n)`` for a `ClusterPaint`; for a `StructurePaint` they are 1 where its
    ``structure(name)`` reaches the threshold, else 0.

    Parameters
    ----------
    source : array_like
        (H, W[, C]) lazy array, as for `BlockSource`.
    model : Model
        From `load_model`.
    paint : ClusterPaint or StructurePaint
        What the labels are; lesions as the network shows them, not completed by the
        picture as `ClusterMaps.structure` does.
    target : array_like
        (H, W) uint8 that can be written to by slices, for instance zarr.
    detail : float
        Working pixels per working pixel of the model's own scale: 4 finds structures
        a quarter as large.  At most the image's own resolution is used.
    tile_size, precision
        As of `Inference`.

    Yields
    ------
    done, total : int
        After each block that was read, and each part of a tile.

    Raises
    ------
    ImageError
        If the image cannot be used.
    LocalDiscError
        If ``detail`` is out of range.
    """
    if not 0 < detail < math.inf:
        raise LocalDiscError(f"The detail must be a positive number, not {detail}.")
    blocks = BlockSource(source, model.card.modality)
    for done, total in blocks.survey():
        yield done, 2 * total
    work = _LargeImage(blocks, model, paint, detail, precision)
    tiles = work.plan(tile_size)
    for done, tile in enumerate(tiles):
        for _ in work.write(tile, target):
            yield len(tiles) + done, 2 * len(tiles)
        yield len(tiles) + done + 1, 2 * len(tiles)


class _LargeImage:
    def __init__(
        self,
        source: BlockSource,
        model: Model,
        paint: Paint,
        detail: float,
        precision: Precision,
    ) -> None:
        card = model.card
        self.source, self.model, self.paint = source, model, paint
        finest = source.grid(card.working_diameter)
        longest = max(finest.height, finest.width)
        diameter = min(longest, max(1, round(card.working_diameter * detail)))
        # An image smaller than the working grid is enlarged, as `embed` does
        self.diameter = max(diameter, card.working_diameter if detail >= 1 else 1)
        self.grid: WorkingGrid = source.grid(self.diameter)
        self.margin = margin_of(card)
        self.precision = precision
        self.network = FastNetwork(model.network, precision)
        self.statistics: tuple[Tensor, Tensor] | None = None
        self.tones: tuple[float, float] | None = None
        self.deep: Tensor | None = None
        """(1, h, w) float32: 1 where structures are looked for, on a small grid."""
        self.seen: ClusterMaps | None = None
        """All of the image at the model's own scale, where the paint asks for it."""

    def plan(self, tile_size: int) -> list[Tile]:
        """Cover the grid, its margin included, with tiles."""
        shape = tuple(side + 2 * self.margin for side in self.grid.shape)
        tiles = cover(shape, tile_size)
        card = self.model.card
        sees_end = card.modality == "fundus" and not card.surround
        is_inner = self.paint.is_inner and sees_end
        single = self._single()
        if len(tiles) > 1 or is_inner or single is not None:
            colour, inside = self._overview()
            if len(tiles) > 1:
                self.statistics = colour_statistics(
                    *as_batch(colour, inside, self.model.device)
                )
            if is_inner:
                self.deep = deep_inside(inside)[None]
            if single is not None:
                maps = run(run_tiles(colour, inside, self.model, Inference()))
                others = torch.from_numpy(beside_the_roundest(maps[2][single]))
                near = F.max_pool2d(others[None].float(), 3, 1, 1)
                deep = torch.ones_like(near) if self.deep is None else self.deep
                self.deep = deep * (1 - near)
        if self.paint.sees_all:
            self.seen = self._look()
        return tiles

    def _single(self) -> int | None:
        """Return the place of the structure that is looked for if images show one."""
        card = self.model.card
        if not isinstance(self.paint, StructurePaint) or self.paint.follows:
            return None
        names = list(card.structures)
        place = list(card.structures.values()).index(self.paint.channel)
        return place if names[place] in card.single else None

    def _look(self) -> ClusterMaps:
        """Run the network on all of the image, at the model's own scale."""
        model, (colour, inside) = self.model, self._overview()
        how = Inference(TILE_SIZE, precision=self.precision)
        steps = run_tiles(colour, inside, model, how, embeds=False)
        _, probability, presence = run(steps)
        height, width = shape = inside.shape
        return ClusterMaps(
            probability,
            inside,
            WorkingGrid(shape, 0, 0, height, width, shape),
            model.card,
            model.centres,
            dict(zip(model.card.structures, presence, strict=True)),
            kept_colour(colour, probability.device),
        )

    def _overview(self) -> tuple[FloatImage, Mask]:
        """Look at all of the image, small, and at the tones that it uses."""
        card = self.model.card
        small = self.source.grid(min(self.diameter, card.working_diameter))
        rows, columns = (slice(0, side) for side in small.shape)
        rgb, inside = self.source.on_grid(small, (rows, columns))
        if card.modality == "frame":
            self.tones = few_tones(rgb, inside)
            rgb = stretch_tones(rgb, inside, self.tones)
        return rgb, inside

    def write(self, tile: Tile, target: Any) -> Iterator[None]:
        """Label the pixels of the image that a tile's core covers."""
        if self.seen is not None and self.paint.is_seen(self.seen, self.grid):
            maps = self.paint.of_all(self.seen)
            yield from self._spread(maps, tile, None, target)
            return
        given = self._input(tile.window)
        if given is None:
            return  # nothing of the field of view: the target is 0 there
        window, inside = given
        # The core and the pixels next to it that interpolation, and the paint, need
        reach = self.paint.reach
        rows, columns = (
            slice(
                max(core.start - reach, part.start), min(core.stop + reach, part.stop)
            )
            for core, part in zip(tile.core, tile.window, strict=True)
        )
        around = rows, columns
        yield
        maps = self._found(
            lambda part: self.network.logits(window, part),
            inside,
            Tile(tile.window, around).kept,
        )
        if self.seen is not None:
            maps = self._in_detail(maps, around)
        yield
        yield from self._spread(maps, tile, around, target)

    def _in_detail(self, maps: Tensor, around: Window) -> Tensor:
        """Bring what was seen of all of the image to a window of the grid."""
        assert self.seen is not None
        lines = [
            Line(0, small, small, size).at(
                slice(part.start - self.margin, part.stop - self.margin)
            )
            for part, small, size in zip(
                around, self.seen.grid.shape, self.grid.shape, strict=True
            )
        ]

        def there(values: Tensor) -> Tensor:
            return torch.cat([part for _, part in interpolated(values, *lines)], 1)

        found = self.seen.regions
        moved = replace(
            found,
            scores=there(found.scores),
            background=there(found.background),
            rim=there(found.rim[None])[0],
        )
        own = self.seen.card.structures.items()
        named = [
            Named(name, leaf, part)
            for (name, leaf), part in zip(own, maps.cpu().numpy(), strict=True)
        ]
        finer = moved.in_detail(named)
        every = maps.new_zeros(int(found.leaves.max()) + 1, *maps.shape[1:])
        every[finer.leaves.astype(np.int64)] = finer.scores.to(maps)
        return every

    def _input(self, window: Window) -> tuple[Tensor, Tensor] | None:
        """Return the network's input for a window of the grid with its margin.

        And (h, w) float32, 1 in the field of view there.
        """
        card = self.model.card
        sigma = card.working_diameter * CONTRAST_FRACTION
        ring = card.surround_pixels
        # Blurs reach beyond the window; multiples of 16 keep their phase
        reach = padded_size(math.ceil(5 * sigma) + 2 * ring) + STRIDE
        known: list[slice] = []
        padding: list[tuple[int, int]] = []
        cuts: list[slice] = []
        margins: list[tuple[int, int]] = []
        for part, size in zip(window, self.grid.shape, strict=True):
            start, stop = part.start - self.margin, part.stop - self.margin
            wide = slice(start - reach if start > 0 else 0, min(stop + reach, size))
            wide = slice(max(wide.start, 0), max(wide.stop, 0))
            known.append(wide)
            # What is filled around the grid is computed, else it is 0
            before, after = (
                self.margin if ring and at_end else 0
                for at_end in (wide.start == 0, wide.stop == size)
            )
            margins.append((before, after))
            inner = slice(max(start, -before), min(stop, size + after))
            origin = wide.start - before
            cuts.append(slice(inner.start - origin, inner.stop - origin))
            padding.append((inner.start - start, stop - inner.stop))
        rgb, inside = self.source.on_grid(self.grid, (known[0], known[1]))
        if not inside.any():
            return None
        if card.modality == "frame":
            is_whole = self.statistics is None
            tones = few_tones(rgb, inside) if is_whole else self.tones
            rgb = stretch_tones(rgb, inside, tones)
        around = (*margins[1], *margins[0])
        colour, seen = as_batch(rgb, inside, self.model.device)
        with torch.no_grad():
            x = network_input(
                colour,
                seen,
                card.working_diameter,
                card.in_channels,
                self.statistics,
                ring,
                around,
            )
        both = torch.cat([x, F.pad(seen, around)], 1)[:, :, cuts[0], cuts[1]]
        both = F.pad(both, (*padding[1], *padding[0]))
        return both[:, :-1], both[0, -1]

    def _found(
        self, logits: Callable[[Window], Tensor], inside: Tensor, around: Window
    ) -> Tensor:
        """Return the paint's maps of a part of a tile's window, as `embed` has them.

        Structures are continued to the edge: from pixels that lie a little beside.
        """
        card = self.model.card
        if not (card.surround and self.paint.is_inner):
            return self.paint.maps(logits(around)[0])
        margin = EDGE_SHARE * card.working_diameter
        reach = math.ceil(margin) + 2
        wide = tuple(
            slice(max(part.start - reach, 0), min(part.stop + reach, side))
            for part, side in zip(around, inside.shape, strict=True)
        )
        maps = self.paint.maps(logits((wide[0], wide[1]))[0])
        nearest = nearest_deep(inside.cpu().numpy() > 0, margin)[(slice(None), *around)]
        rows, columns = (
            torch.from_numpy(np.clip(at - part.start, 0, part.stop - part.start - 1))
            for at, part in zip(nearest, wide, strict=True)
        )
        return maps[:, rows.to(maps.device), columns.to(maps.device)]

    def _spread(
        self, maps: Tensor, tile: Tile, around: Window | None, target: Any
    ) -> Iterator[None]:
        """Write labels of the image's pixels, a chunk of the target at a time.

        The maps are those of the rows and columns ``around`` a tile of the grid; None:
        of the whole image, whatever their size.
        """
        grid = self.grid
        top, left = grid.top, grid.left
        lengths = grid.height, grid.width
        rows, columns = (
            _pixels_of(core, self.margin, size, length)
            for core, size, length in zip(tile.core, grid.shape, lengths, strict=True)
        )
        if around is None:
            row_line, column_line = (
                Line(0, size, size, length)
                for size, length in zip(maps.shape[1:], lengths, strict=True)
            )
        else:
            row_line, column_line = (
                Line(known.start - self.margin, known.stop - known.start, size, length)
                for known, size, length in zip(around, grid.shape, lengths, strict=True)
            )
        for row_part in _chunks(rows, top):
            for column_part in _chunks(columns, left):
                at = (
                    slice(row_part.start + top, row_part.stop + top),
                    slice(column_part.start + left, column_part.stop + left),
                )
                labels = self.paint.labels(
                    maps, row_line.at(row_part), column_line.at(column_part)
                )
                labels *= self.source.visible(*at)
                if self.deep is not None:
                    labels *= self._is_deep(row_part, column_part)
                target[at] = labels
            yield

    def _is_deep(self, rows: slice, columns: slice) -> Mask:
        """Interpolate `deep` at pixels of the image's box."""
        assert self.deep is not None
        height, width = self.deep.shape[1:]
        between = (
            Line(0, height, height, self.grid.height).at(rows),
            Line(0, width, width, self.grid.width).at(columns),
        )
        found = np.empty((rows.stop - rows.start, columns.stop - columns.start), bool)
        for part, fine in interpolated(self.deep, *between):
            found[part] = (fine[0] >= 0.5).numpy()
        return found


def _pixels_of(core: slice, margin: int, size: int, length: int) -> slice:
    """Pixels of the image's box whose centres lie in a core, each in one core."""
    first, last = (
        math.ceil(min(max(edge - margin, 0), size) * length / size - 0.5)
        for edge in (core.start, core.stop)
    )
    return slice(max(first, 0), length if core.stop - margin >= size else last)


def _chunks(pixels: slice, origin: int) -> Iterator[slice]:
    """Cut pixels where the target's chunks end."""
    start = pixels.start
    while start < pixels.stop:
        stop = min(pixels.stop, (start + origin) // CHUNK * CHUNK + CHUNK - origin)
        yield slice(start, stop)
        start = stop


_STRIP_PIXELS = 1 << 16

Between = tuple[Tensor, Tensor, Tensor]
"""Along an axis: the pixel before, the pixel after, and the share of the latter."""


@dataclass(frozen=True)
class ClusterPaint:
    """Labels pixels with the region that they lie in.

    Attributes
    ----------
    names : ndarray
        The label of each region, counted from 1; 0 for 0.
    channels : tuple of int
        Of the network: structures that are looked for in detail.
    """

    names: NDArray[np.uint8]
    channels: tuple[int, ...]
    is_inner: ClassVar[bool] = False
    """Whether the outermost part of a round field of view is left out."""
    sees_all: ClassVar[bool] = True
    """Whether all of the image must be seen at once, at the model's own scale."""
    reach: ClassVar[int] = SPECK
    """Pixels around a tile's core within which a small piece ends."""

    @classmethod
    def of(cls, model: Model, n: int) -> ClusterPaint:
        """Merge a model's clusters to ``n``."""
        table = merge_table(model.centres, n, region_leaves(model.card))
        names = np.concatenate([[0], table]).astype(np.uint8)
        return cls(names, tuple(model.card.structures.values()))

    def is_seen(self, seen: ClusterMaps, grid: WorkingGrid) -> bool:
        """Say whether there is no more detail to be had."""
        return seen.grid.shape == grid.shape

    def of_all(self, seen: ClusterMaps) -> Tensor:
        """Return scores of regions by their number."""
        found = seen.regions
        scores = found.scores.new_zeros(int(found.leaves.max()) + 1, *seen.grid.shape)
        scores[found.leaves.astype(np.int64)] = found.scores
        return scores

    def maps(self, logits: Tensor) -> Tensor:
        """(M, h, w) logits → (K, h, w) float32 presence of structures."""
        return logits[list(self.channels)].float().sigmoid()

    def labels(
        self, maps: Tensor, rows: Between, columns: Between
    ) -> NDArray[np.uint8]:
        """Interpolate scores at pixels of the image; return their (H, W) labels."""
        found = np.empty((len(rows[0]), len(columns[0])), np.uint8)
        for part, fine in interpolated(maps, rows, columns):
            channel = argmax_channel(fine, len(maps))
            found[part] = channel.add_(1).cpu().numpy()
        return self.names[found]


@dataclass(frozen=True)
class StructurePaint:
    """Labels pixels 1 where a structure is more probable than a threshold, else 0.

    Attributes
    ----------
    channel : int
        Of the network; -1 for a structure of which others say more.
    threshold : float
        From which a pixel belongs to it.
    follows : str
        Name of one that follows from others: it is found at the model's own scale.
    """

    channel: int
    threshold: float
    follows: str = ""
    is_inner: ClassVar[bool] = True
    reach: ClassVar[int] = 1

    @property
    def sees_all(self) -> bool:
        """Whether it follows from others."""
        return bool(self.follows)

    @classmethod
    def of(cls, model: Model, name: str, threshold: float = 0.5) -> StructurePaint:
        """Look for a structure that the model's card names, or that follows."""
        named = model.card.structures
        if name in derived_from(named):
            return cls(-1, threshold, name)
        return cls(structure_channel(model.card, name), threshold)

    def is_seen(self, seen: ClusterMaps, grid: WorkingGrid) -> bool:
        """Say whether there is no more detail to be had."""
        return bool(self.follows)

    def of_all(self, seen: ClusterMaps) -> Tensor:
        """Return where the structure is."""
        return seen.shown(self.follows)[None]

    def maps(self, logits: Tensor) -> Tensor:
        """Return the structure's presence."""
        return logits[self.channel : self.channel + 1].float().sigmoid()

    def labels(
        self, maps: Tensor, rows: Between, columns: Between
    ) -> NDArray[np.uint8]:
        """Return 1 where the presence reaches the threshold."""
        found = np.empty((len(rows[0]), len(columns[0])), np.uint8)
        for part, fine in interpolated(maps, rows, columns):
            found[part] = (fine[0] >= self.threshold).cpu().numpy()
        return found


Paint = ClusterPaint | StructurePaint


def interpolated(
    maps: Tensor, rows: Between, columns: Between
) -> Iterator[tuple[slice, Tensor]]:
    """Interpolate (C, h, w) maps, a strip of rows at a time."""
    above, below, down = (part.to(maps.device) for part in rows)
    before, after, along = (part.to(maps.device) for part in columns)
    step = max(1, _STRIP_PIXELS // len(before))
    for start in range(0, len(above), step):
        part = slice(start, start + step)
        between = torch.lerp(
            maps[:, above[part]], maps[:, below[part]], down[None, part, None]
        )
        yield part, torch.lerp(between[:, :, before], between[:, :, after], along)


@dataclass(frozen=True)
class Line:
    """Where pixels of the image lie between those of the network's output.

    Attributes
    ----------
    origin, count : int
        The output's first pixel on the working grid, and how many it has.
    size, length : int
        Pixels of the whole axis, of the working grid and of the image's box.
    """

    origin: int
    count: int
    size: int
    length: int

    def at(self, part: slice) -> Between:
        """Return the pixel before, the pixel after, and the share of the latter."""
        pixels = torch.arange(part.start, part.stop, dtype=torch.float64)
        place = (pixels + 0.5) * (self.size / self.length) - 0.5
        place = place.clamp(0, self.size - 1) - self.origin
        last = self.count - 1
        before = place.floor().long().clamp(0, last)
        after = (before + 1).clamp(max=min(last, self.size - 1 - self.origin))
        return before, after, (place - before).float()
