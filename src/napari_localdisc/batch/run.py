"""Who works on a list of tasks: this machine's cores, or a cluster of machines.

Either way one task is one image, done by `run_task`: idempotent, its files written
atomically.  A worker that is lost loses nothing: dask gives its task to another one,
which skips what is done.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_localdisc.core.errors import Cancelled, FileError
from napari_localdisc.io.areas import ClassArea, areas_in

from .tasks import Job, Outcome, Task, attempt, load_same_model, plan_tasks

if TYPE_CHECKING:
    from napari_localdisc.core.model.card import ModelFile
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.core.work import Steps

    from .recipes import Recipe

_LEFTOVER_SECONDS = 5.0

OnOutcome = Callable[[Outcome], None]


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

    from napari_localdisc.core.work import reused_memory

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


# A cluster


def _run_on_cluster(
    tasks: Sequence[Task],
    job: Job,
    on_outcome: OnOutcome,
    scheduler: str,
    cancel: Callable[[], bool] | None,
) -> None:
    from .dask_cluster import outcomes_on_cluster

    outcomes = outcomes_on_cluster(tasks, job, scheduler)
    for outcome in outcomes:
        if outcome is not None:
            on_outcome(outcome)
        if cancel is not None and cancel():
            outcomes.close()
            raise Cancelled("The work on the folder was cancelled.")


@dataclass(frozen=True)
class Row:
    """What became of one image.

    Attributes
    ----------
    outcome : Outcome
        Its files, and the reason if there are none.
    areas : tuple of ClassArea
        Of its labels.
    """

    outcome: Outcome
    areas: tuple[ClassArea, ...] = ()

    @property
    def image(self) -> str:
        """File name of the image."""
        return self.outcome.task.source.name


@dataclass(frozen=True)
class Order:
    """What shall be made of a folder, by whom.

    Attributes
    ----------
    source, out : str
        Folder, file or pattern; and the folder of the results.
    recipe : callable
        Returns the recipe; called off the GUI, as it may read files.
    model : str
        The model's name, for other machines.
    file : ModelFile
        The model here.
    overwrite : bool
        As for `run_task`.
    scheduler : str
        Address or file of a dask scheduler; empty: this machine.
    arrived : deque
        Gets a `Row` per image.
    stop : threading.Event
        Ends the work within a second.
    """

    source: str
    out: str
    recipe: Callable[[], Recipe]
    model: str
    file: ModelFile
    overwrite: bool = False
    scheduler: str = ""
    arrived: deque[Row] = field(default_factory=deque)
    stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise a FileError for what can be seen without reading anything."""
        if not self.source:
            raise FileError("Choose the folder of images first.")
        if not self.out:
            raise FileError("Choose a folder for the results first.")
        if self.scheduler:
            from .dask_cluster import check_scheduler

            check_scheduler(self.scheduler)


def work_on(order: Order) -> Steps[None]:
    """Make the files of every image, and measure them.

    Yields
    ------
    done, total : int
        Images; total is 0 until they are counted.

    Raises
    ------
    FileError
        If there is no image, or the cluster cannot be reached.
    ModelError
        If the model cannot make it.
    """
    yield 0, 0
    from napari_localdisc.core.image.files import find_images

    recipe = order.recipe()
    tasks = plan_tasks(find_images([order.source]), Path(order.out), recipe.endings)
    yield 0, len(tasks)
    from napari_localdisc.core.model.model import load_model

    from .tasks import Job

    model = load_model(order.file.path)
    recipe.check(model)
    name = order.model if order.scheduler else str(order.file.path)
    job = Job(recipe, name, model.hash, overwrite=order.overwrite)
    outcomes: Iterator[Outcome | None]
    if order.scheduler:
        outcomes = _elsewhere(tasks, job, order.scheduler)
    else:
        outcomes = _here(tasks, job, model, order.stop)
    done = 0
    for outcome in outcomes:
        if outcome is not None:
            done += 1
            order.arrived.append(_measured(outcome))
        yield done, len(tasks)


def _here(
    tasks: list[Task], job: Job, model: Model, stop: threading.Event
) -> Iterator[Outcome]:
    from .tasks import attempt

    def watch(done: int, total: int) -> None:
        if stop.is_set():
            raise Cancelled

    for task in tasks:
        yield attempt(task, job, model, watch)


def _elsewhere(tasks: list[Task], job: Job, scheduler: str) -> Iterator[Outcome | None]:
    from .dask_cluster import outcomes_on_cluster

    pass  # moved

    yield from outcomes_on_cluster(tasks, job, scheduler)
    remove_leftovers(tasks)


def _measured(outcome: Outcome) -> Row:
    areas: list[ClassArea] = []
    if outcome.state in ("written", "skipped"):
        areas = areas_in(outcome.task.outputs[0], outcome.task.source.name)
    return Row(outcome, tuple(areas))
