"""Commands that make files of images: one loop for all of them."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .output import Bar, checking_arguments, complain, print_json, progress_bar, say

if TYPE_CHECKING:
    from napari_localdisc.batch.recipes import Recipe
    from napari_localdisc.batch.tasks import Job, Outcome, Task
    from napari_localdisc.core.model.model import Model


def make_files(
    images: list[str],
    folder: Path,
    recipe: "Recipe",
    model_name: str,
    device: str | None,
    *,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    scheduler: str | None = None,
    workers: int | None = None,
) -> None:
    """Run a recipe over images, report each, and exit with 1 if one failed."""
    from napari_localdisc.batch.tasks import Job, plan_tasks
    from napari_localdisc.core.image.files import find_images
    from napari_localdisc.core.model.model import load_model

    tasks = plan_tasks(find_images(images), folder, recipe.endings)
    model = load_model(model_name, device)
    with checking_arguments():
        recipe.check(model)
    job = Job(recipe, model_name, model.hash, device, overwrite, dry_run)
    outcomes = _run(tasks, job, model, as_json, scheduler, workers)
    if as_json:
        print_json([outcome.to_dict() for outcome in outcomes])
    else:
        _sum_up(outcomes)
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _run(
    tasks: "list[Task]",
    job: "Job",
    model: "Model",
    as_json: bool,
    scheduler: str | None,
    workers: int | None,
) -> "list[Outcome]":
    from napari_localdisc.batch.run import run_tasks
    from napari_localdisc.batch.tasks import attempt

    outcomes: list[Outcome] = []
    with progress_bar(len(tasks)) as show:

        def tell(outcome: "Outcome") -> None:
            outcomes.append(outcome)
            show(len(outcomes), outcome.task.source.name)
            if outcome.state == "failed":
                complain(outcome.reason)
            elif not as_json:
                say(_line(outcome))

        if scheduler is None and len(tasks) == 1:
            # One image gets all cores, and shows its tiles
            (task,) = tasks
            name = task.source.name
            tell(attempt(task, job, model, partial(_show_tile, show, name)))
        else:
            run_tasks(
                tasks, job, tell, model=model, scheduler=scheduler, workers=workers
            )
    order = {task.source.resolve(): place for place, task in enumerate(tasks)}
    return sorted(outcomes, key=lambda done: order[done.task.source.resolve()])


def _show_tile(show: Bar, name: str, done: int, total: int) -> None:
    show(done / total, name)


def _line(outcome: "Outcome") -> str:
    words = {
        "written": "",
        "skipped": " (was done already)",
        "planned": " (would be written)",
    }
    files = ", ".join(str(path) for path in outcome.task.outputs)
    return f"{outcome.task.source} → {files}{words[outcome.state]}"


def _sum_up(outcomes: "list[Outcome]") -> None:
    if len(outcomes) < 2:
        return
    states = [outcome.state for outcome in outcomes]
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    say(f"{len(outcomes)} images: {said}")
