"""What `train` and `adapt` share: progress while images are read and learnt from."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

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
    with warnings.catch_warnings():
        if not _speaks():
            warnings.simplefilter("ignore", UserWarning)
            yield {}
            return
        with _shown_progress() as callbacks:
            yield callbacks


@contextmanager
def _shown_progress() -> Iterator[dict[str, Any]]:
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
    with Bars(*columns, console=console, disable=not shown) as bars:
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
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if category is UserWarning:
                console.print(
                    f"[bold yellow]note:[/] {escape(str(message))}",
                    highlight=False,
                    soft_wrap=True,
                )
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = note
        yield {"preparing": preparing, "progress": progress}


def plan_model(
    folder: Path, output: Path, replace: bool, dry_run: bool, as_json: bool
) -> bool:
    """Make sure that no model is replaced unasked; say what a dry run would write.

    Returns
    -------
    bool
        Whether to go on.

    Raises
    ------
    FileError
        If the model is there and neither replaced nor gone on with, or the folder
        holds no image.
    """
    from napari_localdisc.core.errors import FileError
    from napari_localdisc.core.image.files import find_images

    from .output import print_json, say

    file = output.with_suffix(".safetensors")
    if file.exists() and not replace:
        raise FileError(
            f"{file} is there already: --overwrite replaces it, or give another name."
        )
    if not dry_run:
        return True
    images = len(find_images([folder]))
    if as_json:
        print_json({"images": images, "file": str(file), "state": "planned"})
    else:
        say(f"{images} images in {folder} → {file} (would be written)")
    return False


def report_model(model: "Model", output: Path, as_json: bool) -> None:
    """Say where a model went and what it is."""
    if not _speaks():
        return
    import dataclasses

    from .output import print_json, say

    file = str(output.with_suffix(".safetensors"))
    if as_json:
        about = {"file": file, "hash": model.hash}
        print_json(about | dataclasses.asdict(model.card))
        return
    details = model.card.details
    structures = ", ".join(model.card.structures) or "none"
    say(f"{file}: {details.get('steps')} steps; structures: {structures}")
    say(f"Use it with --model {file}; 'localdisc models {file}' shows its card.")
