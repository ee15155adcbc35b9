"""A closer look at small lesions, taken when one of them is first asked for.

A microaneurysm or a hard exudate may be a pixel or two of the working grid: at twice
the size more of them are found.  Larger lesions are found worse (docs/experiments.md),
and neither clusters nor prompts need it: so it is a look of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import numpy as np
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_localdisc.core.image.grid import Mask
from napari_localdisc.core.image.working import look
from napari_localdisc.core.model.card import LARGEST
from napari_localdisc.core.model.inference import Inference
from napari_localdisc.core.model.model import Model
from napari_localdisc.core.model.tiles import run_tiles
from napari_localdisc.core.work import Steps, run

from .exudates import EXUDATE
from .spots import Contrast

CLOSER = 2.0
"""How much larger than before the image is seen."""

SMALL = (EXUDATE, "microaneurysm")
"""Structures that more is found of."""


@dataclass(frozen=True, eq=False)
class CloserMaps:
    """What a closer look shows, on its own grid.

    Attributes
    ----------
    presence : mapping of str to Tensor
        (h, w) float32 in [0, 1] of each small lesion.
    colour : ndarray
        (3, h, w) float16 RGB in [0, 1], 0 outside the field of view.
    inside : ndarray
        (h, w) bool, the field of view.
    first_shape : tuple of int
        Of the first look's working grid.
    """

    presence: Mapping[str, Tensor]
    colour: NDArray[np.float16]
    inside: Mask
    first_shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes now."""
        maps = sum(values.nbytes for values in self.presence.values())
        made = vars(self).get("contrast")
        contrast = 0 if made is None else made.nbytes
        return int(maps + self.colour.nbytes + self.inside.nbytes + contrast)

    @cached_property
    def contrast(self) -> Contrast:
        """Where the picture is brighter or darker than its background."""
        return Contrast(self.colour[1].astype(np.float32), self.inside)

    def on_first_grid(self, name: str) -> Tensor:
        """Return presence on the first look's grid: the largest that makes up one."""
        return F.adaptive_max_pool2d(self.presence[name][None], self.first_shape)[0]


class CloserLook:
    """What a second look at an image shows of small lesions.

    Parameters
    ----------
    image : array_like
        As for `embed`.
    model : Model
        The one that took the first look.
    how : Inference
        How that was taken.
    magnification : float
        Of the first look.
    shape : tuple of int
        (h, w) of its working grid.
    """

    def __init__(
        self,
        image: ArrayLike,
        model: Model,
        how: Inference,
        magnification: float,
        shape: tuple[int, ...],
    ) -> None:
        self._image, self._model, self._how = image, model, how
        self._size = min(LARGEST, CLOSER * magnification)
        self._shape = shape
        self._seen: CloserMaps | None = None
        self._lock = Lock()

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of what is looked for."""
        return tuple(name for name in SMALL if name in self._model.card.structures)

    @property
    def is_taken(self) -> bool:
        """Whether the look was taken: its maps are there at once."""
        return self._seen is not None

    @property
    def nbytes(self) -> int:
        """Bytes that it takes now: none before it was taken."""
        return 0 if self._seen is None else self._seen.nbytes

    def steps(self) -> Steps[CloserMaps]:
        """Take the look, tile by tile."""
        if self._seen is not None:
            return self._seen
        model = self._model
        diameter = round(model.card.working_diameter * self._size)
        seen = look(self._image, model.card.modality, diameter)
        parts = yield from run_tiles(
            seen.colour, seen.inside, model, self._how, embeds=False
        )
        presence = dict(zip(model.card.structures, parts[2], strict=True))
        self._seen = CloserMaps(
            {name: presence[name] for name in self.structures},
            np.ascontiguousarray(seen.colour.transpose(2, 0, 1), np.float16),
            seen.inside,
            self._shape,
        )
        return self._seen

    def maps(self) -> CloserMaps:
        """Return the same, now; later calls return what the first one did."""
        with self._lock:  # no second thread takes the same look meanwhile
            return run(self.steps())
