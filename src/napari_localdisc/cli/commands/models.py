"""`localdisc models`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_localdisc.cli import options

EXAMPLES = """[bold]Examples[/bold]

localdisc models

localdisc models fundus"""


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Show this model's card: data, licence, training, quality.",
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
    else:
        _show(name, as_json)


def _show(name: str, as_json: bool) -> None:
    import dataclasses

    from napari_localdisc.cli.output import print_json, say
    from napari_localdisc.core.model.model import load_model

    model = load_model(name, "cpu")
    if as_json:
        print_json(dataclasses.asdict(model.card) | {"hash": model.hash})
    else:
        say(str(model))


def _list(as_json: bool) -> None:
    from rich.table import Table

    from napari_localdisc.cli.output import complain, print_json, print_table
    from napari_localdisc.core.errors import ModelError
    from napari_localdisc.core.model.card import list_models

    rows: list[dict[str, Any]] = []
    failed = False
    for name, path in list_models().items():
        try:
            rows.append(_row(name, path))
        except ModelError as error:
            complain(str(error))
            failed = True
    if as_json:
        print_json(rows)
    else:
        table = Table("model", "images", "clusters", "structures", "file", title=None)
        for row in rows:
            structures = ", ".join(row["structures"]) or "–"
            cells = [row["name"], row["modality"], str(row["clusters"]), structures]
            table.add_row(*cells, row["file"])
        print_table(table)
    if failed:
        raise typer.Exit(1)


def _row(name: str, path: Path) -> dict[str, Any]:
    from napari_localdisc.core.model.card import read_card

    card = read_card(path)
    return {
        "name": name,
        "modality": card.modality,
        "clusters": card.clusters,
        "structures": list(card.structures),
        "file": str(path),
    }
