"""The commands of `localdisc`, one module of `commands` each.

To add a command, add its name to `COMMANDS`, and there a module of that name with a
function of that name, or a `typer.Typer` of several, and its ``EXAMPLES``.  Modules
import what is heavy inside functions.
"""

import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from napari_localdisc.core.errors import (
    Cancelled,
    LocalDiscError,
    MisfitWarning,
    ModelError,
    PromptError,
)

from . import commands, options
from .output import WrongUse, complain

COMMANDS = (
    *("demo", "cluster", "segment", "similar", "measure"),
    *("study", "compare", "index", "find", "landmark"),
    *("train", "adapt", "finetune", "evaluate"),
    *("export", "models", "cache"),
)
"""In the order of ``--help``."""

WRONG_USE, FAILED, STOPPED = 2, 1, 130


class _Group(TyperGroup):
    """Turns the package's errors into one sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", MisfitWarning)
                warnings.showwarning = partial(_say, warnings.showwarning)
                return super().invoke(ctx)
        except LocalDiscError as error:
            complain(str(error))
            wrong_use = isinstance(error, ModelError | PromptError | WrongUse)
            raise typer.Exit(WRONG_USE if wrong_use else FAILED) from None
        except (Cancelled, KeyboardInterrupt):
            complain("Stopped; what was written before is complete.")
            raise typer.Exit(STOPPED) from None


def _say(
    others: Callable[..., None],
    message: Warning | str,
    category: type[Warning],
    *about: Any,
) -> None:
    """Say in a line that an image does not fit; warn of all else as usual."""
    if issubclass(category, MisfitWarning):
        complain(str(message))
    else:
        others(message, category, *about)


def build_app() -> typer.Typer:
    """Return the command line with all commands."""
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for name in COMMANDS:
        module = import_module(f"{commands.__name__}.{name}")
        command = getattr(module, name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, epilog=module.EXAMPLES)
        else:
            app.command(cls=options.Command, epilog=module.EXAMPLES)(command)
    return app


def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version and leave.",
            is_eager=True,
            callback=lambda wanted: _show_version() if wanted else None,
        ),
    ] = False,
) -> None:
    """Cluster medical images, find what looks alike, segment: without labels.

    Images are files, folders or quoted patterns such as 'scans/*.tif'.  A command ends
    with 0 when all was done, 1 when something could not be done (the rest is), and 2
    when it cannot work as it was given.
    """


def _show_version() -> None:
    from napari_localdisc import __version__

    typer.echo(f"localdisc {__version__}")
    raise typer.Exit
