"""`localdisc finetune`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_localdisc.cli import options

EXAMPLES = """[bold]Examples[/bold]

localdisc finetune labelled/ --structure vessel -o vessels.safetensors

localdisc segment scans/ --structure vessel --model vessels.safetensors -o out/"""


def finetune(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="NAME.ext with masks NAME_<structure>.png beside it.",
            show_default=False,
        ),
    ],
    structure: Annotated[
        str,
        typer.Option(
            "-s",
            "--structure",
            metavar="NAME",
            help="Structure that the masks show.",
            show_default=False,
        ),
    ],
    output: options.NewModel,
    model: options.ModelName = "fundus",
    steps: Annotated[
        int, typer.Option(min=2, metavar="N", help="Optimisation steps.")
    ] = 300,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Use only the first N images.", show_default=False
        ),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", metavar="", help="Random weights, for comparison."
        ),
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a segmentation from a few images with masks, starting from a model."""
    import torch

    from napari_localdisc.cli.output import progress_bar
    from napari_localdisc.cli.training import plan_model, report_model
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.core.training.finetune import FinetuneSettings
    from napari_localdisc.core.training.finetune import finetune as run
    from napari_localdisc.io.labelled import labelled_images, with_structure

    if not plan_model(
        folder,
        output,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
    ):
        return
    chosen = with_structure(labelled_images(folder), structure, folder)[:limit]
    cases = [image.case(structure) for image in chosen]
    with progress_bar(steps, "steps") as show:
        tuned = run(
            load_model(model, "cpu"),
            [case.image for case in cases],
            [case.reference for case in cases],
            structure,
            output,
            settings=FinetuneSettings(
                steps=steps, from_scratch=from_scratch, seed=seed
            ),
            device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
            progress=lambda step, _, loss: show(step, f"Dice loss {loss:.3f}"),
        )
    report_model(tuned, str(output.with_suffix(".safetensors")), as_json)
