"""`localdisc export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_localdisc.cli import options

if TYPE_CHECKING:
    from napari_localdisc.batch.tasks import Outcome
    from napari_localdisc.io.labels import Colour

EXAMPLES = """[bold]Examples[/bold]

localdisc export out/*_clusters.tif -o png/ --format png

localdisc export out/*_vessel.tif -o data_set.json

localdisc export labels.ome.zarr -o masks/ --format masks --name 1=vessel --name 2=disc

localdisc export out/ -o zarr/ --format ome-zarr --colour '1=#ff8800'"""


def export(
    labels: Annotated[
        list[str],
        typer.Argument(
            metavar="LABELS…",
            help="Labels as PNG, TIFF, OME-Zarr or COCO JSON; folders; patterns.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR|FILE",
            help="Folder for a file per image, or one .json file for all (COCO).",
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help="png, tiff, ome-tiff, ome-zarr, coco, or masks (a PNG per class); by "
            "default what the output's ending says, else png.",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="LABEL=NAME",
            help="Call a label so; may be given several times.",
        ),
    ] = None,
    colours: Annotated[
        list[str] | None,
        typer.Option(
            "--colour",
            metavar="LABEL=#RRGGBB",
            help="Give a label this colour; may be given several times.",
        ),
    ] = None,
    segmentation: Annotated[
        str,
        typer.Option(
            metavar="auto|polygon|rle",
            help="For COCO: polygons, with run lengths for regions with holes (auto), "
            "or only one of them.",
        ),
    ] = "auto",
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Write labels in the formats of other programs; values stay as they are."""
    from napari_localdisc.cli.exporting import Exporter
    from napari_localdisc.cli.folders import exit_if_failed, report
    from napari_localdisc.cli.output import (
        checking_arguments,
        print_json,
        progress_bar,
    )
    from napari_localdisc.io.labels import find_labels

    with checking_arguments():
        exporter = Exporter(
            output,
            form or "",
            _pairs(names or [], "--name"),
            {k: _rgba(v) for k, v in _pairs(colours or [], "--colour").items()},
            segmentation,
            overwrite,
            dry_run,
        )
    sources = find_labels(labels)
    with progress_bar(len(sources), "files") as show:
        outcomes = exporter.run(sources, show)
    for outcome in outcomes:
        report(outcome, as_json)
    if as_json:
        print_json([_row(outcome) for outcome in outcomes])
    exit_if_failed(outcomes)


def _row(outcome: "Outcome") -> dict[str, Any]:
    known = outcome.to_dict()
    return {"labels": known["image"]} | {
        key: known[key] for key in ("outputs", "state", "reason")
    }


def _pairs(given: list[str], option: str) -> dict[int, str]:
    from napari_localdisc.cli.output import WrongUse

    pairs = {}
    for text in given:
        value, _, said = text.partition("=")
        if not value.strip().lstrip("-").isdigit() or not said.strip():
            raise WrongUse(
                f"{option} takes a label and what it is, for instance {option} "
                f"1={'vessel' if option == '--name' else '#ff8800'}, not {text!r}."
            )
        pairs[int(value)] = said.strip()
    return pairs


def _rgba(text: str) -> "Colour":
    from napari_localdisc.cli.output import WrongUse
    from napari_localdisc.core.colours import from_hex

    digits = text.lstrip("#")[:7]  # seven are as wrong as more
    try:
        return *from_hex(f"#{digits}"), 1.0
    except ValueError:
        raise WrongUse(f"A colour is written as #RRGGBB, not {text!r}.") from None
