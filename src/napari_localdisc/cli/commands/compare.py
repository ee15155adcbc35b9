"""`localdisc compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.output import (
    WrongUse,
    print_json,
    print_table,
    progress_bar,
)

if TYPE_CHECKING:
    from napari_localdisc.batch.comparing import Comparison, Side

EXAMPLES = """[bold]Examples[/bold]

localdisc compare anna.sqlite ben.sqlite -o agreement/

localdisc compare scans/study.sqlite --graders anna,ben -o agreement/

localdisc compare masks_anna/ masks_ben/"""


def compare(
    first: Annotated[
        Path,
        options.argument("A", "A study's file or folder, or a folder of labels."),
    ],
    second: Annotated[
        Path | None,
        options.argument("[B]", "Another one; by default the same study."),
    ] = None,
    graders: Annotated[
        str | None,
        options.option(
            "A,B", "Whose masks of A and of B; needed where a study has several."
        ),
    ] = None,
    kind: Annotated[
        str,
        options.option(
            "fundus|chest|any", "What names of classes mean, in folders of labels."
        ),
    ] = "fundus",
    output: Annotated[
        Path | None,
        options.option(
            "DIR",
            "Folder for agreement.csv, measures.csv and bland_altman.png.",
            "-o",
            "--output",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Say how well two graders of the same images agree.

    Of each structure: Dice and the distance between the outlines; of each measure the
    mean difference (bias) and the limits of agreement (Bland, Altman 1986).  Images are
    matched by their names.
    """
    from napari_localdisc.batch.comparing import (
        compare_steps,
        side_of,
        worth_drawing,
        write_agreement,
        write_measures,
    )
    from napari_localdisc.core.errors import FileError
    from napari_localdisc.core.measure.measure import KINDS
    from napari_localdisc.core.study.plots import save_bland_altman
    from napari_localdisc.core.work import run

    if kind not in KINDS:
        raise WrongUse(f"There is no kind {kind!r}; there are {', '.join(KINDS)}.")
    names = [name.strip() for name in (graders or ",").split(",")]
    if len(names) != 2:
        raise WrongUse("--graders takes two names, for instance anna,ben.")
    if second is None and names[0] == names[1]:
        raise WrongUse("Two graders of one study: say --graders anna,ben.")
    files = [
        Path(output or ".", name)
        for name in ("agreement.csv", "measures.csv", "bland_altman.png")
    ]
    if output is not None and not overwrite:
        for path in files:
            if path.exists():
                raise FileError(f"{path} is there already; --overwrite replaces it.")
    sides = [
        side_of(path, name, kind)
        for path, name in zip((first, second or first), names, strict=True)
    ]
    with progress_bar(len(sides[0].names)) as show:
        found = run(compare_steps(*sides), lambda done, total: show(done))
    if output is not None:
        write_agreement(files[0], found.masks)
        write_measures(files[1], found.measures)
        drawn = worth_drawing(found.measures)
        if drawn:
            save_bland_altman(files[2], drawn)
    _say(found, sides, as_json)


def _say(found: "Comparison", sides: "list[Side]", as_json: bool) -> None:
    from rich.table import Table

    structures = list(dict.fromkeys(row.structure for row in found.masks))
    rows = []
    for name in structures:
        own = [row for row in found.masks if row.structure == name]
        apart = [row.distance for row in own if row.distance is not None]
        rows.append(
            {
                "structure": name,
                "images": len(own),
                "dice": sum(row.dice for row in own) / len(own),
                "distance": sum(apart) / len(apart) if apart else None,
                "least_dice": min(row.dice for row in own),
                "least_image": min(own, key=lambda row: row.dice).image,
            }
        )
    if as_json:
        print_json({"first": sides[0].title, "second": sides[1].title, "masks": rows})
        return
    table = Table(title=f"{sides[0].title} and {sides[1].title}")
    for heading in ("structure", "images", "Dice", "outlines apart", "least Dice"):
        table.add_column(heading)
    for row in rows:
        distance = "–" if row["distance"] is None else f"{row['distance']:.1f} pixels"
        table.add_row(
            str(row["structure"]),
            str(row["images"]),
            f"{row['dice']:.3f}",
            distance,
            f"{row['least_dice']:.3f} ({row['least_image']})",
        )
    print_table(table)
    typer.echo(f"{len(found.measures)} measures compared.")
