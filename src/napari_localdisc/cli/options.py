"""Arguments and options that commands share, so that they mean the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer


def _check_flips(flips: int) -> int:
    if flips not in (1, 2, 4):
        raise typer.BadParameter(f"must be 1, 2 or 4, not {flips}")
    return flips


Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE…",
        help="Image files, folders or quoted patterns such as 'scans/*.tif'.",
    ),
]
OutputFolder = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        help="Folder for the results; made if need be.",
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "-m", "--model", metavar="MODEL", help="Name (see 'models') or file of a model."
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Where to compute, for instance cpu or cuda; by default a GPU if there "
        "is one.",
    ),
]
Flips = Annotated[
    int,
    typer.Option(
        metavar="1|2|4",
        callback=_check_flips,
        help="Mirrored copies to average: better and slower.",
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        metavar="",
        help="Neither look for the image's embedding on disk nor keep it there.",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", metavar="", help="Replace results that are there already."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", metavar="", help="Only say what would be written.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|FILE",
        help="Work on a dask cluster that is running: its scheduler's address or "
        "scheduler file.  Every machine must see the same folders.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Images at once on this machine; by default one a core.",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", metavar="", help="Print JSON instead of text and tables."),
]
NewModel = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="MODEL",
        help="The new model's file; what belongs to it lies beside it: card, log, "
        "pictures, checkpoint.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", metavar="", help="Go on from the checkpoint.")
]
Seed = Annotated[int, typer.Option(metavar="N", help="Decides all chance.")]
