"""Areas of the classes in files of labels: the table that a study starts from."""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file

from .labels.formats import read_labels
from .labels.label_map import LabelMap, metres, pixel_size, symbol_of

HEADER = ("image", "label", "class", "pixels", "percent")
MEASURED = ("area", "unit")
IN_VIEW = ("percent of field of view",)
MADE = ("made",)


@dataclass(frozen=True)
class ClassArea:
    """How much of an image a class covers.

    Attributes
    ----------
    image : str
        File name.
    label : int
        The class's value.
    name : str
        Its name; empty if it has none.
    pixels : int
        Pixels of the image.
    percent : float
        Of all pixels of the image.
    area : float or None
        In square ``unit``; None where a pixel's size is not known.
    unit : str
        Such as ``mm``.
    of_view : float or None
        Percent of the image's field of view; None where that is not known.
    made : str
        What the labels were made by, where a table holds several.
    """

    image: str
    label: int
    name: str
    pixels: int
    percent: float
    area: float | None = None
    unit: str = ""
    of_view: float | None = None
    made: str = ""

    def __str__(self) -> str:
        text = f"{self.pixels:,} px"
        return text if self.area is None else f"{text} · {self.area:.3g} {self.unit}²"

    @property
    def title(self) -> str:
        """The name, or the label where there is none."""
        return self.name or str(self.label)


def class_areas(labels: LabelMap) -> list[ClassArea]:
    """Count the pixels of each class that occurs or has a name; 0 is no class."""
    found, total = labels.counts, max(1, math.prod(labels.shape))
    size, unit = _pixel_area(labels)
    named = {*found, *labels.names} - {0}
    return [
        ClassArea(
            labels.image or labels.name,
            value,
            labels.names.get(value, ""),
            found.get(value, 0),
            100 * found.get(value, 0) / total,
            None if size is None else found.get(value, 0) * size,
            unit,
        )
        for value in sorted(named)
    ]


def _pixel_area(labels: LabelMap) -> tuple[float | None, str]:
    """Return a pixel's area and its unit; None where the labels do not say it."""
    scale, units = pixel_size(labels.placement, len(labels.shape))
    if len(scale) < 2 or units[-1] != units[-2] or not metres(units[-1]):
        return None, ""
    return abs(scale[-1] * scale[-2]), symbol_of(units[-1])


def areas_in(path: Path, image: str) -> list[ClassArea]:
    """Read a file of labels and count; ``image`` is the name to give.

    Raises
    ------
    FileError
        If the file cannot be read.
    """
    every = (
        area
        for labels in read_labels(path)
        for each in labels.maps
        for area in class_areas(each)
    )
    return [replace(area, image=image) for area in every]


def is_ours(path: Path) -> bool:
    """Whether a file begins as `write_areas` does."""
    try:
        with path.open("rb") as file:
            return file.readline().startswith(",".join(HEADER).encode())
    except OSError:
        return False


def read_areas(path: Path) -> list[ClassArea]:
    """Read what `write_areas` wrote; nothing where there is no such file.

    Raises
    ------
    FileError
        If it was edited so that it cannot be read.
    """
    if not is_ours(path):
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [_area(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise FileError(
            f"{path} cannot be read ({error}): choose another folder, or move it away."
        ) from error


def _area(row: dict[str, str]) -> ClassArea:
    size, of_view = row.get("area"), row.get(IN_VIEW[0])
    return ClassArea(
        row["image"],
        int(row["label"]),
        row["class"],
        int(row["pixels"]),
        float(row["percent"]),
        float(size) if size else None,
        (row.get("unit") or "").rstrip("²"),
        float(of_view) if of_view else None,
        row.get(MADE[0]) or "",
    )


def write_areas(path: Path, areas: Iterable[ClassArea]) -> None:
    """Write one line per image and class as CSV (UTF-8, comma).

    Where pixels have a size, two more columns say the area and its unit; where the
    field of view is known, and what labels were made by, there are columns of that.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with (
        new_file(path, is_ours) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        areas = list(areas)
        measured = any(area.area is not None for area in areas)
        in_view = any(area.of_view is not None for area in areas)
        made = any(area.made for area in areas)
        header = (
            *HEADER,
            *(MEASURED if measured else ()),
            *(IN_VIEW if in_view else ()),
            *(MADE if made else ()),
        )
        writer.writerow(header)
        for area in areas:
            percent = f"{area.percent:.6g}"
            line = [area.image, area.label, area.name, area.pixels, percent]
            if measured:
                size = "" if area.area is None else f"{area.area:.6g}"
                line += [size, f"{area.unit}²" if size else ""]
            if in_view:
                line.append("" if area.of_view is None else f"{area.of_view:.6g}")
            if made:
                line.append(area.made)
            writer.writerow(line)
