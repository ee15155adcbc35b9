"""`localdisc evaluate`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import (
    checking_arguments,
    complain,
    print_json,
    print_table,
    progress_bar,
    remark,
)

if TYPE_CHECKING:
    from rich.table import Table

    from napari_localdisc.core.evaluation.measures import Measure, Rows

EXAMPLES = """[bold]Examples[/bold]

localdisc evaluate drive/test --structure vessel

localdisc evaluate lesions --structure hard_exudate --measures clicks,baselines --json

localdisc evaluate lesions --structure hard_exudate+soft_exudate --as 'bright lesion'"""


def evaluate(
    folder: Annotated[
        Path,
        options.argument(
            "FOLDER",
            "NAME.ext with masks NAME_<structure>.png beside it and, optionally, the "
            "field of view NAME_fov.png.",
        ),
    ],
    structure: Annotated[
        str,
        options.option(
            "NAME",
            "Structure that the masks show; 'a+b' is the union of two masks.",
            "-s",
            "--structure",
        ),
    ],
    model: options.ModelName = "fundus",
    named: Annotated[
        str | None,
        options.option(
            "NAME",
            "The model's name for the structure, where it is another one.",
            "--as",
        ),
    ] = None,
    measures: Annotated[
        str | None,
        options.option(
            "LIST",
            "Of structure (Dice at 0.5, AUC), clicks (Dice after 1, 3, 5, 10 clicks), "
            "clusters (best of n) and baselines (the same for what there is without "
            "this); by default all.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        options.option("N", "Only N images, spread evenly over the folder.", min=1),
    ] = None,
    flips: options.Flips = 1,
    magnification: options.Magnification = None,
    device: options.Device = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure a model on images with masks, beside what there is without it."""
    from napari_localdisc.core.evaluation.evaluate import NAMES
    from napari_localdisc.core.evaluation.evaluate import evaluate as measure
    from napari_localdisc.core.evaluation.measures import MEASURES
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.io.labelled import labelled_images, with_structure

    images = labelled_images(folder, remark)
    chosen = with_structure(images, structure, folder)
    without = len(images) - len(chosen)
    if limit is not None and limit < len(chosen):
        chosen = [chosen[index * len(chosen) // limit] for index in range(limit)]
    loaded = load_model(model, device)
    given = [part.strip() for part in (measures or "").split(",")]
    wanted = [part for part in given if part] if measures else NAMES
    with checking_arguments(), progress_bar(len(chosen)) as show:
        report = measure(
            (partial(image.case, structure) for image in chosen),
            loaded,
            structure,
            wanted,
            named=named,
            flips=flips,
            magnification=magnification,
            progress=show,
        )
    for failure in report.failures:
        complain(failure.reason)
    if as_json:
        about = {
            "folder": str(folder),
            "of": structure,
            "model": loaded.card.name,
            "model_hash": loaded.hash,
            "flips": flips,
            "magnification": magnification,
            "without_mask": without,
        }
        print_json(about | report.to_dict())
    else:
        said = f"{structure} in {folder}: {len(report.results)} images"
        if without:
            said += f", {without} more without a mask of it"
        typer.echo(f"{said}; model {loaded.card.name} ({loaded.hash})")
        for name, rows in report.tables.items():
            if rows:
                print_table(_table(MEASURES[name], rows))
    if report.failures:
        raise typer.Exit(1)


def _table(measure: "Measure", rows: "Rows") -> "Table":
    from rich.table import Table

    table = Table(title=measure.title, title_justify="left")
    table.add_column(measure.rows)
    columns = [c for c in measure.headings if any(c in row for row in rows.values())]
    for column in columns:
        table.add_column(measure.headings[column], justify="right")
    for name, row in rows.items():
        digits = [measure.digits.get(column, 3) for column in columns]
        values = [row.get(column) for column in columns]
        table.add_row(str(name), *map(_cell, values, digits))
    return table


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, dict):
        return "; ".join(_cell(part, digits) for part in value.values())
    if isinstance(value, list):
        return "+".join(map(str, value))
    return "" if value is None else f"{value:.{digits}f}"
