"""Where a training runs: Lightning Fabric on one device, several, or several nodes."""

from __future__ import annotations

import os

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.runtime import choose_precision

_NEEDED = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
_MANAGED = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)


def make_fabric(
    device: str = "auto", devices: int = 1, strategy: str = "auto", nodes: int = 1
) -> Fabric:
    """Ask Lightning Fabric for devices; nothing is launched yet.

    Parameters
    ----------
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    devices, strategy
        Devices of each node and how they share the work, as Fabric takes them.
    nodes : int
        Machines that train together.  The training is started on each of them, by
        torchrun or a batch system, or with ``MASTER_ADDR``, ``MASTER_PORT`` and
        ``NODE_RANK`` in the environment.

    Raises
    ------
    TrainingError
        If there are no such devices, or nothing says which node this is.
    """
    check_nodes(nodes)
    try:
        on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
        fast = not on_cpu or choose_precision(torch.device("cpu")) is torch.bfloat16
        return Fabric(
            accelerator=device,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision="bf16-mixed" if fast else "32-true",
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"Training cannot use the device {device!r} here: {error}"
        ) from error


def check_nodes(nodes: int) -> None:
    """Raise a TrainingError where this process would wait for nodes for ever."""
    if nodes < 1:
        raise TrainingError(f"A training needs at least 1 node, not {nodes}.")
    if nodes == 1 or any(environment.detect() for environment in _MANAGED):
        return
    missing = [name for name in _NEEDED if not os.environ.get(name)]
    if missing:
        raise TrainingError(
            f"Training on {nodes} nodes needs {', '.join(missing)} in the environment: "
            "start the same command on every node with the first one's MASTER_ADDR and "
            f"a MASTER_PORT that is free there, and NODE_RANK from 0 to {nodes - 1}; "
            "or start it by torchrun."
        )
    rank = os.environ["NODE_RANK"]
    if not rank.isdecimal() or int(rank) >= nodes:
        raise TrainingError(
            f"NODE_RANK is a number from 0 to {nodes - 1} on {nodes} nodes, not {rank}."
        )
