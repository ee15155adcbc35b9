"""`localdisc measure`."""

from types import SimpleNamespace
from typing import Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.folders import check_table, conclude, work_through
from napari_localdisc.cli.output import WrongUse, checking_arguments
from napari_localdisc.core.errors import FileError

EXAMPLES = """[bold]Examples[/bold]

localdisc measure out/*_vessel.tif -o vessels.csv

localdisc measure labels/ -o study.csv --name 1=vessel --name '2=optic disc'

localdisc measure scans/ -o study.csv --model fundus --no-pieces

localdisc measure films/ -o hearts.csv --model chest"""


def measure(
    ctx: typer.Context,
    labels: Annotated[
        list[str],
        options.argument(
            "LABELS…",
            "Labels as PNG, TIFF or OME-Zarr; folders; patterns.  With --model: "
            "pictures.",
        ),
    ],
    output: options.TableFile,
    kind: Annotated[
        str | None,
        options.option(
            "fundus|chest|any",
            "What names of classes mean; any: sizes, shapes and brightness alone.  By "
            "default fundus, or what the model is for.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        options.option(
            "MODEL",
            "Measure the structures that this model finds in pictures; its name (see "
            "'models') or file.",
            "-m",
            "--model",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        options.option(
            "LABEL=NAME",
            "Call a label so, before what its file says; may be given several times.",
            "--name",
        ),
    ] = None,
    regions: Annotated[
        str | None,
        options.option(
            "LIST",
            "Of field, etdrs, quadrants, zones; by default the field and what disc and "
            "fovea allow.",
        ),
    ] = None,
    scale: options.PixelSize = None,
    disc_mm: options.DiscSize = None,
    pieces: options.Pieces = True,
    flips: options.Flips = 1,
    magnification: options.Magnification = None,
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
    """Measure labels into one table: a CSV file with one value a row.

    Files that are named NAME_<structure>.ext (as 'segment' names them) are measured
    together, an image each; others stand for themselves.  What lies beside them helps:
    the picture NAME.ext, its field of view NAME_fov.ext and NAME_<structure>_
    probability.tif, in which calibres are measured.  docs/measures.md says how.

    Stopped work goes on where it was: until the table is written, those of single
    images wait in a hidden folder beside it.
    """
    from napari_localdisc.batch.measuring import (
        MeasureRecipe,
        is_table,
        join_tables,
        plan_measures,
        remove_parts,
    )
    from napari_localdisc.batch.tasks import Job
    from napari_localdisc.core.image.files import find_images
    from napari_localdisc.core.measure.grids import GRIDS
    from napari_localdisc.core.measure.measure import KINDS
    from napari_localdisc.io.measured import Measured, find_measured, told_apart

    check_table(output, is_table, overwrite or dry_run)
    if kind not in (None, *KINDS):
        raise WrongUse(f"There is no kind {kind!r}; there are {', '.join(KINDS)}.")
    grids = None
    if regions is not None:
        grids = tuple(part.strip() for part in regions.split(",") if part.strip())
        unknown = [grid for grid in grids if grid not in GRIDS]
        if unknown or not grids:
            raise WrongUse(f"--regions takes a list of {', '.join(GRIDS)}.")
    called = tuple(options.label_pairs(names or [], "--name").items())
    if model is not None:
        sources = told_apart(
            Measured(path.stem, (path,)) for path in find_images(labels)
        )
    else:
        sources = find_measured(labels)
    loaded = None
    if model is not None:
        from napari_localdisc.core.model.model import load_model

        with checking_arguments():
            loaded = load_model(model, device)
            if not loaded.card.structures:
                raise FileError(f"The model {model!r} names no structure to measure.")
        kind = kind or ("fundus" if loaded.card.modality == "fundus" else "chest")
    recipe = MeasureRecipe(
        kind or "fundus",
        called,
        grids,
        scale,
        disc_mm,
        pieces,
        flips=flips,
        magnification=magnification,
    )
    # What waits of stopped work is checked file by file: overwriting means the table
    job = Job(recipe, model, loaded.hash if loaded else "", device, False, dry_run)
    tasks = plan_measures(sources, output)
    given = SimpleNamespace(
        workers=workers,
        scheduler=scheduler,
        tls_ca=tls_ca,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        as_json=as_json,
    )
    outcomes = work_through(tasks, job, loaded, given, output)
    done = [
        task
        for task, outcome in zip(tasks, outcomes, strict=True)
        if outcome.state != "failed"
    ]
    if not dry_run and done:
        join_tables(done, output)
        if len(done) == len(tasks):
            remove_parts(output)
    conclude(outcomes, as_json)
