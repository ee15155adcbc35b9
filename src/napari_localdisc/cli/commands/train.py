"""`localdisc train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import checking_arguments
from napari_localdisc.cli.training import make_model, training_progress
from napari_localdisc.core.priors import PRIORS

if TYPE_CHECKING:
    from napari_localdisc.core.names import Modality

EXAMPLES = """[bold]Examples[/bold]

localdisc train scans/ -o mine.safetensors --minutes 60

localdisc train fundus/ -o vessels.safetensors --prior vessel-tree --prior disc

localdisc train xrays/ -o chest.safetensors --modality frame --prior lungs --prior heart

localdisc train scans/ -o mine.safetensors --minutes 60 --resume"""


def train(
    ctx: typer.Context,
    folder: Annotated[Path, options.argument("FOLDER", "Images of any size.")],
    output: options.NewModel,
    prior: Annotated[
        list[str] | None,
        options.option(
            "NAME|FOLDER",
            f"A structure's shape: {', '.join(PRIORS)} or a folder of binary masks. "
            "The first steers cluster 1, …",
        ),
    ] = None,
    steps: Annotated[int, options.option("N", "Optimisation steps.", min=1)] = 6000,
    minutes: Annotated[
        float | None, options.option("N", "End after N minutes.", min=0)
    ] = None,
    modality: Annotated[
        str,
        options.option(
            "fundus|frame",
            "Round field of view in a dark frame, or images that fill the frame.",
        ),
    ] = "fundus",
    diameter: Annotated[
        int | None,
        options.option(
            "PIXELS",
            "Diameter of the field of view, or longer side of the frame, on the "
            "working grid; 576 and 256 unless given.",
            min=64,
        ),
    ] = None,
    clusters: Annotated[
        int, options.option("N", "Clusters to find.", min=2, max=64)
    ] = 16,
    start: Annotated[
        str | None,
        options.option("MODEL", "Go on from a model instead of random weights."),
    ] = None,
    resume: options.Resume = False,
    seed: options.Seed = 0,
    device: options.Device = None,
    devices: Annotated[
        int, options.option("N", "Devices of a node that train together.", min=1)
    ] = 1,
    nodes: Annotated[
        int,
        options.option(
            "N",
            "Machines that train together: start the same command on each, by "
            "torchrun or with MASTER_ADDR, MASTER_PORT and NODE_RANK set.",
            min=1,
        ),
    ] = 1,
    data: Annotated[
        str | None, options.option("TEXT", "What the images are, for the model card.")
    ] = None,
    licence: Annotated[
        str | None, options.option("TEXT", "Their licence, for the card.")
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Train a model on a folder of images, without labels."""
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.core.training.devices import check_nodes
    from napari_localdisc.core.training.settings import TrainingSettings
    from napari_localdisc.core.training.train import train as run

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

    def make() -> Model:
        with training_progress() as callbacks:
            return run(
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

    make_model(ctx, make)
