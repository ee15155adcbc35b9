"""`localdisc export`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from napari_localdisc.cli import options
from napari_localdisc.cli.folders import exit_if_failed, report
from napari_localdisc.cli.output import WrongUse, print_json, progress_bar
from napari_localdisc.core.errors import FileError, LocalDiscError

if TYPE_CHECKING:
    from napari_localdisc.batch.tasks import Outcome, State
    from napari_localdisc.io.labels import Colour, LabelMap
    from napari_localdisc.io.labels.formats import Format

EXAMPLES = """[bold]Examples[/bold]

localdisc export out/*_clusters.tif -o png/ --format png

localdisc export out/*_vessel.tif -o data_set.json

localdisc export labels.ome.zarr -o masks/ --format masks --name 1=vessel --name 2=disc

localdisc export out/ -o zarr/ --format ome-zarr --colour '1=#ff8800'"""


def export(
    labels: Annotated[
        list[str],
        options.argument(
            "LABELS…", "Labels as PNG, TIFF, OME-Zarr or COCO JSON; folders; patterns."
        ),
    ],
    output: Annotated[
        Path,
        options.option(
            "DIR|FILE",
            "Folder for a file per image, or one .json file for all (COCO).",
            "-o",
            "--output",
        ),
    ],
    form: Annotated[
        str | None,
        options.option(
            "NAME",
            "png, tiff, ome-tiff, ome-zarr, coco, dicom-seg, or masks (a PNG per "
            "class); by default what the output's ending says, else png.",
            "--format",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        options.option(
            "LABEL=NAME", "Call a label so; may be given several times.", "--name"
        ),
    ] = None,
    colours: Annotated[
        list[str] | None,
        options.option(
            "LABEL=#RRGGBB",
            "Give a label this colour; may be given several times.",
            "--colour",
        ),
    ] = None,
    segmentation: Annotated[
        str,
        options.option(
            "auto|polygon|rle",
            "For COCO: polygons, with run lengths for regions with holes (auto), or "
            "only one of them.",
        ),
    ] = "auto",
    images_folder: Annotated[
        Path | None,
        options.option(
            "DIR",
            "Where the images of the labels are, which DICOM SEG needs; by default "
            "beside the labels or one folder up.",
            "--images",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Write labels in the formats of other programs; values stay as they are."""
    from napari_localdisc.batch.tasks import Outcome, Task
    from napari_localdisc.io.labels import FORMATS, find_labels, read_labels, write_coco
    from napari_localdisc.io.labels.coco import check_together as check_coco
    from napari_localdisc.io.labels.formats import check_targets

    called = options.label_pairs(names or [], "--name")
    looks = {
        k: _rgba(v) for k, v in options.label_pairs(colours or [], "--colour").items()
    }
    one_file = output.suffix.lower() == ".json"
    key = form or ("coco" if one_file else "png")
    if key not in FORMATS:
        known = ", ".join(FORMATS)
        raise WrongUse(f"There is no format {key!r}; there are {known}.")
    if one_file and key != "coco":
        raise WrongUse(f"{output} is for COCO; give a folder for {key}.")
    if segmentation not in ("auto", "polygon", "rle"):
        raise WrongUse(f"--segmentation is auto, polygon or rle, not {segmentation}.")
    sources = find_labels(labels)
    if one_file and output.exists() and not (overwrite or dry_run):
        raise FileError(f"{output} is there already; --overwrite replaces it.")
    if one_file:
        check_targets([output])
    chosen = FORMATS[key]
    if key == "coco":
        chosen = replace(
            chosen, write=lambda path, found: write_coco(path, [found], segmentation)
        )
    images: list[LabelMap] = []

    def labels_in(source: Path) -> "list[LabelMap]":
        return [
            replace(
                found,
                **_said_of(found, called, looks, found.others),
                source=_image_of(source, found.image, images_folder),
                others=tuple(
                    replace(each, **_said_of(each, called, looks, found.maps))
                    for each in found.others
                ),
            )
            for found in read_labels(source)
        ]

    if not one_file:
        _check_targets(sources, chosen, output, labels_in)

    def convert(source: Path) -> Iterator[Outcome]:
        maps = labels_in(source)
        if not one_file:
            for found in maps:
                yield _write(source, found, chosen, output, overwrite, dry_run)
            return
        for found in maps:
            chosen.check(found)
        for found in maps:
            name = found.image or source.name
            owners.setdefault(name, []).append(source)
            images.append(replace(found, image=name))
        state: State = "planned" if dry_run else "written"
        yield Outcome(Task(source, (output,)), state)

    owners: dict[str, list[Path]] = {}
    outcomes: list[Outcome] = []
    with progress_bar(len(sources), "files") as show:
        for index, source in enumerate(sources):
            show(index, source.name)
            try:
                outcomes.extend(convert(source))
            except LocalDiscError as error:
                outcomes.append(Outcome.failed(Task(source, ()), str(error)))
        for name, (first, *others) in owners.items():
            if others:
                raise FileError(
                    f"{first} and {others[0]} would both be the labels of {name} in "
                    f"{output}: write them to different files."
                )
        check_coco(images)
        if images and not dry_run:
            write_coco(output, images, segmentation)
    for outcome in outcomes:
        report(outcome, as_json)
    if as_json:
        rows = [outcome.to_dict() for outcome in outcomes]
        kept = ("outputs", "state", "reason")
        print_json(
            [{"labels": row["image"]} | {key: row[key] for key in kept} for row in rows]
        )
    exit_if_failed(outcomes)


def _said_of(
    found: "LabelMap",
    names: "Mapping[int, str]",
    colours: "Mapping[int, Colour]",
    rest: "Sequence[LabelMap]",
) -> dict[str, Any]:
    """Return a map's names and colours with those given, but for other maps'."""
    others = {v for each in rest if each is not found for v in each.classes}
    theirs = others - {*found.classes} if others else others

    def own(given: "Mapping[int, Any]") -> dict[int, Any]:
        return {value: said for value, said in given.items() if value not in theirs}

    return {
        "names": {**found.names, **own(names)},
        "colours": {**found.colours, **own(colours)},
    }


def _image_of(labels: Path, image: str, folder: Path | None) -> str:
    """Return the path of the image that labels belong to; empty if it is not there."""
    places = (labels.parent, labels.parent.parent) if folder is None else (folder,)
    there = (place / image for place in places) if image else ()
    return next((str(path) for path in there if path.is_file()), "")


def _target(source: Path, image: str, form: "Format", folder: Path) -> Path:
    from napari_localdisc.core.names import stem_of

    stem = Path(image).stem if source.suffix == ".json" else stem_of(source)
    return folder / f"{stem}{form.endings[0]}"


def _check_targets(
    sources: list[Path],
    form: "Format",
    folder: Path,
    labels_in: "Callable[[Path], list[LabelMap]]",
) -> None:
    """Refuse two sources for one file, and files that are sources, before any work."""
    is_source = {source.resolve() for source in sources}
    owners: dict[Path, Path] = {}
    for source in sources:
        if source.suffix == ".json" or form.names_by_content:
            try:
                targets = [
                    path
                    for labels in labels_in(source)
                    for path in form.targets(
                        _target(source, labels.image, form, folder), labels
                    )
                ]
            except LocalDiscError:
                continue  # said when its turn comes
        else:
            targets = [_target(source, "", form, folder)]
        for target in targets:
            if target in owners:
                said = f"{owners[target]} and {source}"
                if owners[target] == source:
                    said = f"Two images of {source}"
                raise FileError(
                    f"{said} would both become {target}: give them other names or "
                    "other output folders."
                )
            owners[target] = source
            if target.resolve() in is_source - {source.resolve()}:
                raise FileError(
                    f"{source} would become {target}, which is to be read itself: "
                    "choose another folder."
                )


def _write(
    source: Path,
    labels: "LabelMap",
    form: "Format",
    folder: Path,
    overwrite: bool,
    dry_run: bool,
) -> "Outcome":
    from napari_localdisc.batch.tasks import Outcome, Task
    from napari_localdisc.io.labels.formats import check_targets

    form.check(labels)
    target = _target(source, labels.image, form, folder)
    targets = form.targets(target, labels)
    task = Task(source, tuple(targets))
    there = [path for path in targets if path.exists()]
    if source.resolve() in {path.resolve() for path in there}:
        raise FileError(f"{source} would replace itself: choose another folder.")
    if there and not overwrite:
        for path in there:
            if path.stat().st_mtime < source.stat().st_mtime:
                raise FileError(
                    f"{path} is there already and older than {source}: "
                    "--overwrite replaces it."
                )
        if len(there) == len(targets):
            return Outcome(task, "skipped")
    check_targets(targets)
    if dry_run:
        return Outcome(task, "planned")
    return Outcome(Task(source, tuple(form.write(target, labels))), "written")


def _rgba(text: str) -> "Colour":
    from napari_localdisc.core.colours import from_hex

    digits = text.lstrip("#")[:7]  # seven are as wrong as more
    try:
        return *from_hex(f"#{digits}"), 1.0
    except ValueError:
        raise WrongUse(f"A colour is written as #RRGGBB, not {text!r}.") from None
