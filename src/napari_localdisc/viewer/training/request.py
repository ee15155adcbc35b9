"""What a training is asked for: the job description that another process reads."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.model.card import SUFFIX, list_models, user_model_folder
from napari_localdisc.core.names import Modality

PICTURE_SECONDS = 30.0

_BESIDE = (".md", ".csv", ".checkpoint", ".log")
_PICTURES = ("_losses.png", "_clusters.png")


@dataclass(frozen=True)
class TrainingRequest:
    """A training or an adaptation: what a form asks for and another process does.

    Attributes
    ----------
    out : str
        The model file to write, see `model_file`.
    folder : str, optional
        Images to learn from; by default those that are handed over with the request.
    model : str, optional
        A model to adapt: its name or file.  Without one, a new model is trained.
    minutes : float, optional
        Time budget.
    steps : int, optional
        Steps instead of a time budget.
    modality : {"fundus", "frame"}
        Of a new model: whose `TrainingSettings` it has.
    settings : dict
        Of a new model: its other `TrainingSettings` that differ, such as the priors.
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

    @property
    def name(self) -> str:
        """What the model is to be called."""
        return Path(self.out).stem

    def check(self) -> None:
        """Make sure that no model is replaced, and that there is what it goes on from.

        Raises
        ------
        TrainingError
            Saying what is wrong.
        """
        if self.resume and not can_resume(self.name):
            raise TrainingError(
                f"There is no training “{self.name}” to go on with: start it first."
            )
        if not self.resume and Path(self.out).exists():
            raise TrainingError(
                f"There is a model “{self.name}” already: choose another name, or "
                "Resume to go on with it."
            )
        if self.folder is not None and not Path(self.folder).is_dir():
            raise TrainingError(f"There is no folder {self.folder}.")

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
