"""`localdisc index`."""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.folders import conclude, work_through
from napari_localdisc.cli.output import checking_arguments, remark

EXAMPLES = """[bold]Examples[/bold]

localdisc index scans/

localdisc index 'scans/*/*.jpg' -o all.collection.safetensors

localdisc index films/ --model chest"""


def index(
    ctx: typer.Context,
    images: options.Images,
    output: Annotated[
        Path | None,
        options.option(
            "FILE",
            "The collection, *.collection.safetensors; by default in the folder of "
            "images.",
            "-o",
            "--output",
        ),
    ] = None,
    model: options.ModelName = "fundus",
    device: options.Device = None,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
    tls_ca: options.TlsCa = None,
    tls_certificate: options.TlsCertificate = None,
    tls_key: options.TlsKey = None,
    overwrite: Annotated[
        bool, options.flag("--overwrite", "Look at all images anew.")
    ] = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Make a folder of images searchable, or bring that up to date; see 'find'.

    Only images that are new or were changed are looked at; those that are gone leave.
    Stopped work goes on where it was.
    """
    from napari_localdisc.batch.collecting import (
        IndexRecipe,
        collection_path,
        join_index,
        plan_index,
    )
    from napari_localdisc.batch.tasks import Job
    from napari_localdisc.core.embedding.patches import CELL
    from napari_localdisc.core.image.files import find_images
    from napari_localdisc.core.model.model import load_model

    with checking_arguments():
        path = collection_path(images, output)
    sources = find_images(images, remark)
    loaded = load_model(model, device)
    job = Job(IndexRecipe(CELL), model, loaded.hash, device, overwrite, dry_run)
    tasks = plan_index(sources, path, job, loaded.card.name)
    given = SimpleNamespace(**ctx.params)
    outcomes = work_through(tasks, job, loaded, given, told=path)
    if not dry_run:
        collection = join_index(tasks, outcomes, path)
        if not as_json:
            typer.echo(str(collection))
    conclude(outcomes, as_json)
