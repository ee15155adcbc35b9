"""`localdisc study …`: a folder of images, worked on by people."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_localdisc.cli import options
from napari_localdisc.cli.folders import (
    check_table,
    conclude,
    on_this_machine,
    work_through,
)
from napari_localdisc.cli.output import (
    WrongUse,
    checking_arguments,
    print_json,
    print_table,
    remark,
)
from napari_localdisc.core.errors import FileError

if TYPE_CHECKING:
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.io.study import Study, StudyImage

EXAMPLES = """[bold]Examples[/bold]

localdisc study new scans/ --structure vessel --structure 'optic disc'

localdisc study propose scans/

localdisc study status scans/ --least-certain-first

localdisc study table scans/ -o study.csv

localdisc study export scans/ -o masks/"""

study = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Keep a study: images, what was found in them, what people made of it.\n\n"
    "One file beside the images, study.sqlite, holds all of it; the dock “Study” of "
    "napari opens it.",
)

StudyPath = Annotated[
    Path, options.argument("STUDY", "A study's file, or the folder that it is in.")
]
Grader = Annotated[
    str | None,
    options.option("NAME", "Whose work is meant; by default yours, by login name."),
]


@study.command(cls=options.Command)
def new(
    folder: Annotated[
        Path, options.argument("FOLDER", "Folder of images; the study goes there.")
    ],
    structures: Annotated[
        list[str] | None,
        options.option(
            "NAME",
            "A structure to annotate; may be given several times.  By default those "
            "that the model knows; others begin empty and are learned from what is "
            "accepted.",
            "-s",
            "--structure",
        ),
    ] = None,
    images: Annotated[
        list[str] | None,
        options.option(
            "IMAGE",
            "Only these files or patterns; may be given several times.",
            "--image",
        ),
    ] = None,
    model: options.ModelName = "fundus",
    pattern: Annotated[
        str,
        options.option(
            "REGEX",
            "How names of files say it: groups patient, eye and visit, for instance "
            "'(?P<patient>[0-9]+)_(?P<eye>OD|OS)'.",
            "--names",
        ),
    ] = "",
    output: Annotated[
        Path | None,
        options.option(
            "FILE",
            "The study's file; FOLDER/study.sqlite by default.",
            "-o",
            "--output",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Begin a study of the images of a folder."""
    from napari_localdisc.core.image.files import find_images
    from napari_localdisc.io.study import About, Study, matching_structures

    loaded = _model(model)
    known = list(loaded.card.structures)
    wanted = matching_structures(known, structures or known)
    if not wanted:
        raise WrongUse(
            f"The model {model!r} names no structure: say what to annotate with "
            "--structure."
        )
    found = find_images(images or [folder], remark)
    made = Study.create(
        output or folder,
        found,
        About(
            model=model,
            model_hash=loaded.hash,
            kind="fundus" if loaded.card.modality == "fundus" else "chest",
            structures=tuple(wanted),
            pattern=pattern,
        ),
    )
    _say_what_there_is(made, as_json)


@study.command(cls=options.Command)
def add(
    path: StudyPath,
    images: options.Images,
    as_json: options.AsJson = False,
) -> None:
    """Add images that have come since; those that are in it stay as they are."""
    from napari_localdisc.core.image.files import find_images
    from napari_localdisc.io.study import Study

    opened = Study(path)
    count = opened.add_images(find_images(images, remark))
    if not as_json:
        typer.echo(f"{count} images are new.")
    _say_what_there_is(opened, as_json)


def _say_what_there_is(opened: "Study", as_json: bool) -> None:
    images = opened.images("")
    eyes = Counter(image.origin.eye or "unknown" for image in images)
    said = {
        "study": str(opened.path),
        "images": len(images),
        "patients": len({image.origin.patient for image in images}),
        "eyes": dict(eyes),
        "structures": list(opened.about.structures),
        "model": opened.about.model,
    }
    if as_json:
        print_json(said)
        return
    eyes_said = ", ".join(f"{count} {eye}" for eye, count in eyes.items())
    typer.echo(
        f"{opened.path}: {len(images)} images of {said['patients']} patients (eyes: "
        f"{eyes_said}); {', '.join(opened.about.structures)} by {opened.about.model}."
    )


@study.command(cls=options.Command)
def propose(
    path: StudyPath,
    flips: options.Flips = 1,
    device: options.Device = None,
    workers: options.Workers = None,
    grader: Grader = None,
    no_learning: Annotated[
        bool,
        options.flag(
            "--no-learning", "Leave out what accepted masks taught, if they did."
        ),
    ] = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Find the study's structures in every image, before anybody looks at it.

    Stopped or killed work goes on where it was.  What people made stays as it is.
    """
    from napari_localdisc.batch.studying import ProposeRecipe, plan_study
    from napari_localdisc.batch.tasks import Job
    from napari_localdisc.io.study import Study, default_grader

    opened = Study(path)
    model = _model_of(opened, device)
    who = grader or default_grader()
    learns = opened.about.learns and not no_learning
    recipe = ProposeRecipe(opened, flips, who if learns else "")
    job = Job(recipe, opened.about.model, model.hash, device, overwrite, dry_run)
    tasks = plan_study(opened, opened.images(who))
    given = on_this_machine(workers, as_json)
    conclude(work_through(tasks, job, model, given), as_json)


@study.command(cls=options.Command)
def status(
    path: StudyPath,
    grader: Grader = None,
    least_certain_first: Annotated[
        bool,
        options.flag("--least-certain-first", "List images, the doubtful ones first."),
    ] = False,
    states: Annotated[
        str | None,
        options.option(
            "LIST", "List images in these states: new, proposed, corrected, accepted, …"
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Say how far a study is, how long it took, and what is left."""
    from rich.table import Table

    from napari_localdisc.io.study import STATES, Study, default_grader

    opened = Study(path)
    who = grader or default_grader()
    images = opened.images(who)
    wanted = _states(states)
    counts = Counter(image.state for image in images)
    worked = [image.seconds for image in images if image.seconds]
    listed = [image for image in images if image.state in wanted]
    if least_certain_first:
        listed.sort(key=certainty_first)
    if as_json:
        print_json(
            {
                "grader": who,
                "graders": opened.graders,
                "states": {state: counts[state] for state in STATES},
                "seconds": round(sum(worked), 1),
                "images": [_plain(image) for image in listed],
            }
        )
        return
    said = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    typer.echo(f"{opened.path}, {who}: {len(images)} images: {said}.")
    if worked:
        mean = sum(worked) / len(worked)
        typer.echo(
            f"{sum(worked) / 60:.0f} minutes on {len(worked)} images, {mean:.0f} "
            "seconds each."
        )
    others = [name for name in opened.graders if name != who]
    if others:
        typer.echo(f"Also graded by {', '.join(others)}.")
    if not (least_certain_first or states):
        return
    table = Table()
    for heading in ("image", "patient", "eye", "visit", "state", "certainty", "note"):
        table.add_column(heading)
    for image in listed:
        sure = "" if image.certainty is None else f"{image.certainty:.2f}"
        table.add_row(image.name, *image.origin, image.state, sure, image.note)
    print_table(table)


def certainty_first(image: "StudyImage") -> tuple[bool, float]:
    """Sort the least certain images first, those without a proposal last."""
    return image.certainty is None, image.certainty or 0.0


def _plain(image: "StudyImage") -> dict[str, object]:
    return {
        "image": str(image.path),
        "patient": image.origin.patient,
        "eye": image.origin.eye,
        "visit": image.origin.visit,
        "state": image.state,
        "note": image.note,
        "seconds": round(image.seconds, 1),
        "certainty": None if image.certainty is None else round(image.certainty, 4),
    }


@study.command(cls=options.Command)
def table(
    path: StudyPath,
    output: options.TableFile,
    grader: Grader = None,
    states: Annotated[
        str | None,
        options.option(
            "LIST",
            "Images in these states; by default all but new and rejected ones.",
        ),
    ] = None,
    disc_mm: options.DiscSize = None,
    scale: options.PixelSize = None,
    pieces: options.Pieces = False,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Measure what was annotated, or proposed, into one table of the study.

    Patient, eye, visit, grader, state, note and seconds stand before what 'measure'
    tells.  What is measured already is not measured again.
    """
    from napari_localdisc.batch.studying import (
        MeasureStudyRecipe,
        is_study_table,
        join_study,
        plan_study,
    )
    from napari_localdisc.batch.tasks import Job
    from napari_localdisc.io.study import Study, default_grader

    check_table(output, is_study_table, overwrite)
    opened = Study(path)
    who = grader or default_grader()
    images = _chosen(opened, who, states or "proposed,corrected,accepted", "measure")
    recipe = MeasureStudyRecipe(opened, who, None, scale, disc_mm, pieces)
    job = Job(recipe, None, "")
    given = on_this_machine(workers, as_json)
    outcomes = work_through(plan_study(opened, images), job, None, given, output)
    join_study(recipe, images, output)
    conclude(outcomes, as_json)


@study.command(cls=options.Command)
def export(
    path: StudyPath,
    output: options.OutputFolder,
    grader: Grader = None,
    states: Annotated[
        str | None,
        options.option(
            "LIST", "Images in these states; by default corrected and accepted ones."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Write masks as files: NAME_<structure>.tif, as 'segment' names them."""
    from napari_localdisc.batch.studying import ExportRecipe, plan_export
    from napari_localdisc.batch.tasks import Job
    from napari_localdisc.io.study import Study, default_grader

    opened = Study(path)
    who = grader or default_grader()
    images = _chosen(opened, who, states or "corrected,accepted", "export")
    job = Job(ExportRecipe(opened, who), None, "", overwrite=overwrite)
    given = on_this_machine(None, as_json)
    conclude(
        work_through(plan_export(opened, images, output), job, None, given), as_json
    )


def _chosen(opened: "Study", who: str, states: str, verb: str) -> "list[StudyImage]":
    """Return a grader's images in the states that an option lists.

    Raises
    ------
    FileError
        If there is none; the message says which states there are.
    """
    wanted, images = _states(states), opened.images(who)
    chosen = [image for image in images if image.state in wanted]
    if not chosen:
        there = Counter(image.state for image in images)
        said = ", ".join(f"{count} {state}" for state, count in there.items())
        raise FileError(
            f"{opened.path} has no image of {who} that is {' or '.join(wanted)} to "
            f"{verb} ({said or 'it has no image'}): choose others with --states."
        )
    return chosen


def _states(given: str | None) -> list[str]:
    """Return the states that an option lists; all of them without one."""
    from napari_localdisc.io.study import STATES

    if given is None:
        return list(STATES)
    wanted = [part.strip() for part in given.split(",") if part.strip()]
    unknown = [state for state in wanted if state not in STATES]
    if unknown or not wanted:
        raise WrongUse(f"--states takes a list of {', '.join(STATES)}.")
    return wanted


def _model(name: str, device: str | None = None) -> "Model":
    from napari_localdisc.core.model.model import load_model

    with checking_arguments():
        return load_model(name, device)


def _model_of(opened: "Study", device: str | None) -> "Model":
    """Load a study's model, and remark where it is another one than it was."""
    model = _model(opened.about.model, device)
    if model.hash != opened.about.model_hash:
        remark(
            f"The model {opened.about.model!r} is another one than the study began "
            "with: what it proposes differs."
        )
    return model
