"""A study's measures: one task an image, one table in the end."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file
from napari_localdisc.core.measure.table import (
    COLUMNS,
    Row,
    Table,
    checked_rows,
    write_rows,
)
from napari_localdisc.core.validation import read_json
from napari_localdisc.core.version import __version__

from .recipes import Progress
from .tasks import FileRecipe, Task, check_image

if TYPE_CHECKING:
    from napari_localdisc.core.measure.measure import Kind
    from napari_localdisc.core.model.model import Model
    from napari_localdisc.io.measured import Measured


@dataclass(frozen=True)
class MeasureTask(Task):
    """One image, the file of its own table, and the files that it is made of."""

    measured: Measured


@dataclass(frozen=True)
class MeasureRecipe(FileRecipe):
    """Measure labels, or what a model finds in pictures.

    Attributes
    ----------
    kind : {"fundus", "chest", "any"}
        As of `measure`.
    names : tuple of (int, str)
        Names of classes, before those that files say.
    regions : tuple of str, optional
        As of `measure`.
    scale, disc_mm : float, optional
        As of `measure`; the scale before that of files.
    pieces : bool
        As of `measure`.
    magnification : float, optional
        As of `Inference`.
    flips : {1, 2, 4}
        Mirrored copies that a model averages.
    """

    kind: Kind = "fundus"
    names: tuple[tuple[int, str], ...] = ()
    regions: tuple[str, ...] | None = None
    scale: float | None = None
    disc_mm: float | None = None
    pieces: bool = True
    flips: int = 1
    magnification: float | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Everything, and the package's version."""
        plain = json.loads(json.dumps(asdict(self)))
        return {"made": "measures", "version": __version__, **plain}

    def is_done(self, task: Task, made_by: Mapping[str, object]) -> bool:
        """Tell whether the image's table is that of its files as they are now."""
        (output,) = task.outputs
        try:
            said = read_json(output.read_bytes())
        except (OSError, ValueError):
            return False
        wanted = {"made_by": {**made_by, "files": _states(task)}}
        return isinstance(said, dict) and wanted.items() <= said.items()

    def check_source(self, task: Task, model: Model | None) -> None:
        """Read what would be measured."""
        assert isinstance(task, MeasureTask)
        if model is None:
            task.measured.read()
        else:
            check_image(task.source, model)

    def write(
        self,
        task: Task,
        model: Model | None,
        made_by: Mapping[str, object],
        progress: Progress | None = None,
    ) -> None:
        """Measure one image."""
        assert isinstance(task, MeasureTask)
        states = _states(task)  # before they are read: an edit meanwhile is seen
        table = self._measure(task.measured, model, progress)
        rows = [astuple(row) for row in table]
        note = {"made_by": {**made_by, "files": states}, "rows": rows}
        with new_file(task.outputs[0]) as temporary:
            temporary.write_text(json.dumps(note), "utf-8")

    def _measure(
        self, files: Measured, model: Model | None, progress: Progress | None
    ) -> Table:
        from napari_localdisc.core.measure.measure import measure
        from napari_localdisc.core.measure.subject import class_masks

        how: dict[str, Any] = {
            "disc_mm": self.disc_mm,
            "regions": self.regions,
            "pieces": self.pieces,
            "name": files.name,
        }
        if model is not None:
            from napari_localdisc.core.embedding.embed import map_clusters
            from napari_localdisc.core.embedding.magnification import (
                magnification_by_scale,
            )
            from napari_localdisc.core.image.files import read_placement
            from napari_localdisc.core.measure.found import found_masks
            from napari_localdisc.io.measured import millimetres

            image = _picture(files)
            scale = self.scale or millimetres(read_placement(files.labels[0]), 2)
            maps = map_clusters(
                image,
                model,
                flips=self.flips,
                magnification=self.magnification
                or magnification_by_scale(image, model.card, scale),
                progress=progress,
            )
            found = {name: maps.structure(name) for name in model.card.structures}
            masks = found_masks(found, maps.field_of_view)
            how |= {"field_of_view": maps.field_of_view, "scale": scale}
            # Thin vessels do not reach one half in the probability: the picture tells
            return measure(masks, self.kind, image=image, **how)
        read = files.read()
        scale = self.scale if self.scale is not None else read.scale
        masks = dict(read.masks)
        if read.labels is not None:
            masks |= class_masks(read.labels, {**read.names, **dict(self.names)})
        return measure(
            masks,
            self.kind,
            image=read.picture,
            probability=read.probabilities or None,
            field_of_view=read.field_of_view,
            scale=scale,
            **how,
        )


def _picture(files: Measured) -> NDArray[Any]:
    """Read the picture in which a model finds what is measured."""
    from napari_localdisc.core.image.files import check_fits, read_image
    from napari_localdisc.core.image.roles import check_no_result

    (path,) = files.labels
    check_no_result(path)
    check_fits(path)
    return read_image(path)


def _states(task: Task) -> list[list[Any]]:
    """Say of which files, as they are now, a table is made."""
    assert isinstance(task, MeasureTask)
    found: list[list[Any]] = []
    for path in task.measured.files:
        try:
            state = path.stat()
        except OSError:
            found.append([str(path), None, None])
        else:
            found.append([str(path), state.st_size, state.st_mtime_ns])
    return found


def parts_folder(output: Path) -> Path:
    """Return where the tables of single images wait for the whole study's."""
    return output.with_name(f".{output.name}.parts")


def plan_measures(measured: Iterable[Measured], output: Path) -> list[MeasureTask]:
    """Plan one task an image.

    Parameters
    ----------
    measured : iterable of Measured
        What to measure.
    output : Path
        The study's table.

    Returns
    -------
    list of MeasureTask
    """
    folder = parts_folder(output)
    tasks = []
    for files in measured:
        absolute = replace(
            files,
            labels=tuple(path.resolve() for path in files.labels),
            picture=files.picture and files.picture.resolve(),
            field_of_view=files.field_of_view and files.field_of_view.resolve(),
            probabilities=tuple(
                (name, path.resolve()) for name, path in files.probabilities
            ),
        )
        whose = str((files.name, absolute.labels))
        mark = hashlib.sha256(whose.encode()).hexdigest()[:10]
        part = folder / f"{files.name.replace('/', '-')[-80:]}-{mark}.json"
        tasks.append(MeasureTask(files.labels[0], (part,), absolute))
    return tasks


def join_tables(tasks: Sequence[Task], output: Path) -> int:
    """Make one CSV file of the tables of all images; return how many rows it has.

    One image's rows are in memory at a time.  The file appears whole or not at all.

    Raises
    ------
    FileError
        If it cannot be written, or something else than a table of measures is there.
    """
    count = 0
    with (
        new_file(output, is_table) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        write_rows(file, ())
        for task in tasks:
            rows = _read_part(task.outputs[0])
            write_rows(file, rows, heading=False)
            count += len(rows)
    return count


def remove_parts(output: Path) -> None:
    """Remove the tables of single images."""
    shutil.rmtree(parts_folder(output), ignore_errors=True)


def is_table(path: Path) -> bool:
    """Tell whether a file is a table of measures."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), []) == list(COLUMNS)
    except (OSError, ValueError, csv.Error):
        return False


def _read_part(path: Path) -> list[Row]:
    try:
        return checked_rows(read_json(path.read_bytes())["rows"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path} cannot be read: measure again.") from error
