"""Tasks on a dask.distributed cluster: sent, awaited, and done by its workers."""

from __future__ import annotations

import importlib.util
import os
import queue
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from napari_localdisc.core.errors import FileError, ModelError
from napari_localdisc.core.files import given_path

from .tasks import ATTEMPTS, Job, Outcome, Outcomes, State, Task, run_task

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model


GPU = "GPU"
"""The resource that workers with a GPU name, one for each."""

CONNECT_SECONDS = 10
"""After which a scheduler that does not answer is given up."""

_POLL_SECONDS = 0.5
"""How often a cluster where nothing ended is looked at."""


_UNDERSTOOD = ("dask", "msgpack", "error")
"""How results may be packed: plain data.  A pickle could hold anybody's code."""


@dataclass(frozen=True)
class Scheduler:
    """Where a cluster is, and how to prove who one is there.

    Attributes
    ----------
    address : str
        ``tcp://…``, ``tls://…`` or a scheduler file.
    ca_file, certificate, key : Path, optional
        PEM files: whom to believe, and what to show; all three or none.
    """

    address: str
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        files = (self.ca_file, self.certificate, self.key)
        if any(files) and not all(files):
            raise FileError(
                "A connection by TLS needs three files: --tls-ca-file, --tls-cert and "
                "--tls-key."
            )
        for file in filter(None, files):
            if not file.is_file():
                raise FileError(f"There is no file {file}.")

    @property
    def security(self) -> dict[str, Any]:
        """What a client is told of it."""
        if self.ca_file is None:
            return {}
        from distributed.security import Security

        return {
            "security": Security(
                tls_ca_file=str(self.ca_file),
                tls_client_cert=str(self.certificate),
                tls_client_key=str(self.key),
                require_encryption=True,
            )
        }


def outcomes_on_cluster(
    tasks: Sequence[Task], job: Job, scheduler: str | Scheduler
) -> Outcomes:
    """Make the files of many images on a cluster; see `run_tasks`.

    Where workers say that they have a GPU (``--resources GPU=1``), they get all the
    work, unless the job's device is the processor; when none of them is left, the
    others do the rest.  Closing the generator cancels what has not begun.
    """
    if isinstance(scheduler, str):
        scheduler = Scheduler(scheduler)
    client = _connect(scheduler)
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def submit(
        tasks: list[Task], resources: dict[str, float] | None
    ) -> dict[Any, Task]:
        how = {"pure": False, "retries": ATTEMPTS - 1, "resources": resources}
        futures = client.map(work_on_a_worker, tasks, job=job, **how)
        for future in futures:
            future.add_done_callback(ended.put)
        return dict(zip(futures, tasks, strict=True))

    waiting: dict[Any, Task] = {}
    try:
        resources = gpu_resources(client, job.device)
        absolute = [  # workers have other current folders
            replace(
                task,
                source=task.source.resolve(),
                outputs=tuple(path.resolve() for path in task.outputs),
            )
            for task in tasks
        ]
        waiting = submit(absolute, resources)
        while waiting:
            try:
                future = ended.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                yield None
                if resources and not gpu_resources(client, job.device):
                    resources = None
                    left, waiting = waiting, {}
                    client.cancel(list(left))
                    waiting = submit(list(left.values()), None)
                continue
            task = waiting.pop(future, None)
            if task is not None:
                yield outcome_of(future, task)
    finally:
        client.cancel(list(waiting))
        client.close()


def gpu_resources(client: Any, device: str | None) -> dict[str, float] | None:
    """Return what a task must ask for to be done by workers with a GPU.

    None: any worker may do it, as none says that it has a GPU, or the device is the
    processor.
    """
    if device == "cpu":
        return None
    try:
        known = client.scheduler_info(n_workers=-1)
    except TypeError:  # before 2025 it told of all workers
        known = client.scheduler_info()
    has_gpu = any(
        worker.get("resources", {}).get(GPU, 0) >= 1
        for worker in known["workers"].values()
    )
    return {GPU: 1} if has_gpu else None


def check_scheduler(scheduler: str) -> None:
    """Raise a FileError for what is neither a scheduler's address nor its file."""
    if importlib.util.find_spec("distributed") is None:
        raise FileError(
            "Work on a cluster needs dask.distributed, which is not installed: "
            'pip install "napari-localdisc[cluster]".'
        )
    if ":" not in scheduler and not given_path(scheduler).is_file():
        raise FileError(
            f"There is no scheduler file {scheduler}; an address looks like "
            "tcp://node1:8786."
        )


def _connect(scheduler: Scheduler) -> Any:
    check_scheduler(scheduler.address)
    from distributed import Client

    how = {
        "timeout": CONNECT_SECONDS,
        "deserializers": _UNDERSTOOD,
        **scheduler.security,
    }
    try:
        file = given_path(scheduler.address)
        if file.is_file():
            return Client(scheduler_file=str(file), **how)
        return Client(scheduler.address, **how)
    except (OSError, ValueError) as error:
        raise FileError(
            f"No dask scheduler answers at {scheduler.address}: start one with 'dask "
            "scheduler', or leave --scheduler out to use this machine."
        ) from error


def outcome_of(future: Any, task: Task) -> Outcome:
    """Read what a worker said of a task; of anything else make a failure."""
    if future.status == "cancelled":
        return Outcome(task, "failed", f"{task.source}: its work was cancelled.")
    if future.status != "finished":  # errors come pickled: they are not opened
        return Outcome(
            task,
            "failed",
            f"{task.source}: its work failed on the cluster, whose workers' logs say "
            "why: a worker was lost again and again, or has other versions.",
        )
    try:
        said = _Said.model_validate_json(future.result())
    # Whatever else the cluster says is none of ours
    except Exception as error:
        reason = f"{task.source}: the cluster's answer is not understood ({error})."
        return Outcome(task, "failed", reason)
    if said.model_error:
        raise ModelError(said.model_error)
    return Outcome(task, **said.model_dump(exclude={"model_error"}))


class _Said(BaseModel):
    """What a worker says of a task, as JSON."""

    state: State = "failed"
    reason: str = ""
    seconds: float = 0.0
    may_pass: bool = False
    worker: str = ""
    model_error: str = ""


_models: dict[tuple[str | None, str, str | None], Model | None] = {}
_models_lock = threading.Lock()


def work_on_a_worker(task: Task, job: Job) -> bytes:
    """Run a task on a worker of a cluster, which keeps the model for the next one.

    Returns
    -------
    bytes
        JSON: plain data, which the client opens without unpickling anything.
    """
    import torch
    from distributed import get_worker

    worker = get_worker()
    threads = worker.state.nthreads
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // max(1, threads)))
    device = own_device(job.device, str(worker.name), torch.cuda.device_count())
    key = (job.model, job.model_hash, device)
    try:
        with _models_lock:
            if key not in _models:
                _models.clear()
                _models[key] = replace(job, device=device).load_model()
            model = _models[key]
    except ModelError as error:
        return _Said(model_error=str(error)).model_dump_json().encode()
    outcome = run_task(task, job, model)
    said = {key: value for key, value in vars(outcome).items() if key != "task"}
    return _Said(**said | {"worker": str(worker.name)}).model_dump_json().encode()


def own_device(device: str | None, name: str, gpus: int) -> str | None:
    """Give each worker of a machine a GPU of its own, by the number in its name.

    ``dask worker --nworkers 4 --name node1`` starts workers ``node1-0`` to ``node1-3``.
    A worker that sees one GPU, or was told which one to use, takes that.
    """
    if gpus < 2 or device not in (None, "cuda"):
        return device
    number = re.search(r"(\d+)$", name)
    return f"cuda:{int(number[1]) % gpus if number else 0}"
