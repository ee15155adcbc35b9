"""`localdisc adapt`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_localdisc.cli import options

EXAMPLES = """[bold]Examples[/bold]

localdisc adapt scans/ -o mine.safetensors --minutes 10

localdisc segment scans/ --structure vessel --model mine.safetensors -o out/"""


def adapt(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Your images, without labels; one is enough.",
            show_default=False,
        ),
    ],
    output: options.NewModel,
    model: options.ModelName = "fundus",
    minutes: Annotated[
        float, typer.Option(min=0, metavar="N", help="Time to train.")
    ] = 5.0,
    resume: options.Resume = False,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Fit a model to your camera: train on, without labels, on your own images."""
    from napari_localdisc.cli.training import (
        plan_model,
        report_model,
        training_progress,
    )
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.core.training.adapt import adapt as run

    if not plan_model(
        folder,
        output,
        overwrite=overwrite,
        dry_run=dry_run,
        as_json=as_json,
        resume=resume,
    ):
        return
    with training_progress() as callbacks:
        adapted = run(
            load_model(model, "cpu"),
            folder,
            output,
            minutes=minutes,
            resume=resume,
            device=device or "auto",
            **callbacks,
        )
    report_model(adapted, str(output.with_suffix(".safetensors")), as_json)
