"""`localdisc models`."""

import dataclasses
from typing import Annotated, Any

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import complain, print_json, print_table
from napari_localdisc.core.errors import ModelError

EXAMPLES = """[bold]Examples[/bold]

localdisc models

localdisc models fundus"""


def models(
    name: Annotated[
        str | None,
        options.argument(
            "[MODEL]", "Show this model's card: data, licence, training, quality."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the models there are, or show one's card.

    Own models are looked for in the folder LOCALDISC_MODELS, or where the system keeps
    a user's data.
    """
    if name is None:
        _list(as_json)
        return
    from napari_localdisc.core.model.model import load_model

    model = load_model(name, "cpu")
    if as_json:
        print_json(dataclasses.asdict(model.card) | {"hash": model.hash})
    else:
        typer.echo(str(model))


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
