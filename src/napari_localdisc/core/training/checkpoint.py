"""Reading the checkpoints that a training goes on from, bit for bit."""

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from napari_localdisc.core.errors import TrainingError


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return state dictionaries and plain values; no code in the file is run.

    Raises
    ------
    TrainingError
        If the file is missing, damaged or no checkpoint.
    """
    try:
        if not zipfile.is_zipfile(path):
            return _read_safetensors(path)
        kept: dict[str, Any] = torch.load(path, "cpu", weights_only=True)
        kept["settings"]
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        raise TrainingError(
            f"{path} is not a checkpoint to resume from: train without --resume first."
        ) from error
    return kept


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
