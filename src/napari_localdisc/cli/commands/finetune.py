"""`localdisc finetune`."""

from pathlib import Path
from typing import Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import progress_bar, remark
from napari_localdisc.cli.training import make_model

EXAMPLES = """[bold]Examples[/bold]

localdisc finetune labelled/ --structure vessel -o vessels.safetensors

localdisc segment scans/ --structure vessel --model vessels.safetensors -o out/"""


def finetune(
    ctx: typer.Context,
    folder: Annotated[
        Path,
        options.argument(
            "FOLDER", "NAME.ext with masks NAME_<structure>.png beside it."
        ),
    ],
    structure: Annotated[
        str,
        options.option("NAME", "Structure that the masks show.", "-s", "--structure"),
    ],
    output: options.NewModel,
    model: options.ModelName = "fundus",
    steps: Annotated[int, options.option("N", "Optimisation steps.", min=2)] = 300,
    limit: Annotated[
        int | None, options.option("N", "Use only the first N images.", min=1)
    ] = None,
    from_scratch: Annotated[
        bool, options.flag("--from-scratch", "Random weights, for comparison.")
    ] = False,
    seed: options.Seed = 0,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a segmentation from a few images with masks, starting from a model."""
    import torch

    from napari_localdisc.core.evaluation.evaluate import Case
    from napari_localdisc.core.model.model import Model, load_model
    from napari_localdisc.core.training.finetune import FinetuneSettings
    from napari_localdisc.core.training.finetune import finetune as run
    from napari_localdisc.io.labelled import labelled_images, with_structure

    def cases() -> list[Case]:
        found = labelled_images(folder, remark)
        chosen = with_structure(found, structure, folder)[:limit]
        return [image.case(structure) for image in chosen]

    def make() -> Model:
        labelled = cases()
        with progress_bar(steps, "steps") as show:
            return run(
                load_model(model, "cpu"),
                [case.image for case in labelled],
                [case.reference for case in labelled],
                structure,
                output,
                settings=FinetuneSettings(
                    steps=steps, from_scratch=from_scratch, seed=seed
                ),
                device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
                progress=lambda step, _, loss: show(step, f"Dice loss {loss:.3f}"),
            )

    make_model(ctx, make, lambda: len(cases()))
