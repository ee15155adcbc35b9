"""Checkpoints: one safetensors file that a training goes on from, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.files import atomic_path

_KEY = "localdisc_training"


def save_checkpoint(
    path: Path,
    modules: dict[str, torch.nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    state: dict[str, Any],
) -> None:
    """Write modules, optimizers and a JSON-able state; the file appears whole."""
    tensors: dict[str, Tensor] = {}
    groups: dict[str, Any] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"module/{name}/{key}"] = (
                value.detach().cpu().clone(memory_format=torch.contiguous_format)
            )
    for name, optimizer in optimizers.items():
        saved = optimizer.state_dict()
        groups[name] = saved["param_groups"]
        for parameter, values in saved["state"].items():
            for key, value in values.items():
                tensor = (
                    torch.as_tensor(value)
                    .detach()
                    .cpu()
                    .contiguous()
                    .clone(memory_format=torch.contiguous_format)
                )
                tensors[f"optimizer/{name}/{parameter}/{key}"] = tensor
    text = json.dumps({"state": state, "groups": groups})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {_KEY: text})


def read_state(path: Path) -> dict[str, Any]:
    """Return the state of a checkpoint.

    Raises
    ------
    TrainingError
        If the file is missing, damaged or no checkpoint.
    """
    state: dict[str, Any] = _header(path)["state"]
    return state


def _header(path: Path) -> dict[str, Any]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {})[_KEY])
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise TrainingError(
            f"{path} is not a checkpoint to resume from: train without --resume first."
        ) from error
    return header


def load_checkpoint(
    path: Path,
    modules: dict[str, torch.nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
) -> dict[str, Any]:
    """Restore modules and optimizers in place and return the saved state.

    Raises
    ------
    TrainingError
        If the checkpoint is unusable or of another network.
    """
    header = _header(path)
    tensors = load_file(path)
    try:
        for name, module in modules.items():
            prefix = f"module/{name}/"
            module.load_state_dict(_below(tensors, prefix))
    except RuntimeError as error:
        raise TrainingError(
            f"{path} is of a network of another shape; choose another output."
        ) from error
    for name, optimizer in optimizers.items():
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(tensors, f"optimizer/{name}/").items():
            parameter, field = key.split("/")
            states.setdefault(int(parameter), {})[field] = value
        optimizer.load_state_dict(
            {"state": states, "param_groups": header["groups"][name]}
        )
    state: dict[str, Any] = header["state"]
    return state


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)
    }
