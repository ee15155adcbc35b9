"""Where models are and what their cards say, found out without importing torch."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from napari_localdisc.core.errors import ModelError

SUFFIX = ".safetensors"
CARD_KEY = "localdisc_card"
"""Key of a file's metadata that holds the model card as JSON."""


def user_model_folder() -> Path:
    """Folder where models that the user trains are looked for.

    ``LOCALDISC_MODELS`` overrides it.
    """
    import platformdirs

    default = platformdirs.user_data_path("napari-localdisc", appauthor=False)
    return Path(os.environ.get("LOCALDISC_MODELS", default / "models"))


def _bundled() -> dict[str, Path]:
    folder = Path(str(resources.files("napari_localdisc") / "data" / "models"))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def list_models() -> dict[str, Path]:
    """Return name → file of the bundled models, then of those in the user's folder."""
    bundled = _bundled()
    own = sorted(user_model_folder().glob(f"*{SUFFIX}"))
    return bundled | {path.stem: path for path in own if path.stem not in bundled}


@dataclass(frozen=True)
class ModelSummary:
    """What a chooser shows of a model before its weights are read.

    Attributes
    ----------
    name : str
        The card's name of the model.
    modality : str
        ``"fundus"`` or ``"frame"``.
    clusters : int
        Number of clusters.
    structures : tuple of str
        Structures that the card names.
    """

    name: str
    modality: str
    clusters: int
    structures: tuple[str, ...]


def summarise_model(path: Path) -> ModelSummary:
    """Read a model's card, leaving its weights on the disk.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file.

    Returns
    -------
    ModelSummary

    Raises
    ------
    ModelError
        If the file is missing, damaged or not one of ours.
    """
    import safetensors

    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is damaged or not a {SUFFIX} file ({error}); get it again."
        ) from error
    if CARD_KEY not in metadata:
        raise ModelError(f"{path} is not a model of napari-localdisc: it has no card.")
    try:
        card = json.loads(metadata[CARD_KEY])
        return ModelSummary(
            str(card["name"]),
            str(card["modality"]),
            int(card["clusters"]),
            tuple(str(name) for name in card.get("structures", {})),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"The model card of {path} cannot be read: {error}."
        ) from error


@dataclass(frozen=True)
class ModelFile:
    """A model's file as it is now; a file that is written again is another model."""

    path: Path
    modified: int
    size: int

    @classmethod
    def of(cls, name: str) -> ModelFile:
        """Find a model by its name.

        Raises
        ------
        ModelError
            If there is none of this name.
        """
        path = list_models().get(name)
        if path is None:
            known = ", ".join(list_models()) or "none"
            raise ModelError(
                f"There is no model {name!r} any more; choose one of the known models "
                f"({known})."
            )
        status = path.stat()
        return cls(path, status.st_mtime_ns, status.st_size)
