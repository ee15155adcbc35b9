"""What a training is asked for: the job description that another process reads."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.model.card import SUFFIX, list_models, user_model_folder
from napari_localdisc.layers.plane import Plane

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_localdisc.core.names import Modality

PICTURE_SECONDS = 30.0

_BESIDE = (".md", ".csv", ".checkpoint", ".log")
_PICTURES = ("_losses.png", "_clusters.png")


@dataclass(frozen=True)
class TrainingRequest:
    """A training or an adaptation.

    Attributes
    ----------
    out : str
        The model file to write.
    folder : str, optional
        Images to learn from; those of the job's own folder by default.
    model : str, optional
        A model to adapt: its name or file.  Without one, a new model is trained.
    minutes : float, optional
        Time budget.
    steps : int, optional
        Steps of an adaptation instead of a time budget.
    modality : {"fundus", "frame"}
        Of a new training: whose `TrainingSettings` it has.
    settings : dict
        Of a new training: its other fields of `TrainingSettings` that differ.
    device : str
        As for `train`.
    resume : bool
        Go on from the checkpoint beside ``out``.
    picture_seconds : float
        Time between two pictures of the current image.
    cache : str, optional
        Folder of the prepared photographs.
    """

    out: str
    folder: str | None = None
    model: str | None = None
    minutes: float | None = None
    steps: int | None = None
    modality: Modality = "fundus"
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    resume: bool = False
    picture_seconds: float = PICTURE_SECONDS
    cache: str | None = None

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> TrainingRequest:
        """Read what `to_json` gave."""
        return cls(**json.loads(text))


def model_file(name: str) -> Path:
    """Return where a model of the user's own lies, or is going to.

    Raises
    ------
    TrainingError
        If the name cannot be one.
    """
    name = name.strip()
    if not re.fullmatch(r"\w[\w \-]*", name):
        raise TrainingError(
            "Give the model a name of letters, digits, spaces, - and _, for instance "
            "“my camera”."
        )
    file = user_model_folder().resolve() / f"{name}{SUFFIX}"
    if name in list_models() and list_models()[name].resolve() != file:
        raise TrainingError(
            f"“{name}” is a model that comes with the plugin: choose another name."
        )
    return file


def new_model_file(name: str) -> Path:
    """Return `model_file` if there is no model of this name yet.

    Raises
    ------
    TrainingError
        If there is, or the name cannot be one.
    """
    file = model_file(name)
    if file.exists():
        raise TrainingError(
            f"There is a model “{name.strip()}” already: choose another name, or "
            "Resume to go on with it."
        )
    return file


def free_name(wanted: str) -> str:
    """Return a name that no model has yet: ``wanted``, or with a number after it."""
    name, number = wanted, 1
    while name in list_models() or can_resume(name):
        number += 1
        name = f"{wanted} {number}"
    return name


def can_resume(name: str) -> bool:
    """Whether there is a checkpoint of this name to go on from."""
    try:
        return model_file(name).with_suffix(".checkpoint").is_file()
    except TrainingError:
        return False


def delete_model(file: Path) -> None:
    """Delete a model and all that its training left beside it."""
    file.unlink(missing_ok=True)
    for suffix in _BESIDE:
        file.with_suffix(suffix).unlink(missing_ok=True)
    for ending in _PICTURES:
        file.with_name(file.stem + ending).unlink(missing_ok=True)


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
