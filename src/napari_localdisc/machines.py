"""Who works on a list of tasks: this machine's cores, or a cluster of machines.

Either way one task is one image, done by `run_task`: idempotent, its files written
atomically.  A worker that is lost loses nothing: dask gives its task to another one,
which skips what is done.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .batch import Outcome, Task, run_task
from .core.errors import Cancelled, ModelError

if TYPE_CHECKING:
    from .core.models import Model
    from .recipes import Progress, Recipe

ATTEMPTS = 3
"""Times that a task is tried where what went wrong may pass: a full disk, memory."""

_LEFTOVER_SECONDS = 5.0

OnOutcome = Callable[[Outcome], None]


@dataclass(frozen=True)
class Job:
    """What is to be made of every image, small enough to be sent to other machines.

    Attributes
    ----------
    recipe : Recipe
        What to make.
    model : str
        Name or file of the model, as each machine finds it.
    model_hash : str
        Of its weights, so that no machine uses another model of that name.
    device : str, optional
        Where to compute; by default a GPU where a machine has one.
    overwrite, dry_run : bool
        As for `run_task`.
    """

    recipe: Recipe
    model: str
    model_hash: str
    device: str | None = None
    overwrite: bool = False
    dry_run: bool = False


def run_tasks(
    tasks: Sequence[Task],
    job: Job,
    on_outcome: OnOutcome,
    *,
    model: Model | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    cancel: Callable[[], bool] | None = None,
) -> None:
    """Make the files of many images.

    Parameters
    ----------
    tasks : sequence of Task
        From `plan_tasks`.
    job : Job
        What to make of each.
    on_outcome : callable
        Called in this thread with each task's outcome, once, in the order in which
        they end.
    model : Model, optional
        The job's, where it is loaded already; a cluster's workers load their own.
    scheduler : str, optional
        Address (``tcp://…``) or scheduler file of a running dask.distributed cluster;
        by default this machine's cores.
    workers : int, optional
        Images at once on this machine; by default one a core, with one torch thread
        each, which is what fills the cores best.
    cancel : callable, optional
        Asked before each image; true stops the work.

    Raises
    ------
    Cancelled
        If ``cancel`` said so.
    FileError
        If the cluster cannot be reached, or dask.distributed is not installed.
    ModelError
        If a model cannot be loaded.
    """
    if scheduler is None:
        _run_here(
            tasks, job, model or load_same_model(job), on_outcome, workers, cancel
        )
    else:
        _run_on_cluster(tasks, job, on_outcome, scheduler, cancel)
    if not job.dry_run:
        remove_leftovers(tasks)


def attempt(
    task: Task, job: Job, model: Model, progress: Progress | None = None
) -> Outcome:
    """Run a task, again where something failed that is not the user's to put right."""
    for number in range(ATTEMPTS):
        outcome = run_task(
            task,
            job.recipe,
            model,
            overwrite=job.overwrite,
            dry_run=job.dry_run,
            progress=progress,
        )
        if not outcome.may_pass:
            break
        time.sleep(0.2 * 2**number if number + 1 < ATTEMPTS else 0)
    return outcome


def remove_leftovers(tasks: Sequence[Task]) -> None:
    """Remove what killed processes left half written beside the tasks' files."""
    names = {output.name for task in tasks for output in task.outputs}
    for folder in {output.parent for task in tasks for output in task.outputs}:
        if not folder.is_dir():
            continue
        for path in folder.glob(".*"):
            owner = path.name[1:].rpartition(".")[0]
            if owner in names and _age(path) > _LEFTOVER_SECONDS:
                path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


# This machine


def _run_here(
    tasks: Sequence[Task],
    job: Job,
    model: Model,
    on_outcome: OnOutcome,
    workers: int | None,
    cancel: Callable[[], bool] | None,
) -> None:
    from dask.callbacks import Callback
    from dask.threaded import get

    from .core.memory import reused_memory

    count = workers or (2 if model.device.type == "cuda" else os.cpu_count() or 1)
    stop = threading.Event()

    def work(task: Task) -> Outcome | None:
        if stop.is_set() or (cancel is not None and cancel()):
            stop.set()
            return None
        return attempt(task, job, model)

    def tell(key: Any, outcome: Outcome | None, *_: object) -> None:
        if outcome is not None:
            on_outcome(outcome)

    # dask starts tasks that depend on nothing in the order of their keys
    graph = {f"image-{number:09}": (work, task) for number, task in enumerate(tasks)}
    with reused_memory(), one_torch_thread_each(count) as pool:
        try:
            with Callback(posttask=tell):
                get(graph, list(graph), pool=pool)
        finally:
            stop.set()
    if cancel is not None and cancel():
        raise Cancelled("The work on the folder was cancelled.")


@contextmanager
def one_torch_thread_each(count: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads that compute side by side instead of all together on one image."""
    import torch

    before = torch.get_num_threads()
    share = max(1, (os.cpu_count() or 1) // count)

    def begin() -> None:
        torch.set_num_threads(share)

    pool = ThreadPoolExecutor(count, "localdisc", begin)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def load_same_model(job: Job) -> Model:
    """Load a job's model and make sure that it is the one that the job means.

    Raises
    ------
    ModelError
        If it is not there, or is another one.
    """
    from .core.models import load_model

    model = load_model(job.model, job.device)
    if model.hash != job.model_hash:
        raise ModelError(
            f"The model {job.model!r} is another one here ({model.hash}) than where "
            f"the work was started ({job.model_hash}): put the same file on every "
            "machine."
        )
    return model


# A cluster


def _run_on_cluster(
    tasks: Sequence[Task],
    job: Job,
    on_outcome: OnOutcome,
    scheduler: str,
    cancel: Callable[[], bool] | None,
) -> None:
    from .cluster_work import outcomes_on_cluster

    outcomes = outcomes_on_cluster(tasks, job, scheduler)
    for outcome in outcomes:
        if outcome is not None:
            on_outcome(outcome)
        if cancel is not None and cancel():
            outcomes.close()
            raise Cancelled("The work on the folder was cancelled.")
