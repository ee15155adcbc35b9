"""`localdisc models`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import WrongUse, complain, print_json, print_table
from napari_localdisc.core.errors import ModelError

EXAMPLES = """[bold]Examples[/bold]

localdisc models

localdisc models fundus

localdisc models fundus --export fundus.zip

localdisc models --import fundus.zip"""


def models(
    name: Annotated[
        str | None,
        options.argument(
            "[MODEL]", "Show this model's card: data, licence, training, quality."
        ),
    ] = None,
    export: Annotated[
        Path | None,
        options.option(
            "FILE.zip", "Write the model as a package of bioimage.io.", "--export"
        ),
    ] = None,
    package: Annotated[
        Path | None,
        options.option(
            "FILE.zip",
            "Take a model that was written so into the folder of own models.",
            "--import",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the models there are, show one's card, or pass one on.

    Own models are looked for in the folder LOCALDISC_MODELS, or where the system keeps
    a user's data.
    """
    if package is not None:
        _import(package, name, as_json)
        return
    if name is None:
        if export is not None:
            raise WrongUse("Say which model: localdisc models fundus --export FILE.zip")
        _list(as_json)
        return
    from napari_localdisc.core.model.model import load_model

    model = load_model(name, "cpu")
    if export is not None:
        from napari_localdisc.io.bioimageio import export_bioimageio

        _tell(model.card.name, export_bioimageio(model, export), as_json)
    elif as_json:
        print_json(dataclasses.asdict(model.card) | {"hash": model.hash})
    else:
        typer.echo(str(model))


def _import(package: Path, name: str | None, as_json: bool) -> None:
    """Save a package's model under its own name or another one."""
    from napari_localdisc.core.model.card import list_models
    from napari_localdisc.core.model.model import save_model
    from napari_localdisc.io.bioimageio import import_bioimageio
    from napari_localdisc.viewer.training.request import model_file

    model = import_bioimageio(package)
    called = name or model.card.name
    if called in list_models():
        raise WrongUse(
            f"There is a model {called!r} already: give another name, for instance "
            f"localdisc models {called}-2 --import {package}"
        )
    model.card = dataclasses.replace(model.card, name=called)
    _tell(called, save_model(model, model_file(called)), as_json)


def _tell(name: str, path: Path, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "file": str(path)})
    else:
        typer.echo(f"{name} → {path}")


def _list(as_json: bool) -> None:
    from rich.table import Table

    from napari_localdisc.core.model.card import list_models, read_card
    from napari_localdisc.core.priors.derived import every_structure

    files = list_models()
    rows: list[dict[str, Any]] = []
    table = Table("model", "images", "clusters", "structures", "file")
    for name, path in files.items():
        try:
            card = read_card(path)
        except ModelError as error:
            complain(str(error))
            continue
        row = {"name": name, "modality": card.modality, "clusters": card.clusters}
        known = every_structure(card.structures)
        rows.append(row | {"structures": list(known), "file": str(path)})
        structures = ", ".join(known) or "–"
        table.add_row(*map(str, row.values()), structures, str(path))
    if as_json:
        print_json(rows)
    else:
        print_table(table)
    if len(rows) < len(files):
        raise typer.Exit(1)
