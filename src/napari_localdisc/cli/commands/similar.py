"""`localdisc similar`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import WrongUse, print_json
from napari_localdisc.cli.pictures import boxes, embed_picture, points, read_picture
from napari_localdisc.core.errors import FileError

EXAMPLES = """[bold]Examples[/bold]

localdisc similar retina.jpg --at 700,350 -o similar.tif

localdisc similar retina.jpg --at 700,350 --at 640,400 --not 200,600 -o similar.tif

localdisc similar retina.jpg --at 640,216 -o map.tif --mask disc.tif --connected

localdisc similar retina.jpg --box 560,130,720,300 -o map.tif --mask disc.tif"""


def similar(
    image: Annotated[Path, options.argument("IMAGE", "Image file.")],
    output: Annotated[Path, options.option("FILE", "TIFF file.", "-o", "--output")],
    at: Annotated[
        list[str] | None,
        options.option(
            "Y,X",
            "Row and column, in the image's pixels, of what to look for; may be given "
            "several times.",
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        options.option(
            "Y,X,Y,X",
            "Two opposite corners of a box around an object: that object alone; may be "
            "given several times.",
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        options.option(
            "Y,X",
            "Row and column of what it is not; may be given several times.",
            "--not",
        ),
    ] = None,
    not_box: Annotated[
        list[str] | None,
        options.option("Y,X,Y,X", "Likewise of what it is not."),
    ] = None,
    mask: Annotated[
        Path | None, options.option("FILE", "Also write the mask (0 and 1).")
    ] = None,
    threshold: Annotated[
        float | None,
        options.option(
            None,
            "Similarity from which a pixel is in the mask; by default it is chosen "
            "automatically.",
            min=0,
            max=1,
        ),
    ] = None,
    connected: Annotated[
        bool, options.flag("--connected", "Mask only what is connected to a point.")
    ] = False,
    smooth: Annotated[
        bool, options.flag("--smooth", "Round the mask's outline.")
    ] = False,
    minimum_size: Annotated[
        int, options.option("PIXELS", "Leave smaller pieces out of the mask.", min=0)
    ] = 0,
    model: options.ModelName = "fundus",
    flips: options.Flips = 1,
    magnification: options.Magnification = None,
    device: options.Device = None,
    no_cache: options.NoCache = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what looks like a point or a box of an image: 32-bit floats from 0 to 1."""
    from napari_localdisc.core.embedding.prompts import MaskOptions, Prompts
    from napari_localdisc.core.image.files import read_placement
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.io.labels.tiff import ENDINGS, write_tiff

    shape = MaskOptions(threshold, connected, smooth, minimum_size)
    if mask is None and shape != MaskOptions():
        raise WrongUse("What shapes the mask needs a file for it: --mask FILE.")
    prompts = Prompts(
        points(at or [], "--at"),
        points(unlike or [], "--not"),
        boxes(box or [], "--box"),
        boxes(not_box or [], "--not-box"),
    )
    if not (at or box):
        raise WrongUse("Say what to look for: --at Y,X, or --box Y,X,Y,X.")
    targets = [path for path in (output, mask) if path is not None]
    for path in targets:
        if path.suffix.lower() not in ENDINGS:
            raise FileError(f"{path} must end with .tif: it holds numbers, no picture.")
        if path.exists() and not overwrite:
            raise FileError(f"{path} is there already; --overwrite replaces it.")
    if output == mask:
        raise FileError(f"{output} cannot hold the similarity and the mask.")
    pixels = read_picture(image)
    if not dry_run:
        loaded = load_model(model, device)
        embedding = embed_picture(pixels, loaded, flips, no_cache, magnification)
        reading = embedding.read(prompts, shape)
        made_by = {
            "made": "similarity",
            "at": prompts.positive,
            "not": prompts.negative,
            **({"boxes": prompts.frames} if prompts.frames else {}),
            **({"not_boxes": prompts.negative_frames} if not_box else {}),
            "flips": flips,
            "magnification": embedding.magnification,
            "model": embedding.card.name,
            "model_hash": embedding.model_hash,
        }
        placement = read_placement(image)
        write_tiff(output, reading.map, made_by, placement=placement)
        if mask is not None:
            made_by |= dataclasses.asdict(shape)
            write_tiff(mask, reading.mask, made_by, placement=placement)
    files = [str(path) for path in targets]
    if as_json:
        state = "planned" if dry_run else "written"
        print_json([{"image": str(image), "outputs": files, "state": state}])
    else:
        ending = " (would be written)" if dry_run else ""
        typer.echo(f"{image} → {', '.join(files)}{ending}")
