"""Commands that make files of images: one loop for all of them."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .output import Bar, checking_arguments, complain, print_json, progress_bar, say

if TYPE_CHECKING:
    from napari_localdisc.batch import Outcome, Recipe, Task
    from napari_localdisc.core.models import Model


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
) -> None:
    """Run a recipe over images, report each, and exit with 1 if one failed."""
    from napari_localdisc.batch import plan_tasks
    from napari_localdisc.core.models import load_model
    from napari_localdisc.io.images import find_images

    tasks = plan_tasks(find_images(images), folder, recipe.endings)
    model = load_model(model_name, device)
    with checking_arguments():
        recipe.check(model)
    outcomes = _run(tasks, recipe, model, overwrite, dry_run, as_json)
    if as_json:
        print_json([outcome.to_dict() for outcome in outcomes])
    else:
        _sum_up(outcomes)
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _run(
    tasks: "list[Task]",
    recipe: "Recipe",
    model: "Model",
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> "list[Outcome]":
    from napari_localdisc.batch import run_task

    outcomes = []
    with progress_bar(len(tasks)) as show:
        for index, task in enumerate(tasks):
            name = task.source.name
            show(index, name)
            outcome = run_task(
                task,
                recipe,
                model,
                overwrite=overwrite,
                dry_run=dry_run,
                progress=partial(_show_tile, show, index, name),
            )
            outcomes.append(outcome)
            if outcome.state == "failed":
                complain(outcome.reason)
            elif not as_json:
                say(_line(outcome))
    return outcomes


def _show_tile(show: Bar, index: int, name: str, done: int, total: int) -> None:
    show(index + done / total, name)


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
