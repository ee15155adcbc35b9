"""`localdisc cluster`."""

from typing import Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.folders import make_files

EXAMPLES = """[bold]Examples[/bold]

localdisc cluster retina.jpg -o out/

localdisc cluster scans/ 'more/*.tif' -o out/ --clusters 6 --model fundus

localdisc cluster scans/ -o out/ --scheduler tcp://node1:8786"""


def cluster(
    ctx: typer.Context,
    images: options.Images,
    output: options.OutputFolder,
    model: options.ModelName = "fundus",
    clusters: Annotated[
        int, typer.Option("-n", "--clusters", help="Number of structures, 2 to 16.")
    ] = 8,
    flips: options.Flips = 1,
    magnification: options.Magnification = None,
    detail: Annotated[
        float,
        options.option(
            "N",
            "For OME-Zarr and very large TIFF images: find structures 1/N as large as "
            "the model does by itself.",
        ),
    ] = 1.0,
    device: options.Device = None,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
    tls_ca: options.TlsCa = None,
    tls_certificate: options.TlsCertificate = None,
    tls_key: options.TlsKey = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Label the structures of images: NAME_clusters.tif of each image's own size.

    Labels are 1..n inside the field of view and 0 outside, and mean the same in every
    image of a model.  OME-Zarr images, and TIFF images of more than 8192×8192 pixels,
    are read block by block and become NAME_clusters.ome.zarr.

    The cache of embeddings is neither read nor filled: clusters need no embedding, and
    those of a folder would push out the ones that you work with.
    """
    from napari_localdisc.batch.recipes import ClusterRecipe

    recipe = ClusterRecipe(
        clusters, flips=flips, magnification=magnification, detail=detail
    )
    make_files(ctx, [recipe], model)
