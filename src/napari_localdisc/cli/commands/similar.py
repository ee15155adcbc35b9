"""`localdisc similar`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_localdisc.cli import options

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_localdisc.core.embedding.embedding import Embedding

POSITION = 40

EXAMPLES = """[bold]Examples[/bold]

localdisc similar retina.jpg --at 700,350 -o similar.tif

localdisc similar retina.jpg --at 700,350 --at 640,400 --not 200,600 -o similar.tif"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXAMPLES)(similar)


def similar(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="Image file.", show_default=False)
    ],
    at: Annotated[
        list[str],
        typer.Option(
            "--at",
            metavar="Y,X",
            help="Row and column, in the image's pixels, of what to look for; may be "
            "given several times.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE", help="TIFF file.", show_default=False
        ),
    ],
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            "--not",
            metavar="Y,X",
            help="Row and column of what it is not; may be given several times.",
            show_default=False,
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="FILE",
            help="Also write the mask at the automatic threshold (0 and 1).",
            show_default=False,
        ),
    ] = None,
    model: options.ModelName = "fundus",
    flips: options.Flips = 1,
    device: options.Device = None,
    no_cache: options.NoCache = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what looks like a point of an image: 32-bit floats from 0 to 1."""
    from napari_localdisc.cli.output import print_json, say

    points, unlike_points = _points(at, "--at"), _points(unlike or [], "--not")
    targets = [path for path in (output, mask) if path is not None]
    _check_targets(targets, overwrite)
    if not dry_run:
        embedding = _embed(image, model, flips, device, no_cache)
        _write(embedding, points, unlike_points, targets, flips)
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
    points: list[tuple[float, float]],
    unlike: list[tuple[float, float]],
    targets: list[Path],
    flips: int,
) -> None:
    from napari_localdisc.io.labels.tiff import write_tiff

    made_by = {
        "made": "similarity",
        "at": points,
        "not": unlike,
        "flips": flips,
        "model": embedding.card.name,
        "model_hash": embedding.model_hash,
    }
    similarity = embedding.similarity(points, negative=unlike)
    arrays: list[NDArray[Any]] = [similarity]
    if len(targets) > 1:
        arrays.append(embedding.mask(points, negative=unlike))
    for path, array in zip(targets, arrays, strict=True):
        write_tiff(path, array, made_by)


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
    from napari_localdisc.io.labels.tiff import SUFFIXES

    for path in targets:
        if path.suffix.lower() not in SUFFIXES:
            raise FileError(f"{path} must end with .tif: it holds numbers, no picture.")
        if path.exists() and not overwrite:
            raise FileError(f"{path} is there already; --overwrite replaces it.")
    if len(set(targets)) < len(targets):
        raise FileError(f"{targets[0]} cannot hold the similarity and the mask.")
