"""`localdisc similar`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_localdisc.cli import options

if TYPE_CHECKING:
    from napari_localdisc.core.embedding.embedding import Embedding
    from napari_localdisc.core.embedding.prompts import MaskOptions, Prompts

EXAMPLES = """[bold]Examples[/bold]

localdisc similar retina.jpg --at 700,350 -o similar.tif

localdisc similar retina.jpg --at 700,350 --at 640,400 --not 200,600 -o similar.tif

localdisc similar retina.jpg --at 640,216 -o map.tif --mask disc.tif --connected"""


def similar(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="Image file.")],
    at: Annotated[
        list[str],
        typer.Option(
            "--at",
            metavar="Y,X",
            help="Row and column, in the image's pixels, of what to look for; may be "
            "given several times.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="TIFF file."),
    ],
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            "--not",
            metavar="Y,X",
            help="Row and column of what it is not; may be given several times.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="FILE",
            help="Also write the mask (0 and 1).",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Similarity from which a pixel is in the mask; by default it is "
            "chosen automatically.",
        ),
    ] = None,
    connected: Annotated[
        bool,
        typer.Option(
            "--connected", metavar="", help="Mask only what is connected to a point."
        ),
    ] = False,
    smooth: Annotated[
        bool, typer.Option("--smooth", metavar="", help="Round the mask's outline.")
    ] = False,
    minimum_size: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="PIXELS",
            help="Leave smaller pieces out of the mask.",
        ),
    ] = 0,
    model: options.ModelName = "fundus",
    flips: options.Flips = 1,
    device: options.Device = None,
    no_cache: options.NoCache = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what looks like a point of an image: 32-bit floats from 0 to 1."""
    from napari_localdisc.cli.output import WrongUse, print_json, say
    from napari_localdisc.core.embedding.prompts import MaskOptions, Prompts

    shape = MaskOptions(threshold, connected, smooth, minimum_size)
    if mask is None and shape != MaskOptions():
        raise WrongUse("What shapes the mask needs a file for it: --mask FILE.")
    prompts = Prompts(_points(at, "--at"), _points(unlike or [], "--not"))
    targets = [path for path in (output, mask) if path is not None]
    _check_targets(targets, overwrite)
    if not dry_run:
        embedding = _embed(image, model, flips, device, no_cache)
        _write(embedding, prompts, shape, targets, flips)
    if as_json:
        state = "planned" if dry_run else "written"
        files = [str(path) for path in targets]
        print_json([{"image": str(image), "outputs": files, "state": state}])
    else:
        ending = " (would be written)" if dry_run else ""
        say(f"{image} → {', '.join(str(path) for path in targets)}{ending}")


def _embed(
    image: Path, model_name: str, flips: int, device: str | None, no_cache: bool
) -> "Embedding":
    from napari_localdisc.cli.output import complain
    from napari_localdisc.core.embedding.embed import embed
    from napari_localdisc.core.image.files import check_fits, read_image
    from napari_localdisc.core.model.model import load_model
    from napari_localdisc.io.cache import cached_embed

    check_fits(image)
    pixels = read_image(image)
    model = load_model(model_name, device)
    if no_cache:
        return embed(pixels, model, flips=flips)
    return cached_embed(
        pixels, model, report=lambda error: complain(str(error)), flips=flips
    )


def _write(
    embedding: "Embedding",
    prompts: "Prompts",
    shape: "MaskOptions",
    targets: list[Path],
    flips: int,
) -> None:
    import dataclasses

    from napari_localdisc.io.labels.tiff import write_tiff

    made_by = {
        "made": "similarity",
        "at": prompts.positive,
        "not": prompts.negative,
        "flips": flips,
        "model": embedding.card.name,
        "model_hash": embedding.model_hash,
    }
    reading = embedding.read(prompts, shape)
    write_tiff(targets[0], reading.map, made_by)
    for path in targets[1:]:
        write_tiff(path, reading.mask, {**made_by, **dataclasses.asdict(shape)})


def _points(given: list[str], option: str) -> list[tuple[float, float]]:
    from napari_localdisc.core.errors import PromptError

    points = []
    for text in given:
        try:
            row, column = (float(part) for part in text.split(","))
        except ValueError:
            raise PromptError(
                f"{option} takes a row and a column, for instance {option} 700,350, "
                f"not {text!r}."
            ) from None
        points.append((row, column))
    return points


def _check_targets(targets: list[Path], overwrite: bool) -> None:
    from napari_localdisc.core.errors import FileError
    from napari_localdisc.io.labels.tiff import ENDINGS

    for path in targets:
        if path.suffix.lower() not in ENDINGS:
            raise FileError(f"{path} must end with .tif: it holds numbers, no picture.")
        if path.exists() and not overwrite:
            raise FileError(f"{path} is there already; --overwrite replaces it.")
    if len(set(targets)) < len(targets):
        raise FileError(f"{targets[0]} cannot hold the similarity and the mask.")
