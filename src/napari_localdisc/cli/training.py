"""What the commands that train share: progress, and the new model's file."""

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from napari_localdisc.core.errors import FileError, LocalDiscError

from .output import print_json, progress_bar, remark

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.core.training.progress import Progress

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
"""What Fabric, torchrun and batch systems number processes and nodes by."""


def _speaks() -> bool:
    return all(os.environ.get(rank, "0") == "0" for rank in _RANKS)


@contextmanager
def training_progress() -> Iterator[dict[str, Any]]:
    """Give the callbacks ``preparing`` and ``progress``, shown on standard error.

    A terminal gets bars; a file gets a line for each validation.  Images that are left
    out are named.  Of several processes the first speaks for all.
    """
    if not _speaks():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield {}
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    shown = console.is_terminal
    all_bars = Bars(*columns, console=console, disable=not shown)
    with warnings.catch_warnings(), all_bars as bars:
        reading = bars.add_task("reading images", total=1, note="")
        learning = bars.add_task("learning", total=1, start=False, note="")

        def preparing(done: int, total: int) -> None:
            bars.update(reading, completed=done / total, note=f"{done}/{total}")

        def progress(state: "Progress") -> None:
            if state.step == 1:
                bars.start_task(learning)
            note = f"step {state.step}, loss {state.losses['total']:.3f}"
            bars.update(learning, completed=state.share, note=note)
            if state.validation and not shown:
                score = state.validation["score"]
                console.print(f"{note}, validation {score:.4f}", highlight=False)

        usual = warnings.showwarning

        def note(
            message: Any, category: type[Warning], *place: Any, **more: Any
        ) -> None:
            if category is UserWarning:
                said = f"[bold yellow]note:[/] {escape(str(message))}"
                console.print(said, highlight=False, soft_wrap=True)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = note
        yield {"preparing": preparing, "progress": progress}


def make_model(
    ctx: typer.Context,
    make: "Callable[[], Model]",
    count: Callable[[], int] | None = None,
) -> None:
    """Make a model, never replacing one unasked, and say where it went and what it is.

    The command has the options ``folder``, ``output``, ``overwrite``, ``dry_run`` and
    ``as_json``; with ``dry_run`` it is only said what would be written.

    Parameters
    ----------
    ctx : Context
        Of the command.
    make : callable
        Makes the model.
    count : callable, optional
        Returns how many images it is made from; by default a folder's photographs.

    Raises
    ------
    FileError
        If the model is there and neither replaced nor gone on with, or the folder
        holds no image.
    """
    given = ctx.params
    file = given["output"].with_suffix(".safetensors")
    if file.exists() and not (given["overwrite"] or given.get("resume")):
        raise FileError(
            f"{file} is there already: --overwrite replaces it, or give another name."
        )
    if given["dry_run"]:
        images = _count_photographs(given["folder"]) if count is None else count()
        if given["as_json"]:
            print_json({"images": images, "file": str(file), "state": "planned"})
        else:
            where = f"{images} images in {given['folder']}"
            typer.echo(f"{where} → {file} (would be written)")
        return
    model = make()
    if not _speaks():
        return
    card = model.card
    if given["as_json"]:
        print_json({"file": str(file), "hash": model.hash} | dataclasses.asdict(card))
    else:
        structures = ", ".join(card.structures) or "none"
        typer.echo(
            f"{file}: {card.details.get('steps')} steps; structures: {structures}"
        )
        typer.echo(
            f"Use it with --model {file}; 'localdisc models {file}' shows its card."
        )


def _count_photographs(folder: Path) -> int:
    """Count the images that a training can use, and say which it leaves out."""
    from napari_localdisc.core.image.files import read_image
    from napari_localdisc.core.image.working import as_rgb
    from napari_localdisc.core.training.photographs import photograph_files

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        files = photograph_files(folder)
    for warning in said:
        remark(str(warning.message))
    if not files:
        raise FileError(f"The folder {folder} holds no image file.")
    usable = 0
    with progress_bar(len(files)) as show:
        for number, file in enumerate(files, 1):
            try:
                as_rgb(read_image(file))
                usable += 1
            except LocalDiscError as error:
                about = "" if file.name in str(error) else f"{file.name}: "
                remark(f"Left out: {about}{error}")
            show(number, file.name)
    return usable
