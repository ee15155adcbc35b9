"""Commands that make files of images: one loop for all of them, and one report."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import typer

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import check_replaceable

from .output import (
    WrongUse,
    checking_arguments,
    complain,
    print_json,
    progress_bar,
    remark,
)

if TYPE_CHECKING:
    from napari_localdisc.batch.dask_cluster import Scheduler
    from napari_localdisc.batch.recipes import Recipe
    from napari_localdisc.batch.tasks import Job, Outcome, Task
    from napari_localdisc.core.model.model import Model


def make_files(
    ctx: typer.Context, recipes: "Sequence[Recipe]", model_name: str
) -> None:
    """Run recipes over a command's images, report each, and exit with 1 if one failed.

    The command has the options ``images``, ``output``, ``device``, ``workers``,
    ``scheduler``, ``tls_…``, ``overwrite``, ``dry_run`` and ``as_json``.
    """
    from napari_localdisc.batch.tasks import Job, plan_tasks
    from napari_localdisc.core.image.files import find_images
    from napari_localdisc.core.model.model import load_model

    given = SimpleNamespace(**ctx.params)
    sources = find_images(given.images, remark)
    plans = [plan_tasks(sources, given.output, recipe.endings) for recipe in recipes]
    model = load_model(model_name, given.device)
    with checking_arguments():
        for recipe in recipes:
            recipe.check(model)
    jobs = [
        Job(
            recipe, model_name, model.hash, given.device, given.overwrite, given.dry_run
        )
        for recipe in recipes
    ]
    if len(jobs) == 1:
        outcomes = work_through(plans[0], jobs[0], model, given)
    else:
        outcomes = _work_through_several(plans, jobs, model, given)
    conclude(outcomes, given.as_json)


def _work_through_several(
    plans: "Sequence[Sequence[Task]]",
    jobs: "Sequence[Job]",
    model: "Model",
    given: SimpleNamespace,
) -> "list[Outcome]":
    """Do several jobs, for which the model looks at each image once, as `work_through`.

    Outcomes are in the order of the images, and of the jobs within each.
    """
    from napari_localdisc.batch.run import run_several

    done: list[tuple[int, int, Outcome]] = []
    order = {task.source.resolve(): place for place, task in enumerate(plans[0])}
    work = run_several(
        plans,
        jobs,
        model=model,
        scheduler=_scheduler(given),
        workers=given.workers,
    )
    with progress_bar(len(plans[0]) * len(jobs)) as show, closing(work):
        for ended in filter(None, work):
            number, outcome = ended
            source = outcome.task.source
            done.append((order[source.resolve()], number, outcome))
            show(len(done), source.name)
            report(outcome, given.as_json)
    return [outcome for _, _, outcome in sorted(done, key=lambda row: row[:2])]


def check_table(path: Path, is_ours: Callable[[Path], bool], overwrite: bool) -> None:
    """Raise an error where a command cannot write its table, before it works for it."""
    if path.suffix.lower() != ".csv":
        raise WrongUse(f"{path} must end with .csv.")
    if path.exists():
        check_replaceable(path, is_ours)
        if not overwrite:
            raise FileError(f"{path} is there already; --overwrite replaces it.")


def work_through(
    tasks: "Sequence[Task]",
    job: "Job",
    model: "Model | None",
    given: SimpleNamespace,
    told: Path | None = None,
) -> "list[Outcome]":
    """Do all tasks of a job and report each; outcomes in the order of the tasks.

    ``given`` has the options ``workers``, ``scheduler`` and ``as_json``, and may have
    ``tls_ca``, ``tls_certificate`` and ``tls_key``; ``told`` is the one file that
    becomes of all, where there is one.
    """
    from napari_localdisc.batch.run import run_tasks
    from napari_localdisc.batch.tasks import Task

    outcomes: list[Outcome] = []
    with progress_bar(len(tasks)) as show:

        def on_tile(task: "Task", done: int, total: int) -> None:
            if len(tasks) == 1:  # it gets all cores, and shows its tiles
                show(done / total, task.source.name)

        work = run_tasks(
            tasks,
            job,
            model=model,
            scheduler=_scheduler(given),
            workers=given.workers,
            on_tile=on_tile,
        )
        with closing(work):
            for outcome in filter(None, work):
                if told is not None:
                    task = Task(outcome.task.source, (told,))
                    outcome = replace(outcome, task=task)
                outcomes.append(outcome)
                show(len(outcomes), outcome.task.source.name)
                report(outcome, given.as_json)
    order = {task.source.resolve(): place for place, task in enumerate(tasks)}
    outcomes.sort(key=lambda done: order[done.task.source.resolve()])
    return outcomes


def on_this_machine(workers: int | None, as_json: bool) -> SimpleNamespace:
    """Return what `work_through` is given by commands that know no cluster."""
    return SimpleNamespace(workers=workers, scheduler=None, as_json=as_json)


def _scheduler(given: SimpleNamespace) -> "Scheduler | None":
    options = vars(given)
    certificates = [options.get(f"tls_{kind}") for kind in ("ca", "certificate", "key")]
    if given.scheduler is None:
        if any(certificates):
            raise WrongUse("Certificates are for a cluster: give --scheduler as well.")
        return None
    from napari_localdisc.batch.dask_cluster import Scheduler

    return Scheduler(given.scheduler, *certificates)


def conclude(outcomes: "Sequence[Outcome]", as_json: bool) -> None:
    """Say in all what became of a command's images, and exit with 1 if one failed."""
    from napari_localdisc.batch.tasks import count_states

    if as_json:
        print_json([outcome.to_dict() for outcome in outcomes])
    elif len(outcomes) > 1:
        images = len({outcome.task.source for outcome in outcomes})
        each = len(outcomes) // images
        said = "1 image" if images == 1 else f"{images} images"
        said += f", {each} structures each" if each > 1 else ""
        typer.echo(f"{said}: {count_states(outcomes)}")
    exit_if_failed(outcomes)


def report(outcome: "Outcome", as_json: bool) -> None:
    """Say what became of one file; what went well not where JSON says it."""
    if outcome.state == "failed":
        complain(outcome.reason)
    elif not as_json:
        said = {"skipped": " (was done already)", "planned": " (would be written)"}
        files = ", ".join(str(path) for path in outcome.task.outputs)
        typer.echo(f"{outcome.task.source} → {files}{said.get(outcome.state, '')}")


def exit_if_failed(outcomes: "Iterable[Outcome]") -> None:
    """End with 1 if something could not be done."""
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)
