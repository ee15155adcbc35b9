"""Where a training runs: Lightning Fabric on one device, several, or several nodes."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch import Tensor

from napari_localdisc.core.errors import TrainingError
from napari_localdisc.core.model.inference import choose_precision

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


def process_count() -> int:
    """Return the number of processes that train together; 1 without a group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return 1


def gather_with_gradient(x: Tensor) -> Tensor:
    """Concatenate every process's ``x``, of one shape, along the first axis."""
    if process_count() == 1:
        return x
    gathered: Tensor = _Gather.apply(x)  # type: ignore[no-untyped-call]
    return gathered


@contextmanager
def group_ended_after(fabric: Fabric, *, inside: bool = False) -> Iterator[None]:
    """End the group of processes that the block enters with a Fabric.

    A process that exits inside a group leaves threads of the group behind, which may
    abort it; so all of them meet at the end and leave first.  They agree on
    another port for the next time: the old one still answers with old addresses.

    Parameters
    ----------
    inside : bool
        End a group that was entered before the block, too.
    """
    ours = inside or process_count() == 1
    try:
        yield
        if ours and process_count() > 1:
            with socket.socket() as probe:
                probe.bind(("", 0))
                port = fabric.broadcast(probe.getsockname()[1])
            os.environ["MASTER_PORT"] = str(port)
            fabric.barrier()
    finally:
        if ours and process_count() > 1:
            dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """`Fabric.all_gather` with gradients; that warns of torch's deprecation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = x.shape[0]
        parts = [torch.empty_like(x) for _ in range(process_count())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.rows
        return total[start : start + ctx.rows]
