"""What commands say: results on standard output, trouble and progress on the other."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from napari_localdisc.core.errors import LocalDiscError

if TYPE_CHECKING:
    from rich.table import Table


class WrongUse(LocalDiscError):
    """Arguments that cannot work, whatever the files hold."""


@contextmanager
def checking_arguments() -> Iterator[None]:
    """Turn the package's errors within the block into `WrongUse`."""
    try:
        yield
    except LocalDiscError as error:
        raise WrongUse(str(error)) from error


def complain(sentence: str) -> None:
    """Print what went wrong to standard error."""
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(sentence, err=True)


def remark(sentence: str) -> None:
    """Print to standard error what is worth knowing and no error."""
    typer.echo(f"note: {sentence}", err=True)


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(table: "Table") -> None:
    """Print a table to standard output, never cut off where that is a file."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


@contextmanager
def progress_bar(total: int, what: str = "images") -> Iterator[Callable[..., None]]:
    """Show a progress bar on standard error while that is a terminal.

    What the block gets shows how many things are done and, if it is told, which is
    being worked on.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TextColumn(f"{{task.completed:.0f}}/{{task.total}} {what}"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as bars:
        task = bars.add_task("", total=total)

        def show(done: float, name: str = "") -> None:
            bars.update(task, completed=done, description=name)

        yield show
