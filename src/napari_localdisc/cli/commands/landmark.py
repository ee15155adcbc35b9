"""`localdisc landmark`."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import (
    WrongUse,
    complain,
    print_json,
    print_table,
    progress_bar,
    remark,
)
from napari_localdisc.cli.pictures import embed_picture, points, read_picture
from napari_localdisc.core.errors import FileError, LocalDiscError

if TYPE_CHECKING:
    from napari_localdisc.core.learning.landmark import Landmark
    from napari_localdisc.core.model.model import Model

EXAMPLES = """[bold]Examples[/bold]

localdisc landmark scans/ --marked a.jpg --at 560,900

localdisc landmark scans/ --marked a.jpg --at 560,900 -o fovea.csv --save fovea

localdisc landmark more/ --concept fovea.concept.safetensors --json"""

COLUMNS = ("image", "row", "column", "likeness")


def landmark(
    images: options.Images,
    marked: Annotated[
        Path | None,
        options.option("IMAGE", "The image in which the point is marked."),
    ] = None,
    at: Annotated[
        str | None,
        options.option("Y,X", "Row and column of the point, in that image's pixels."),
    ] = None,
    concept: Annotated[
        Path | None,
        options.option("FILE", "A saved concept of kind point, instead of a mark."),
    ] = None,
    output: Annotated[
        Path | None,
        options.option("FILE.csv", "Also write the table to a file.", "-o", "--output"),
    ] = None,
    save: Annotated[
        Path | None,
        options.option("FILE", "Also keep the mark as a concept, for other images."),
    ] = None,
    model: Annotated[
        str | None,
        options.option(
            "MODEL",
            "Name (see 'models') or file of a model; by default the concept's own, or "
            "fundus.",
            "-m",
            "--model",
        ),
    ] = None,
    device: options.Device = None,
    no_cache: options.NoCache = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Mark a point in one image and find it in others.

    Likeness is 1 for the image that was marked and 0 where nothing around is alike.
    """
    from rich.table import Table

    from napari_localdisc.core.image.files import find_images
    from napari_localdisc.core.model.model import load_model

    if (concept is None) == (marked is None) or (marked is None) != (at is None):
        raise WrongUse("Give --marked IMAGE and --at Y,X, or --concept FILE.")
    if save is not None and concept is not None:
        raise WrongUse("--save keeps a mark; a concept is kept already.")
    if output is not None and output.suffix.lower() != ".csv":
        raise WrongUse(f"{output} must end with .csv.")
    if output is not None and output.exists() and not overwrite:
        raise FileError(f"{output} is there already; --overwrite replaces it.")
    sources = find_images(images, remark)
    known = None if concept is None else _of_concept(concept)
    loaded = load_model(model or (known.model_name if known else "fundus"), device)
    if known is not None:
        mark = known
    else:
        assert marked is not None
        assert at is not None
        mark = _mark(marked, at, loaded, no_cache, save)
    rows: list[dict[str, Any]] = []
    with progress_bar(len(sources)) as show:
        for done, source in enumerate(sources):
            show(done, source.name)
            try:
                embedding = embed_picture(
                    read_picture(source), loaded, no_cache=no_cache
                )
            except LocalDiscError as error:
                complain(str(error))
                continue
            found = mark.find(embedding)
            values = (str(source), *(round(v, 2) for v in found.point))
            rows.append(
                dict(zip(COLUMNS, (*values, round(found.likeness, 3)), strict=True))
            )
    if output is not None:
        _write(output, rows)
    if as_json:
        print_json(rows)
    else:
        table = Table(*COLUMNS)
        for row in rows:
            table.add_row(*(str(row[name]) for name in COLUMNS))
        print_table(table)
    if len(rows) < len(sources):
        raise typer.Exit(1)


def _mark(
    image: Path, at: str, model: "Model", no_cache: bool, save: Path | None
) -> "Landmark":
    from napari_localdisc.core.learning.concept import Concept
    from napari_localdisc.core.learning.landmark import landmark as mark_point

    (point,) = points([at], "--at")
    embedding = embed_picture(read_picture(image), model, no_cache=no_cache)
    mark = mark_point(embedding, point)
    if save is not None:
        name = save.name.partition(".")[0]
        kept = Concept.from_landmark(name, mark).save(save)
        remark(f"The mark is kept in {kept}.")
    return mark


def _of_concept(path: Path) -> "Landmark":
    from napari_localdisc.core.learning.concept import load_concept
    from napari_localdisc.core.learning.landmark import Landmark

    rule = load_concept(path).rule
    if not isinstance(rule, Landmark):
        raise WrongUse(
            f"{path} is no point, but a concept of another kind: 'segment' finds it."
        )
    return rule


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    from napari_localdisc.core.files import new_file

    with (
        new_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
