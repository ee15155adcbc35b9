"""The long work on a folder: recipe, tasks, files and areas, as steps off the GUI."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .batch import Outcome, Task, plan_tasks
from .core.errors import Cancelled, FileError
from .io.areas import ClassArea, areas_in

if TYPE_CHECKING:
    from .core.models import Model
    from .embedding_work import ModelFile
    from .machines import Job
    from .recipes import Recipe
    from .running import Steps


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
            from .cluster_work import check_scheduler

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
    from .io.images import find_images

    recipe = order.recipe()
    tasks = plan_tasks(find_images([order.source]), Path(order.out), recipe.endings)
    yield 0, len(tasks)
    from .core.models import load_model
    from .machines import Job

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
    from .machines import attempt

    def watch(done: int, total: int) -> None:
        if stop.is_set():
            raise Cancelled

    for task in tasks:
        yield attempt(task, job, model, watch)


def _elsewhere(tasks: list[Task], job: Job, scheduler: str) -> Iterator[Outcome | None]:
    from .cluster_work import outcomes_on_cluster
    from .machines import remove_leftovers

    yield from outcomes_on_cluster(tasks, job, scheduler)
    remove_leftovers(tasks)


def _measured(outcome: Outcome) -> Row:
    areas: list[ClassArea] = []
    if outcome.state in ("written", "skipped"):
        areas = areas_in(outcome.task.outputs[0], outcome.task.source.name)
    return Row(outcome, tuple(areas))
