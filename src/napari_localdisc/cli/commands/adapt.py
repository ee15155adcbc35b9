"""`localdisc adapt`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.training import make_model, training_progress

EXAMPLES = """[bold]Examples[/bold]

localdisc adapt scans/ -o mine.safetensors --minutes 10

localdisc segment scans/ --structure vessel --model mine.safetensors -o out/"""


def adapt(
    ctx: typer.Context,
    folder: Annotated[
        Path,
        options.argument("FOLDER", "Your images, without labels; one is enough."),
    ],
    output: options.NewModel,
    model: options.ModelName = "fundus",
    minutes: Annotated[float, options.option("N", "Time to train.", min=0)] = 5.0,
    resume: options.Resume = False,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a model on, without labels, on images of your camera.

    It may gain nothing: keep the model it came from, and compare the two.
    """
    from napari_localdisc.core.model.model import Model, load_model
    from napari_localdisc.core.training.adapt import adapt as run

    def make() -> Model:
        with training_progress() as callbacks:
            return run(
                load_model(model, "cpu"),
                folder,
                output,
                minutes=minutes,
                resume=resume,
                device=device or "auto",
                **callbacks,
            )

    make_model(ctx, make)
