"""`localdisc segment`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_localdisc.cli import options

POSITION = 30

EXAMPLES = """[bold]Examples[/bold]

localdisc segment retina.jpg --structure vessel -o out/

localdisc segment scans/ --structure 'optic disc' --threshold 0.3 -o out/"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(segment)


def segment(
    images: options.Images,
    structure: Annotated[
        str,
        typer.Option(
            "-s",
            "--structure",
            metavar="NAME",
            help="A structure that the model's card names (see 'models').",
            show_default=False,
        ),
    ],
    output: options.OutputFolder,
    model: options.ModelName = "fundus",
    threshold: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Probability from which a pixel is in the mask."
        ),
    ] = 0.5,
    flips: options.Flips = 1,
    device: options.Device = None,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Find a named structure: NAME_vessel.tif (0 and 1) and its probability.

    The probability goes to NAME_vessel_probability.tif, 32-bit floats from 0 to 1.
    Both have the image's own size.
    """
    from napari_localdisc.batch import StructureRecipe
    from napari_localdisc.cli.folders import make_files
    from napari_localdisc.core.model_files import list_models, summarise_model
    from napari_localdisc.core.naming import find_name

    file = list_models().get(model, Path(model))
    known = summarise_model(file).structures if file.is_file() else ()
    recipe = StructureRecipe(find_name(known, structure) or structure, threshold, flips)
    make_files(
        images,
        output,
        recipe,
        model,
        device,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
        scheduler=scheduler,
        workers=workers,
    )
