"""What `localdisc export` does: files of labels → files of another format."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .output import WrongUse, complain, print_json, progress_bar, say

if TYPE_CHECKING:
    from napari_localdisc.io.labels import Colour, LabelMap

Row = dict[str, Any]


class Exporter:
    """Writes labels one file at a time; a bad one does not stop the rest.

    Parameters
    ----------
    output : Path
        Folder, or one ``.json`` file for all images.
    form : str, optional
        Key of the format; else the output's ending decides.
    names, colours : dict
        Of labels, beside those that the files bring.
    segmentation : str
        For COCO.
    overwrite, dry_run : bool
        Replace files that are there; only say what would be written.
    """

    def __init__(
        self,
        output: Path,
        form: str | None,
        names: dict[int, str],
        colours: "dict[int, Colour]",
        segmentation: str,
        *,
        overwrite: bool,
        dry_run: bool,
    ) -> None:
        from napari_localdisc.io.labels import FORMATS

        self.is_one_file = output.suffix.lower() == ".json"
        key = form or ("coco" if self.is_one_file else "png")
        if key not in FORMATS:
            known = ", ".join(FORMATS)
            raise WrongUse(f"There is no format {key!r}; there are {known}.")
        if self.is_one_file and key != "coco":
            raise WrongUse(f"{output} is for COCO; give a folder for {key}.")
        if segmentation not in ("auto", "polygon", "rle"):
            raise WrongUse(
                f"--segmentation is auto, polygon or rle, not {segmentation}."
            )
        self.output, self.form = output, FORMATS[key]
        self.names, self.colours = names, colours
        self.segmentation = segmentation
        self.overwrite, self.dry_run = overwrite, dry_run

    def run(self, sources: list[Path]) -> list[Row]:
        """Write everything; return a row of plain values per source."""
        return self._all_in_one(sources) if self.is_one_file else self._each(sources)

    def _each(self, sources: list[Path]) -> list[Row]:
        rows = []
        with progress_bar(len(sources), "files") as show:
            for index, source in enumerate(sources):
                show(index, source.name)
                rows += list(self._one(source))
        return rows

    def _one(self, source: Path) -> Iterable[Row]:
        from napari_localdisc.core.errors import LocalDiscError

        try:
            for labels in self._read(source):
                yield self._write(source, labels)
        except LocalDiscError as error:
            yield _failed(source, str(error))

    def _read(self, source: Path) -> "list[LabelMap]":
        from napari_localdisc.io.labels import read_labels

        return [
            dataclasses.replace(
                labels,
                names={**labels.names, **self.names},
                colours={**labels.colours, **self.colours},
            )
            for labels in read_labels(source)
        ]

    def _write(self, source: Path, labels: "LabelMap") -> Row:
        from napari_localdisc.core.errors import FileError

        stem = Path(labels.image).stem if source.suffix == ".json" else _stem(source)
        target = self.output / f"{stem}{self.form.endings[0]}"
        self.form.check(labels)
        targets = self.form.targets(target, labels)
        there = [path for path in targets if path.exists()]
        if source.resolve() in {path.resolve() for path in there}:
            raise FileError(f"{source} would replace itself: choose another folder.")
        if there and not self.overwrite:
            for path in there:
                if path.stat().st_mtime < source.stat().st_mtime:
                    raise FileError(
                        f"{path} is there already and older than {source}: "
                        "--overwrite replaces it."
                    )
            if len(there) == len(targets):
                return _row(source, targets, "skipped")
        if self.dry_run:
            return _row(source, targets, "planned")
        if self.form.key == "coco":
            files = self._write_coco(target, [labels])
        else:
            files = self.form.write(target, labels)
        return _row(source, files, "written")

    def _write_coco(self, target: Path, images: "list[LabelMap]") -> list[Path]:
        from napari_localdisc.io.labels import write_coco

        return write_coco(target, images, self.segmentation)

    def _all_in_one(self, sources: list[Path]) -> list[Row]:
        from napari_localdisc.core.errors import FileError, LocalDiscError

        if self.output.exists() and not self.overwrite and not self.dry_run:
            raise FileError(f"{self.output} is there already; --overwrite replaces it.")
        images, rows = [], []
        with progress_bar(len(sources), "files") as show:
            for index, source in enumerate(sources):
                show(index, source.name)
                try:
                    found = self._read(source)
                    for labels in found:
                        self.form.check(labels)
                except LocalDiscError as error:
                    rows.append(_failed(source, str(error)))
                    continue
                images += [_with_image(labels, source) for labels in found]
                state = "planned" if self.dry_run else "written"
                rows.append(_row(source, [self.output], state))
        if images and not self.dry_run:
            self._write_coco(self.output, images)
        return rows


def _with_image(labels: "LabelMap", source: Path) -> "LabelMap":
    if labels.image:
        return labels
    return dataclasses.replace(labels, image=source.name)


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".ome.zarr", ".ome.tiff", ".ome.tif", path.suffix):
        if ending and name.lower().endswith(ending.lower()):
            return name[: -len(ending)]
    return name


def _row(source: Path, files: list[Path], state: str) -> Row:
    outputs = [str(file) for file in files]
    return {"labels": str(source), "outputs": outputs, "state": state, "reason": ""}


def _failed(source: Path, reason: str) -> Row:
    said = reason if source.name in reason else f"{source}: {reason}"
    return {**_row(source, [], "failed"), "reason": said}


def report(rows: list[Row], as_json: bool) -> None:
    """Say what became of each file; exit with 1 if one failed."""
    endings = {
        "written": "",
        "skipped": " (is there)",
        "planned": " (would be written)",
    }
    for row in rows:
        if row["state"] == "failed":
            complain(row["reason"])
        elif not as_json:
            files = ", ".join(row["outputs"])
            say(f"{row['labels']} → {files}{endings[row['state']]}")
    if as_json:
        print_json(rows)
    if any(row["state"] == "failed" for row in rows):
        raise typer.Exit(1)
