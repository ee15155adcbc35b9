"""`localdisc train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_localdisc.cli import options

if TYPE_CHECKING:
    from napari_localdisc.core.names import Modality

EXAMPLES = """[bold]Examples[/bold]

localdisc train scans/ -o mine.safetensors --minutes 60

localdisc train fundus/ -o vessels.safetensors --prior vessel-tree --prior disc

localdisc train xrays/ -o chest.safetensors --modality frame --prior lungs --prior heart

localdisc train scans/ -o mine.safetensors --minutes 60 --resume"""


def train(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Images of any size.", show_default=False
        ),
    ],
    output: options.NewModel,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="A structure's shape: vessel-tree, disc, bright-lesion, dark-lesion, "
            "lungs, heart or a folder of binary masks. The first steers cluster 1, …",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=1, metavar="N", help="Optimisation steps.")
    ] = 6000,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="N", help="End after N minutes.", show_default=False
        ),
    ] = None,
    modality: Annotated[
        str,
        typer.Option(
            metavar="fundus|frame",
            help="Round field of view in a dark frame, or images that fill the frame.",
        ),
    ] = "fundus",
    diameter: Annotated[
        int | None,
        typer.Option(
            min=64,
            metavar="PIXELS",
            help="Diameter of the field of view, or longer side of the frame, on the "
            "working grid; 576 and 256 unless given.",
            show_default=False,
        ),
    ] = None,
    clusters: Annotated[
        int, typer.Option(min=2, max=64, metavar="N", help="Clusters to find.")
    ] = 16,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Go on from a model instead of random weights.",
            show_default=False,
        ),
    ] = None,
    resume: options.Resume = False,
    seed: options.Seed = 0,
    device: options.Device = None,
    devices: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Devices of a node that train together."),
    ] = 1,
    nodes: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Machines that train together: start the same command on each, by "
            "torchrun or with MASTER_ADDR, MASTER_PORT and NODE_RANK set.",
        ),
    ] = 1,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What the images are, for the model card.",
            show_default=False,
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="Their licence, for the card.", show_default=False
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a model on a folder of images, without labels."""
    from napari_localdisc.cli.output import checking_arguments
    from napari_localdisc.cli.training import (
        plan_model,
        report_model,
        training_progress,
    )
    from napari_localdisc.core.training import TrainingSettings
    from napari_localdisc.core.training import train as run
    from napari_localdisc.core.training.devices import check_nodes

    kind: Modality = "frame" if modality == "frame" else "fundus"
    if kind != modality:
        raise typer.BadParameter(f"--modality is fundus or frame, not {modality}")
    with checking_arguments():
        check_nodes(nodes)
        settings = TrainingSettings.for_modality(
            kind,
            steps=steps,
            minutes=minutes,
            priors=tuple(prior or ()),
            clusters=clusters,
            seed=seed,
            **({} if diameter is None else {"working_diameter": diameter}),
        )
    said = {
        "data": data or str(folder.resolve().name),
        "licence": licence or "not said",
    }
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
        model = run(
            folder,
            output,
            settings=settings,
            start=start,
            resume=resume,
            device=device or "auto",
            devices=devices,
            nodes=nodes,
            details=said,
            **callbacks,
        )
    report_model(model, str(output.with_suffix(".safetensors")), as_json)
