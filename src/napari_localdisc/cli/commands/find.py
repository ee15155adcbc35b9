"""`localdisc find`."""

from pathlib import Path
from typing import Annotated

from napari_localdisc.cli import options
from napari_localdisc.cli.output import print_json, print_table
from napari_localdisc.cli.pictures import embed_picture, points, read_picture

EXAMPLES = """[bold]Examples[/bold]

localdisc find --image scans/a.jpg --at 700,350

localdisc find --image new.jpg --at 700,350 --not 200,600 --collection scans/

localdisc find --image scans/a.jpg --at 700,350 --others --per-image 1 --json"""


def find(
    image: Annotated[Path, options.option("IMAGE", "Image file.")],
    at: Annotated[
        list[str],
        options.option(
            "Y,X",
            "Row and column, in the image's pixels, of what to look for; may be given "
            "several times.",
        ),
    ],
    unlike: Annotated[
        list[str] | None,
        options.option(
            "Y,X",
            "Row and column of what it is not; may be given several times.",
            "--not",
        ),
    ] = None,
    collection: Annotated[
        Path | None,
        options.option(
            "FILE|DIR",
            "What 'index' made; by default that of the image's folder or of one above.",
            "-c",
            "--collection",
        ),
    ] = None,
    number: Annotated[
        int, options.option("N", "Regions to list.", "-n", "--number", min=1)
    ] = 24,
    per_image: Annotated[
        int, options.option("N", "Regions of one image at most; 0: any number.", min=0)
    ] = 3,
    others: Annotated[
        bool, options.flag("--others", "Leave out the image that is asked about.")
    ] = False,
    model: Annotated[
        str | None,
        options.option(
            "MODEL",
            "The collection's model, if it is not found by its name.",
            "-m",
            "--model",
        ),
    ] = None,
    device: options.Device = None,
    no_cache: options.NoCache = False,
    as_json: options.AsJson = False,
) -> None:
    """List the regions of a collection that are most like a point of an image."""
    from rich.table import Table

    from napari_localdisc.batch.collecting import find as find_regions
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.io.collection import find_collection, open_collection

    wanted, unwanted = points(at, "--at"), points(unlike or [], "--not")
    opened = open_collection(collection or find_collection(image))
    loaded = load_model(model or opened.about.model, device)
    opened.check(loaded.card.name, loaded.hash)
    embedding = embed_picture(read_picture(image), loaded, no_cache=no_cache)
    found = find_regions(
        opened,
        embedding,
        wanted,
        unwanted,
        number=number,
        per_image=per_image or None,
        without=image if others else None,
    )
    rows = [
        {
            "image": str(one.path),
            "row": round(one.point[0], 1),
            "column": round(one.point[1], 1),
            "similarity": round(one.similarity, 4),
        }
        for one in found
    ]
    if as_json:
        print_json(rows)
        return
    table = Table("similarity", "row", "column", "image")
    for one in found:
        row, column = one.point
        table.add_row(
            f"{one.similarity:.3f}", f"{row:.0f}", f"{column:.0f}", str(one.path)
        )
    print_table(table)
