"""Models on disk: safetensors with the model card in the same file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file

from napari_localdisc.core.errors import ModelError
from napari_localdisc.core.files import atomic_path
from napari_localdisc.core.image.contrast import CONTRAST_CHANNELS
from napari_localdisc.core.image.field_of_view import Modality

from .card import CARD_KEY, SUFFIX, list_models
from .network import LocalDiscriminationNet

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelCard:
    """What a user must know of a model, and what rebuilds its network.

    Attributes
    ----------
    name : str
        What the model is called in choosers and on the command line.
    modality : {"fundus", "frame"}
        Whether images have a round field of view in a dark frame, or fill the frame.
    working_diameter : int
        Pixels that the field of view's diameter (or the longer side of the frame)
        has on the working grid.
    in_channels, embedding_dim, clusters, width : int
        Arguments of `LocalDiscriminationNet`.
    structures : dict of str to int
        Named structures and the clustering-branch channel that shows each.
    details : dict
        Everything else: data, licence, steps, losses, seeds, device, quality.
    """

    name: str
    modality: Modality = "fundus"
    working_diameter: int = 540
    in_channels: int = CONTRAST_CHANNELS
    embedding_dim: int = 32
    clusters: int = 16
    width: int = 16
    structures: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.modality not in get_args(Modality):
            raise ModelError(
                f"The model card names the modality {self.modality!r}; "
                f"it must be one of {', '.join(get_args(Modality))}."
            )

    def network(self) -> LocalDiscriminationNet:
        """Build a network of this card's shape with fresh weights."""
        return LocalDiscriminationNet(
            self.in_channels, self.embedding_dim, self.clusters, self.width
        )

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card, ignoring fields of later versions.

        Raises
        ------
        ModelError
            If the text is no model card.
        """
        try:
            fields = json.loads(text)
            known = {f.name for f in dataclasses.fields(cls)}
            return cls(**{k: v for k, v in fields.items() if k in known})
        except (json.JSONDecodeError, AttributeError, TypeError) as error:
            raise ModelError(f"The model card cannot be read: {error}.") from error

    def __str__(self) -> str:
        lines = [f"# {self.name}", ""]
        shown = dataclasses.asdict(self)
        details = shown.pop("details")
        for key, value in {**shown, **details}.items():
            if key == "name":
                continue
            title = key.replace("_", " ")
            if isinstance(value, dict):
                lines.append(f"- {title}:" + ("" if value else " none"))
                lines += [f"  - {k}: {v}" for k, v in value.items()]
            else:
                lines.append(f"- {title}: {value}")
        return "\n".join(lines)


@dataclass
class Model:
    """A network in evaluation mode with its card and its clusters' centres.

    Attributes
    ----------
    card : ModelCard
        Shape of the network and provenance of the weights.
    network : LocalDiscriminationNet
        In evaluation mode, on ``device``.
    centres : ndarray
        (M, D) float32 unit vectors: each cluster's mean region embedding over the
        training images.  They order and merge the clusters alike in every image.
    """

    card: ModelCard
    network: LocalDiscriminationNet
    centres: np.ndarray

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)
        self.hash = _hash(self.network.state_dict())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @classmethod
    def random(cls, seed: int = 0, **card: Any) -> Model:
        """Make a model with random weights, for tests."""
        described = ModelCard(**{"name": "random", **card})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = described.network()
        shape = (described.clusters, described.embedding_dim)
        centres = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        return cls(described, network, centres)

    def __str__(self) -> str:
        return f"{self.card}\n- hash: {self.hash}"


def _hash(state: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def load_model(name: str | Path = "fundus", device: str | None = None) -> Model:
    """Load a model by its bundled name or its file.

    Parameters
    ----------
    name : str or Path
        One of `list_models`, or the path of a ``.safetensors`` file.
    device : str, optional
        For instance ``"cuda"``; by default CUDA where there is one, else the CPU.

    Returns
    -------
    Model
        In evaluation mode.

    Raises
    ------
    ModelError
        If there is no such model, or its file is damaged or not one of ours.
    """
    path = list_models().get(str(name), Path(name))
    if not path.is_file():
        known = ", ".join(list_models()) or "none"
        raise ModelError(
            f"There is no model {str(name)!r}: give the path of a {SUFFIX} file or "
            f"one of the known models ({known})."
        )
    card, tensors = _read(path)
    network = card.network()
    centres = tensors.pop("centres").numpy()
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"{path} does not hold the network its card says.") from error
    if centres.shape != (card.clusters, card.embedding_dim):
        raise ModelError(f"{path} has cluster centres of the wrong shape.")
    return Model(card, network.to(_device(device)), centres)


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"The device {name!r} cannot be used here: {str(error).splitlines()[0]}"
        ) from error
    return device


def _read(path: Path) -> tuple[ModelCard, dict[str, torch.Tensor]]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is damaged or not a {SUFFIX} file ({error}); get it again."
        ) from error
    if CARD_KEY not in metadata or "centres" not in tensors:
        raise ModelError(f"{path} is not a model of napari-localdisc: it has no card.")
    return ModelCard.from_json(metadata[CARD_KEY]), tensors


def save_model(model: Model, path: str | Path) -> Path:
    """Write a model and, beside it, its card as Markdown; each file appears whole.

    Parameters
    ----------
    model : Model
        What to save.
    path : str or Path
        Its suffix becomes ``.safetensors``.

    Returns
    -------
    Path
        The file written.
    """
    path = Path(path).with_suffix(SUFFIX)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.cpu().contiguous() for k, v in model.network.state_dict().items()}
    tensors["centres"] = torch.from_numpy(np.ascontiguousarray(model.centres))
    metadata = {CARD_KEY: model.card.to_json(), "format": str(FORMAT_VERSION)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)
    with atomic_path(path.with_suffix(".md")) as temporary:
        temporary.write_text(f"{model}\n", encoding="utf-8")
    return path
