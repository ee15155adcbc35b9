"""Two graders of the same images: those of studies, or of folders of labels."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file
from napari_localdisc.core.measure.table import Row
from napari_localdisc.core.study.graders import (
    BlandAltman,
    MaskAgreement,
    compare_masks,
    compare_measures,
)
from napari_localdisc.core.work import Steps
from napari_localdisc.io.study import Kind, Masks, Study, StudyImage, is_study

from .studying import MeasureStudyRecipe, StudyTask

if TYPE_CHECKING:
    from napari_localdisc.io.measured import Measured

MEASURE_COLUMNS = (
    *("structure", "region", "measure", "unit", "images"),
    *("mean_first", "mean_second", "bias", "deviation", "lower", "upper"),
)

WHOLE = ("field of view", "image")
"""What a table calls all that can be seen."""


class Side(ABC):
    """One grader's masks of images, by the images' names."""

    title: str

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Of the images that the grader has masks of."""

    @abstractmethod
    def masks(self, name: str) -> Masks:
        """Return the masks of an image."""

    @abstractmethod
    def rows(self, name: str) -> list[Row]:
        """Measure an image."""


class StudySide(Side):
    """A grader of a study; images that the grader rejected do not count.

    Parameters
    ----------
    study : Study
        The study.
    grader : str
        Who.

    Raises
    ------
    FileError
        If two images have one name.
    """

    def __init__(self, study: Study, grader: str) -> None:
        self.title = grader
        self._study = study
        self._grader = grader
        self._recipe = MeasureStudyRecipe(study, grader)
        self._images = by_name(
            (image.name, image)
            for image in study.images(grader)
            if image.state != "rejected" and study.is_graded(image.id, grader)
        )

    @property
    def names(self) -> list[str]:
        """Of what was graded."""
        return list(self._images)

    def masks(self, name: str) -> Masks:
        """Return the grader's masks."""
        return self._study.masks(self._images[name].id, self._grader)

    def rows(self, name: str) -> list[Row]:
        """Return the table that is kept, made first if need be."""
        image: StudyImage = self._images[name]
        known = self._recipe.rows(image)
        if known is None:
            task = StudyTask(image.path, (self._study.path,), image)
            self._recipe.write(task, None, {})
            known = self._recipe.rows(image)
        return known or []


class FolderSide(Side):
    """A folder of label files, named as `localdisc measure` takes them."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        from napari_localdisc.io.measured import find_measured

        self.title = folder.name
        self._kind = kind
        self._files: dict[str, Measured] = by_name(
            (files.name, files) for files in find_measured([folder])
        )

    @property
    def names(self) -> list[str]:
        """Of what has labels."""
        return list(self._files)

    def masks(self, name: str) -> Masks:
        """Read an image's labels."""
        from napari_localdisc.core.measure.subject import class_masks

        read = self._files[name].read()
        masks = dict(read.masks)
        if read.labels is not None:
            masks |= class_masks(read.labels, read.names)
        return masks

    def rows(self, name: str) -> list[Row]:
        """Measure an image."""
        from napari_localdisc.core.measure.measure import measure

        read = self._files[name].read()
        return list(
            measure(
                self.masks(name),
                self._kind,
                image=read.picture,
                field_of_view=read.field_of_view,
                scale=read.scale,
                pieces=False,
                name=name,
            )
        )


def by_name(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return what belongs to each image.

    Raises
    ------
    FileError
        If two images have one name.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise FileError(
                f"Two images are called {name!r}: graders are compared image by image, "
                "so give one of them another name."
            )
        found[name] = value
    return found


def side_of(path: Path, grader: str = "", kind: Kind = "fundus") -> Side:
    """Return the grader that a study, its folder or a folder of labels stands for.

    Parameters
    ----------
    path : Path
        A study's file or folder, else a folder of labels.
    grader : str
        Which of a study's; may be left out where there is one.
    kind : {"fundus", "chest", "any"}
        Of a folder, as of `measure`.

    Raises
    ------
    FileError
        If there are no such labels, or it is not said whose.
    """
    if not is_study(path):
        if not path.is_dir():
            raise FileError(f"{path} is neither a study nor a folder of labels.")
        return FolderSide(path, kind)
    study = Study(path)
    known = study.graders
    if not grader and len(known) != 1:
        names = ", ".join(known) or "nobody yet"
        raise FileError(f"{study.path} was graded by {names}: say whom to compare.")
    grader = grader or known[0]
    if grader not in known:
        names = ", ".join(known) or "none"
        raise FileError(f"{study.path} has no grader {grader!r}; it has {names}.")
    return StudySide(study, grader)


@dataclass(frozen=True)
class Comparison:
    """How two graders agree, image by image and measure by measure."""

    masks: list[MaskAgreement]
    measures: list[BlandAltman]


def compare_steps(first: Side, second: Side) -> Steps[Comparison]:
    """Compare two graders on the images that both have.

    Yields
    ------
    done, total : int
        Images.

    Raises
    ------
    FileError
        If they have no image in common.
    PromptError
        If masks of an image differ in size.
    """
    there = set(second.names)
    names = [name for name in first.names if name in there]
    if not names:
        raise FileError(
            f"{first.title} and {second.title} have no image in common: images are "
            "matched by their names."
        )
    agreements: list[MaskAgreement] = []
    tables: tuple[list[Row], list[Row]] = [], []
    for done, name in enumerate(names):
        yield done, len(names)
        agreements += compare_masks(name, first.masks(name), second.masks(name))
        for table, side in zip(tables, (first, second), strict=True):
            table += side.rows(name)
    return Comparison(agreements, compare_measures(*tables))


def worth_drawing(found: Sequence[BlandAltman]) -> list[BlandAltman]:
    """Leave what was measured in the whole field, each in the first of its units."""
    first: dict[tuple[str, str], BlandAltman] = {}
    for each in found:
        if each.region in WHOLE:
            first.setdefault((each.structure, each.measure), each)
    return list(first.values())


def write_agreement(path: Path, found: Sequence[MaskAgreement]) -> None:
    """Write a CSV file with a row an image and structure."""
    names = [field.name for field in fields(MaskAgreement)]
    _write(path, names, (astuple(row) for row in found))


def write_measures(path: Path, found: Sequence[BlandAltman]) -> None:
    """Write a CSV file with a row a measure: bias and limits of agreement."""
    rows = []
    for each in found:
        first = sum(pair.first for pair in each.pairs) / len(each.pairs)
        lower, upper = each.limits or (None, None)
        rows.append(
            (
                *(each.structure, each.region, each.measure, each.unit),
                *(len(each.pairs), first, first - each.bias),
                *(each.bias, each.deviation, lower, upper),
            )
        )
    _write(path, MEASURE_COLUMNS, rows)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    from napari_localdisc.core.measure.table import cell

    with (
        new_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell(value) for value in row] for row in rows)
