"""Models on disk: safetensors with the model card in the same file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_localdisc.core.errors import ModelError
from napari_localdisc.core.files import check_replaceable, given_path, new_file

from .card import (
    CARD_KEY,
    SUFFIX,
    ModelCard,
    is_ours,
    list_models,
    naming_damage,
    read_card,
)
from .network import LocalDiscriminationNet

FORMAT_VERSION = 1


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
    path = list_models().get(str(name), given_path(name))
    if not path.is_file():
        known = ", ".join(list_models()) or "none"
        raise ModelError(
            f"There is no model {str(name)!r}: give the path of a {SUFFIX} file or "
            f"one of the known models ({known})."
        )
    card = read_card(path)
    with naming_damage(path):
        _check_shapes(path, card)
        tensors = load_file(path)
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ModelError(f"{path} is damaged: some of its weights are no numbers.")
    network = card.network()
    centres = tensors.pop("centres").numpy()
    network.load_state_dict(tensors)
    return Model(card, network.to(_device(device)), centres)


def _check_shapes(path: Path, card: ModelCard) -> None:
    """Compare a file's tensors to what its card says before memory is taken for any.

    Raises
    ------
    ModelError
        If names, shapes or types differ.
    """
    with safe_open(path, "pt") as file:
        held = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        found = {
            name: (t.get_shape(), _TYPES.get(t.get_dtype(), t.get_dtype()))
            for name, t in held.items()
        }
    check_tensors(path, found, wanted_tensors(card))


_TYPES = {"F32": torch.float32, "I64": torch.int64}


def wanted_tensors(card: ModelCard) -> dict[str, torch.Tensor]:
    """Return what a model with this card holds, without memory for its numbers."""
    with torch.device("meta"):
        wanted = dict(card.network().state_dict())
        wanted["centres"] = torch.empty(card.clusters, card.embedding_dim)
    return wanted


def check_tensors(
    path: Path,
    found: dict[str, tuple[list[int], Any]],
    wanted: dict[str, torch.Tensor],
) -> None:
    """Compare shapes and types to those of `wanted_tensors`.

    Raises
    ------
    ModelError
        If names, shapes or types differ.
    """
    expected = {name: (list(t.shape), t.dtype) for name, t in wanted.items()}
    if found != expected:
        names = [n for n in (*expected, *found) if expected.get(n) != found.get(n)]
        raise ModelError(
            f"{path} does not hold the network its card says: {names[0]} is "
            f"{found.get(names[0], 'not there')}, not "
            f"{expected.get(names[0], 'there')}."
        )


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"The device {name!r} cannot be used here: {str(error).splitlines()[0]}"
        ) from error
    return device


def check_model_target(path: str | Path) -> None:
    """Refuse to write a model where there is something else; before the work is done.

    Raises
    ------
    FileError
        Naming it.
    """
    path = Path(path).with_suffix(SUFFIX)
    check_replaceable(path, is_ours)
    if not path.exists():  # else the card beside it is ours as well
        check_replaceable(path.with_suffix(".md"), lambda _: False)


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

    Raises
    ------
    FileError
        If something that is not ours is there, or it cannot be written there.
    """
    path = given_path(path).with_suffix(SUFFIX)
    check_model_target(path)
    tensors = {k: v.cpu().contiguous() for k, v in model.network.state_dict().items()}
    tensors["centres"] = torch.from_numpy(np.ascontiguousarray(model.centres))
    metadata = {CARD_KEY: model.card.to_json(), "format": str(FORMAT_VERSION)}
    with new_file(path) as temporary:
        save_file(tensors, temporary, metadata)
    with new_file(path.with_suffix(".md")) as temporary:
        temporary.write_text(f"{model}\n", encoding="utf-8")
    return path
