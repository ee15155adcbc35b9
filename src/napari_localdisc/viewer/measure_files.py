"""Numbers that leave: as text, as a table's file, as a page about the image."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from napari_localdisc.core.errors import FileError, PromptError
from napari_localdisc.layers.plane import METADATA_KEY

from .measure import Measured, colours_of
from .measure_shown import MeasureShown
from .work import run_beside
from .workspace import Workspace

if TYPE_CHECKING:
    from napari_localdisc.core.measure.table import Row

CSV, PARQUET, REPORT = ".csv", ".parquet", ".html"

KINDS = {
    CSV: "Table (*.csv)",
    REPORT: "Report of one page (*.html)",
    PARQUET: "Table (*.parquet)",
}
"""Endings, and what dialogs call them."""


def offered() -> list[str]:
    """Return the kinds of files that can be written here."""
    has_parquet = find_spec("pandas") is not None and find_spec("pyarrow") is not None
    return [text for end, text in KINDS.items() if end != PARQUET or has_parquet]


def as_text(rows: Iterable[Row]) -> str:
    """Return rows as spreadsheets take them from the clipboard."""
    lines = ["structure\tpiece\tregion\tmeasure\tvalue\tunit\treason"]
    for row in rows:
        piece = "" if row.piece is None else str(row.piece)
        value = "" if row.value is None else f"{row.value:.10g}"
        cells = (row.structure, piece, row.region, row.measure, value, row.unit)
        lines.append("\t".join((*cells, row.reason)))
    return "\n".join(lines) + "\n"


class MeasureFiles:
    """Writes what is looked at.

    Parameters
    ----------
    workspace : Workspace
        Its work, status and model.
    shown : MeasureShown
        The rows.
    """

    def __init__(self, workspace: Workspace, shown: MeasureShown) -> None:
        self._workspace = workspace
        self._shown = shown

    def save(self, path: str | Path) -> None:
        """Write the rows that are looked at, by the file's ending; errors are reported.

        ``.csv`` and ``.parquet`` hold the table, ``.html`` a page with picture,
        numbers, plots and settings.
        """
        path, result = Path(path), self._shown.measuring.result
        with self._workspace.reporting():
            if result is None:
                raise PromptError("There are no numbers to save yet.")
            if path.suffix.lower() not in KINDS:
                raise FileError(f"{path} must end with {', '.join(KINDS)}.")
            rows, settings = self._shown.rows, self.settings(result)
            colours = colours_of(result)

            def write() -> None:
                from napari_localdisc.core.measure.report import write_report

                if path.suffix.lower() == CSV:
                    rows.to_csv(path)
                elif path.suffix.lower() == PARQUET:
                    rows.to_parquet(path)
                else:
                    name = result.asked.image or result.asked.layer
                    write_report(
                        path,
                        result.examined,
                        rows,
                        title=str(name),
                        settings=settings,
                        colours=colours,
                    )

            def say(nothing: None) -> None:
                self._workspace.status.say(f"{len(rows)} values saved: {path}.")

            run_beside(self._workspace.runner, write, self._workspace.report, say, True)

    def sentence(self) -> str:
        """Say what the numbers are of, or why there are none."""
        measuring = self._shown.measuring
        result = measuring.result
        if result is None:
            return "Measuring…" if measuring.is_busy else measuring.sentence
        said = [f"Millimetres {_millimetres(result)}."]
        if result.asked.image is None:
            said.insert(0, "No picture lies under these labels.")
        elif result.asked.kind == "fundus":
            share = f"{_share(result):.0f} % of the image"
            said.insert(0, f"The field of view is {share}.")
        return " ".join(said)

    def _models(self, result: Measured) -> str:
        """Name the models that wrote into the labels; empty where none is known to."""
        labels, image = result.asked.layer, result.asked.image
        made = [labels.metadata.get(METADATA_KEY, {})]
        if image is not None:
            document = self._workspace.annotations.of(image)
            if any(layer is labels for layer in document.labels.values()):
                log = document.history.log
                made += [step.parameters for step in log if step.kind == "write"]
        named = (
            f"{m.get('model')} ({m['model_hash']})" for m in made if "model_hash" in m
        )
        return ", ".join(dict.fromkeys(named))

    def settings(self, result: Measured) -> dict[str, str]:
        """Say what else made the numbers, for a report's reader."""
        asked, examined = result.asked, result.examined
        landmarks, options = examined.landmarks, asked.options
        said = {
            "labels": asked.layer.name,
            "picture": asked.image.name if asked.image is not None else "none",
            "kind": asked.kind,
            "regions": ", ".join(options.regions),
            "in view": f"{landmarks.view_name}, {_share(result):.0f} % of the image",
            "millimetres": _millimetres(result),
        }
        if models := self._models(result):
            said["labels made with"] = models
        if landmarks.disc is not None:
            said["optic disc"] = landmarks.disc.source
        if landmarks.fovea is not None:
            said["fovea"] = landmarks.fovea_source
        if landmarks.eye is not None:
            said["eye"] = landmarks.eye
        for name, vessels in examined.vessels.items():
            said[f"calibre of {name}"] = vessels.tree.method
        return said


def _share(result: Measured) -> float:
    return 100 * float(result.examined.subject.view.mean())


def _millimetres(result: Measured) -> str:
    for length in result.examined.landmarks.units.lengths:
        if length.name == "mm":
            said = length.source.removeprefix("mm ")
            return f"{said}: {1 / length.pixels:.5g} mm a pixel"
    return "not known"
