"""What several training processes share: joint batches for the paper's losses.

DDP averages gradients over the processes.  A loss over the joint batch, computed alike
in every process, therefore needs gathered tensors whose backward pass sums the
gradients of all processes; the average then is that of one process with all the data.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


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


def mean_over_processes(x: Tensor) -> Tensor:
    """Average ``x`` over the processes, with gradient."""
    return x if process_count() == 1 else gather_with_gradient(x[None]).mean(0)


def agreed(value: T) -> T:
    """Return the first process's ``value`` in all of them.

    What ends a training must be one decision: a process that goes on alone waits for
    the others for ever.
    """
    if process_count() == 1:
        return value
    shared = [value]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


@contextmanager
def group_ended_after(*, inside: bool = False) -> Iterator[None]:
    """End the group of processes that the block enters.

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
            _agree_on_port()
            dist.barrier()
    finally:
        if ours and process_count() > 1:
            dist.destroy_process_group()


def _agree_on_port() -> None:
    """Let all processes take a port that is free for the first one."""
    port: list[int] = [0]
    if dist.get_rank() == 0:
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = [int(probe.getsockname()[1])]
    dist.broadcast_object_list(port)
    os.environ["MASTER_PORT"] = str(port[0])


class _Gather(torch.autograd.Function):
    """What `torch.distributed.nn.functional.all_gather` did; that is deprecated."""

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
