"""What the training panel lets a user choose, and what it shows of the outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .layers import Plane

if TYPE_CHECKING:
    from napari.layers import Image

    from .core.models import Modality

MOST_SLICES = 500
"""Of a stack; of a longer one slices at equal distances are taken."""


@dataclass(frozen=True)
class TrainingChoices:
    """What the user wants.

    Attributes
    ----------
    name : str
        Of the new model.
    layers : tuple of Image
        Images to learn from; every slice of a stack counts.
    folder : Path, optional
        Images to learn from instead.
    minutes : float
        Time budget.
    device : str
        As for `train`.
    model : str, optional
        The model to adapt; without one a new model is trained.
    priors : tuple of str
        Names and folders, for a new model.
    modality : {"fundus", "frame"}
        As in the model card, for a new model.
    settings : dict
        Further `TrainingSettings`, for a new model.
    steps : int, optional
        Steps of an adaptation instead of a time budget.
    """

    name: str
    layers: tuple[Image, ...] = ()
    folder: Path | None = None
    minutes: float = 5.0
    device: str = "auto"
    model: str | None = None
    priors: tuple[str, ...] = ()
    modality: Modality = "fundus"
    settings: dict[str, Any] = field(default_factory=dict)
    steps: int | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a model and its adapted copy see in an image.

    Attributes
    ----------
    old, new : str
        The models' names.
    views : dict of str to (ndarray, ndarray)
        Structure or ``clusters`` → before and after, (h, w, 3) uint8.
    """

    old: str
    new: str
    views: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def all_planes(layer: Image) -> list[Plane]:
    """Return every slice of a layer's last two axes, at most `MOST_SLICES`."""
    data = layer.data[0] if layer.multiscale else layer.data
    hidden = tuple(int(side) for side in data.shape[: layer.ndim - 2])
    count = int(np.prod(hidden, dtype=int))
    chosen = np.linspace(0, count - 1, min(count, MOST_SLICES)).round().astype(int)
    return [
        Plane(data, (*(int(at) for at in np.unravel_index(k, hidden)), None, None))
        for k in chosen
    ]
