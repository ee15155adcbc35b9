"""`localdisc evaluate`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_localdisc.cli import options

if TYPE_CHECKING:
    from napari_localdisc.core.evaluation import Report
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.io.labelled import LabelledImage

EXAMPLES = """[bold]Examples[/bold]

localdisc evaluate drive/test --structure vessel

localdisc evaluate lesions --structure hard_exudate --measures clicks,baselines --json

localdisc evaluate lesions --structure hard_exudate+soft_exudate --as 'bright lesion'"""


def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="NAME.ext with masks NAME_<structure>.png beside it and, optionally, "
            "the field of view NAME_fov.png.",
            show_default=False,
        ),
    ],
    structure: Annotated[
        str,
        typer.Option(
            "-s",
            "--structure",
            metavar="NAME",
            help="Structure that the masks show; 'a+b' is the union of two masks.",
            show_default=False,
        ),
    ],
    model: options.ModelName = "fundus",
    named: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="The model's name for the structure, where it is another one.",
            show_default=False,
        ),
    ] = None,
    measures: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Of structure (Dice at 0.5, AUC), clicks (Dice after 1, 3, 5, 10 "
            "clicks), clusters (best of n) and baselines (the same for what there is "
            "without this).",
        ),
    ] = "structure,clicks,clusters,baselines",
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Only N images, spread evenly over the folder.",
            show_default=False,
        ),
    ] = None,
    flips: options.Flips = 1,
    device: options.Device = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure a model on images with masks, beside what there is without it."""
    from napari_localdisc.cli.output import (
        checking_arguments,
        complain,
        print_json,
        progress_bar,
    )
    from napari_localdisc.core.evaluation import evaluate as measure
    from napari_localdisc.core.evaluation import summarise
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.io.labelled import labelled_images, with_structure

    images = labelled_images(folder)
    chosen = with_structure(images, structure, folder)
    without = len(images) - len(chosen)
    chosen = _spread(chosen, limit)
    loaded = load_model(model, device)
    wanted = [part.strip() for part in measures.split(",") if part.strip()]
    with checking_arguments(), progress_bar(len(chosen)) as show:
        results, failures = measure(
            (partial(image.case, structure) for image in chosen),
            loaded,
            structure,
            wanted,
            named=named,
            flips=flips,
            progress=show,
        )
    for failure in failures:
        complain(failure.reason)
    report = summarise(results, failures)
    if as_json:
        about = {
            "folder": str(folder),
            "structure": structure,
            "model": loaded.card.name,
            "model_hash": loaded.hash,
            "flips": flips,
            "without_mask": without,
        }
        print_json(about | report.to_dict())
    else:
        _print(report, folder, structure, loaded, without)
    if failures:
        raise typer.Exit(1)


def _spread(images: "list[LabelledImage]", limit: int | None) -> "list[LabelledImage]":
    if limit is None or limit >= len(images):
        return images
    return [images[index * len(images) // limit] for index in range(limit)]


def _print(
    report: "Report", folder: Path, structure: str, model: "Model", without: int
) -> None:
    from napari_localdisc.cli.output import print_table, say

    said = f"{structure} in {folder}: {report.images} images"
    if without:
        said += f", {without} more without a mask of it"
    say(f"{said}; model {model.card.name} ({model.hash})")
    for title, header, rows in _tables(report):
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        for index, name in enumerate(header):
            table.add_column(name, justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*row)
        print_table(table)


def _tables(report: "Report") -> list[tuple[str, list[str], list[list[str]]]]:
    tables = []
    if report.structure:
        rows = [[method, *_structure(row)] for method, row in report.structure.items()]
        header = ["", "Dice", "± between images", "AUC", "best Dice", "at threshold"]
        tables.append(("Structure, without labels", header, rows))
    if report.clicks:
        counts = list(next(iter(report.clicks.values())))
        header = ["", *(_clicks(count) for count in counts), "AUC of the first click"]
        rows = [
            [
                method,
                *(_number(row[count]) for count in counts),
                _number(report.first_click_auc[method]),
            ]
            for method, row in report.clicks.items()
        ]
        tables.append(("Dice after clicks", header, rows))
    if report.clusters:
        header = ["n", "best one", "best two", "same one", "same two", "labels"]
        rows = [[str(n), *_clusters(row)] for n, row in report.clusters.items()]
        title = "Clusters: Dice of the best in each image, and of one choice for all"
        tables.append((title, header, rows))
    return tables


def _clicks(count: int) -> str:
    return "1 click" if count == 1 else f"{count} clicks"


def _structure(row: dict[str, float]) -> list[str]:
    keys = ("dice", "dice_std", "auc", "dice_at_best_threshold")
    best = row.get("best_threshold")
    cells = [_number(row.get(key)) for key in keys]
    return [*cells, "" if best is None else f"{best:.2f}"]


def _clusters(row: dict[str, Any]) -> list[str]:
    cells = [_number(row[key]) for key in ("one", "two", "same_one", "same_two")]
    labels = row["labels"]
    both = "+".join(str(label) for label in labels["two"])
    return [*cells, f"{labels['one'][0]}; {both}"]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
