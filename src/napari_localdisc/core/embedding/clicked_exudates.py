"""Clicks on hard exudates, read on the grid of the closer look.

Exudates are small: outlines, and which pieces of the picture a click moves, are finer
there than on the grid of the first look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from napari_localdisc.core.image.grid import FloatImage, Mask, WorkingGrid

from . import correction
from .bright_pieces import Pieces
from .closer import CloserMaps
from .exudates import EXUDATE
from .meaning import Clicks


@dataclass(frozen=True, eq=False)
class ClickedExudates:
    """What clicks on hard exudates find in one image.

    Parameters
    ----------
    seen : CloserMaps
        What the closer look shows.
    whole : ndarray
        (h, w) float32 on its grid: exudates as they are known without clicks.
    outside : ndarray
        (h, w) bool there: where none is, as on the optic disc.
    first : WorkingGrid
        Of the first look, on which clicks are given.
    """

    seen: CloserMaps
    whole: FloatImage
    outside: Mask
    first: WorkingGrid

    @property
    def nbytes(self) -> int:
        """Bytes that it takes beside the closer look and the map without clicks."""
        made = vars(self).get("_pieces")
        pieces = 0 if made is None else made.names.nbytes + made.contrast.nbytes
        return int(self.outside.nbytes + pieces)

    @cached_property
    def _pieces(self) -> Pieces:
        presence = self.seen.presence[EXUDATE].cpu().numpy()
        inside = self.seen.inside & ~self.outside
        return Pieces.of(self.seen.colour.astype(np.float32), presence, inside)

    def prepare(self) -> None:
        """Make what every click asks for."""
        _ = self._pieces, self.seen.contrast.slope

    def find(self, clicks: Clicks) -> Tensor:
        """Return the (h, w) float32 map that clicks make of it, to be cut at a half."""
        grid = replace(self.first, shape=self.whole.shape)
        at = clicks.pixels if clicks.places is None else clicks.places
        places = grid.points_to_working(self.first.points_to_image(at))
        pixels = grid.nearest(places)
        spots = tuple(
            self.seen.contrast.spot(row, column)
            for row, column in pixels[: clicks.positives].tolist()
        )
        here = replace(clicks, pixels=pixels, places=places, spots=spots)
        found = torch.from_numpy(self._pieces.likely(here, self.whole))
        correction.add_objects(found, here, correction.Kind(True, self._pieces))
        correction.hold(found, here)
        return found.clamp_(0, 1)
