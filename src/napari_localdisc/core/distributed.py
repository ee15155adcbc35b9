"""What several training processes share: joint batches for the paper's losses.

DDP averages gradients over the processes.  A loss over the joint batch, computed alike
in every process, therefore needs gathered tensors whose backward pass sums the
gradients of all processes; the average then is that of one process with all the data.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as dist_functional
from torch import Tensor


def process_count() -> int:
    """Return the number of processes that train together; 1 without a group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return 1


def gather_with_gradient(x: Tensor) -> Tensor:
    """Concatenate every process's ``x``, of one shape, along the first axis."""
    if process_count() == 1:
        return x
    gathered: tuple[Tensor, ...] = dist_functional.all_gather(x.contiguous())  # type: ignore[no-untyped-call]
    return torch.cat(gathered)


def mean_over_processes(x: Tensor) -> Tensor:
    """Average ``x`` over the processes, with gradient."""
    count = process_count()
    if count == 1:
        return x
    total: Tensor = dist_functional.all_reduce(x)  # type: ignore[no-untyped-call]
    return total / count
