"""Reading the checkpoints that a training goes on from, bit for bit."""

import json
import zipfile
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from safetensors import safe_open
from torch import Tensor

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.validation import first_fault

_Weights = dict[str, Tensor]
_Count = Annotated[int, Field(ge=0)]


class _Optimizer(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    state: dict[int, dict[str, Tensor | float]]
    param_groups: list[dict[str, Any]]


class _Kept(BaseModel):
    """What a trainer writes; a discriminator only where there is one."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    network: _Weights
    averaged: _Weights
    chosen: _Weights
    adam: _Optimizer
    discriminator: _Weights | None = None
    discriminator_adam: _Optimizer | None = None
    step: _Count
    seconds: Annotated[FiniteFloat, Field(ge=0)]
    best: dict[str, float]
    without_improvement: _Count
    settings: dict[str, Any]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return state dictionaries and plain values; no code in the file is run.

    Raises
    ------
    TrainingError
        If the file is missing, damaged or no checkpoint.
    """
    try:
        if zipfile.is_zipfile(path):
            kept: dict[str, Any] = torch.load(path, "cpu", weights_only=True)
        else:
            kept = _read_safetensors(path)
        _Kept.model_validate(kept)
        _check_finite(kept)
    except ValidationError as error:
        raise TrainingError(
            f"{path} is not a whole checkpoint ({first_fault(error)}): train without "
            "--resume first."
        ) from error
    # Archives and what is pickled in them raise errors of many kinds
    except Exception as error:
        raise TrainingError(
            f"{path} is not a checkpoint to resume from: train without --resume first."
        ) from error
    return kept


def _check_finite(kept: dict[str, Any]) -> None:
    """Raise a ValueError for weights that no training goes on from."""
    for part in ("network", "averaged", "chosen"):
        if not all(bool(weights.isfinite().all()) for weights in kept[part].values()):
            raise ValueError(f"some weights of {part} are no numbers")


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Read a checkpoint of version 0.1.0."""
    with safe_open(path, "pt") as file:
        header = json.loads((file.metadata() or {})["localdisc_training"])
        kept: dict[str, Any] = header["state"]
        names = {"adam": "adam", "discriminator": "discriminator_adam"}
        for name, groups in header["groups"].items():
            kept[names[name]] = {"state": {}, "param_groups": groups}
        for key in file.keys():  # noqa: SIM118
            kind, name, *number, field = key.split("/")
            if kind == "module":
                kept.setdefault(name, {})[field] = file.get_tensor(key)
            else:
                states = kept[names[name]]["state"]
                states.setdefault(int(*number), {})[field] = file.get_tensor(key)
    return kept
