"""Who works on a list of tasks: this machine's cores, or a cluster of machines.

Either way one task is one image, done by `run_task`: idempotent, its files written
atomically.  A worker that is lost loses nothing: dask gives its task to another one,
which skips what is done.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from napari_localdisc.core.errors import Cancelled
from napari_localdisc.core.work import reused_memory, torch_threads

from .recipes import Progress
from .tasks import Job, Outcome, Outcomes, Task, run_image, run_task

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model

    from .dask_cluster import Scheduler

T = TypeVar("T")
R = TypeVar("R")

_POLL_SECONDS = 0.2
_LEFTOVER_SECONDS = 5.0


def run_tasks(
    tasks: Sequence[Task],
    job: Job,
    *,
    model: Model | None = None,
    scheduler: str | Scheduler | None = None,
    workers: int | None = None,
    spare_cores: int = 0,
    on_tile: Callable[[Task, int, int], None] | None = None,
) -> Outcomes:
    """Make the files of many images.

    Closing the generator stops the work after the tiles that are being computed; what
    is written stays.

    Parameters
    ----------
    tasks : sequence of Task
        From `plan_tasks`.
    job : Job
        What to make of each.
    model : Model, optional
        The job's, where it is loaded already; a cluster's workers load their own.
    scheduler : str or Scheduler, optional
        Address (``tcp://…``) or scheduler file of a running dask.distributed cluster;
        by default this machine's cores.
    workers : int, optional
        Images at once on this machine; by default one a core, with one torch thread
        each, which is what fills the cores best, or two where it has a GPU.
    spare_cores : int
        Cores of this machine that are left to others, for instance to a window.
    on_tile : callable, optional
        Called with (task, tiles done, tiles in all) by the threads of this machine.

    Yields
    ------
    Outcome or None
        Of each task, once, as it ends; None where nothing ended for a while.

    Raises
    ------
    FileError
        If the cluster cannot be reached, or dask.distributed is not installed.
    ModelError
        If a model cannot be loaded, or is another one on one of the machines.
    """
    if scheduler:
        from .dask_cluster import outcomes_on_cluster

        yield from outcomes_on_cluster(tasks, job, scheduler)
    else:
        model = model or job.load_model()
        cores = max(1, (os.cpu_count() or 1) - spare_cores)
        on_gpu = model is not None and model.device.type == "cuda"
        at_once = workers or (2 if on_gpu else cores)
        at_once = max(1, min(at_once, len(tasks)))
        with reused_memory(), torch_threads(at_once, cores // at_once) as pool:
            yield from _outcomes_here(tasks, job, model, pool, at_once, on_tile)
    if not job.dry_run:
        remove_leftovers(tasks)


def run_several(
    plans: Sequence[Sequence[Task]],
    jobs: Sequence[Job],
    *,
    model: Model | None = None,
    scheduler: str | Scheduler | None = None,
    workers: int | None = None,
    spare_cores: int = 0,
) -> Generator[tuple[int, Outcome] | None, None, None]:
    """Make several things of the same images; the model looks at each image once.

    On a cluster it looks once for each of them.

    Parameters
    ----------
    plans : sequence of sequence of Task
        For each job those of the same images, in the same order.
    jobs : sequence of Job
        What to make, by one model.
    model, scheduler, workers, spare_cores
        As for `run_tasks`.

    Yields
    ------
    (int, Outcome) or None
        Number of the job, and what became of an image; None where nothing ended for a
        while.

    Raises
    ------
    FileError, ModelError
        As `run_tasks`.
    """
    if scheduler or len(jobs) == 1:
        for number, (tasks, job) in enumerate(zip(plans, jobs, strict=True)):
            work_of_one = run_tasks(
                tasks,
                job,
                model=model,
                scheduler=scheduler,
                workers=workers,
                spare_cores=spare_cores,
            )
            with closing(work_of_one) as outcomes:
                for outcome in outcomes:
                    yield None if outcome is None else (number, outcome)
        return
    model = model or jobs[0].load_model()
    images = list(zip(*plans, strict=True))
    cores = max(1, (os.cpu_count() or 1) - spare_cores)
    on_gpu = model is not None and model.device.type == "cuda"
    at_once = max(1, min(workers or (2 if on_gpu else cores), len(images)))

    def work(tasks: tuple[Task, ...], progress: Progress) -> list[Outcome]:
        return run_image(tasks, jobs, model, progress)

    with (
        reused_memory(),
        torch_threads(at_once, cores // at_once) as pool,
        closing(_done_here(images, work, pool, at_once)) as done,
    ):
        for made in done:
            if made is None:
                yield None
            else:
                yield from enumerate(made)
    for tasks, job in zip(plans, jobs, strict=True):
        if not job.dry_run:
            remove_leftovers(tasks)


def _outcomes_here(
    tasks: Sequence[Task],
    job: Job,
    model: Model | None,
    pool: ThreadPoolExecutor,
    at_once: int,
    on_tile: Callable[[Task, int, int], None] | None,
) -> Outcomes:
    def work(task: Task, progress: Progress) -> Outcome:
        def on_progress(done: int, total: int) -> None:
            progress(done, total)
            if on_tile is not None:
                on_tile(task, done, total)

        return run_task(task, job, model, on_progress)

    yield from _done_here(tasks, work, pool, at_once)


def _done_here(
    tasks: Sequence[T],
    work: Callable[[T, Progress], R],
    pool: ThreadPoolExecutor,
    at_once: int,
) -> Generator[R | None, None, None]:
    """Do work for each task, so many at once; None where nothing ended for a while."""
    stop = threading.Event()

    def on_progress(done: int, total: int) -> None:
        if stop.is_set():
            raise Cancelled

    def start(task: T) -> Future[R]:
        return pool.submit(work, task, on_progress)

    waiting = iter(tasks)
    running = {start(task) for task in islice(waiting, at_once)}
    try:
        while running:
            done, running = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
            running |= {start(task) for task in islice(waiting, len(done))}
            if not done:
                yield None
            for future in done:
                yield future.result()
    finally:
        stop.set()


def remove_leftovers(tasks: Sequence[Task]) -> None:
    """Remove what killed processes left half written beside the tasks' files."""
    names = {output.name for task in tasks for output in task.outputs}
    for folder in {output.parent for task in tasks for output in task.outputs}:
        for path in folder.glob(".*") if folder.is_dir() else ():
            owner = path.name[1:].rpartition(".")[0]
            try:
                age = time.time() - path.stat().st_mtime
            except OSError:  # gone meanwhile
                continue
            if owner in names and age > _LEFTOVER_SECONDS:
                path.unlink(missing_ok=True)
