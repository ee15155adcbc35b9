"""Where numbers come from, drawn in the picture; and numbers in a layer's features."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Points
from psygnal import Signal

from napari_localdisc.layers.drawn import Drawings, Lines
from napari_localdisc.layers.ours import Ours
from napari_localdisc.layers.plane import METADATA_KEY, show_point

from .measure import Measured, Measuring
from .work import disconnect_all

if TYPE_CHECKING:
    from napari_localdisc.core.measure.table import Row, Table

Key = tuple[str, int | None, str, str]

_MARK = "fovea"


class MeasureShown:
    """The rows that are looked at, and what of them is seen in the viewer.

    Parameters
    ----------
    viewer : ViewerModel
        Where layers go.
    measuring : Measuring
        Whose numbers.
    """

    rows_changed = Signal()
    """Other rows are looked at, or other numbers are in them."""

    def __init__(self, viewer: ViewerModel, measuring: Measuring) -> None:
        self._viewer = viewer
        self.measuring = measuring
        self.groups: tuple[str, ...] = ()
        self.unit: str | None = None
        self.key: Key | None = None
        self.rows: Table
        self._drawings = Drawings(viewer)
        self._written: weakref.WeakKeyDictionary[Labels, list[str]]
        self._written = weakref.WeakKeyDictionary()
        self._mark: Ours | None = None
        from napari_localdisc.core.measure.choosing import MAIN

        self.groups = (MAIN,)
        measuring.changed.connect(self._on_numbers)
        self._on_numbers()

    def close(self) -> None:
        """Take what was drawn out of the viewer."""
        self.show(None)
        self._forget_mark()
        disconnect_all(self)

    # Which rows

    def set_groups(self, groups: tuple[str, ...]) -> None:
        """Look at groups of measures; none: at every measure."""
        self.groups = groups
        self._on_numbers()

    def set_unit(self, unit: str | None) -> None:
        """Tell lengths in a unit where it is known; None: in the best one."""
        self.unit = unit
        self._on_numbers()

    @property
    def units(self) -> list[str]:
        """The units of length that are known."""
        result = self.measuring.result
        if result is None:
            return ["pixel"]
        return [each.name for each in result.examined.landmarks.units.lengths]

    def _on_numbers(self) -> None:
        from napari_localdisc.core.measure.choosing import choose_rows
        from napari_localdisc.core.measure.table import Table

        result = self.measuring.result
        table = Table() if result is None else result.table
        self.rows = choose_rows(table, self.groups, self.unit)
        if result is not None:
            self._write_features(result)
        self._draw()
        self.rows_changed.emit()

    # Where a number comes from

    def show(self, row: Row | None) -> None:
        """Draw where a row's number comes from, also after it changes; None: nothing.

        A piece or a segment comes into the middle of the view.
        """
        self.key = None if row is None else key_of(row)
        self._draw()
        result = self.measuring.result
        if row is None or row.piece is None or result is None:
            return
        from napari_localdisc.core.measure.evidence import middle_of

        point = middle_of(result.examined, row)
        if point is not None:
            asked = result.asked
            show_point(self._viewer, asked.layer, asked.plane, point)

    @property
    def shown_row(self) -> Row | None:
        """The row that is drawn, with its number as it is now."""
        if self.key is None:
            return None
        return next((row for row in self.rows if key_of(row) == self.key), None)

    def _draw(self) -> None:
        from napari_localdisc.core.measure.evidence import evidence

        result, row = self.measuring.result, self.shown_row
        if result is None or row is None or not self._is_here(result):
            self._drawings.clear()
            return
        found = evidence(result.examined, row)
        lines = [Lines(each.what, each.lines) for each in found if len(each.lines)]
        points = [Lines(each.what, each.points) for each in found if len(each.points)]
        self._drawings.show(result.asked.layer, result.asked.plane, [*lines, *points])

    def _is_here(self, result: Measured) -> bool:
        return result.asked.layer in self._viewer.layers

    # A layer's features

    def _write_features(self, result: Measured) -> None:
        """Write a row a class: what is looked at of the whole field.

        Columns of others stay where their rows say which label they are of.
        """
        layer = result.asked.layer
        if layer not in self._viewer.layers:
            return
        import pandas as pd

        columns = self._columns(result)
        before, ours = layer.features, self._written.get(layer, [])
        others = [name for name in before.columns if name not in {*ours, "name"}]
        fresh = pd.DataFrame(columns)
        if "index" in others:
            kept = before[others]
            fresh = kept.merge(fresh, on="index", how="outer")
        elif others:
            return  # nothing says which label they are of
        if not fresh.equals(before):
            layer.features = fresh
        self._written[layer] = [name for name in columns if name not in others]

    def _columns(self, result: Measured) -> dict[str, list[Any]]:
        names = result.asked.names
        values = sorted({*names} or _values_of(result))
        whole = result.examined.whole.name
        columns: dict[str, list[Any]] = {"index": values}
        if names:
            columns["name"] = [names.get(value, "") for value in values]
        for row in self.rows:
            if row.piece is not None or row.region != whole:
                continue
            title = f"{row.measure} ({row.unit})" if row.unit else row.measure
            for at, value in enumerate(values):
                if row.structure == (names.get(value) or f"label {value}"):
                    column = columns.setdefault(title, [np.nan] * len(values))
                    column[at] = np.nan if row.value is None else row.value
        return columns

    # The fovea by hand

    def place_fovea(self) -> None:
        """Put a point where the fovea was found, to be dragged where it is."""
        result = self.measuring.result
        if result is None or (self._mark is not None and self._mark.layer is not None):
            return
        asked, examined = result.asked, result.examined
        point = examined.landmarks.fovea
        if point is None:
            rows, columns = np.nonzero(examined.subject.view)
            point = float(rows.mean()), float(columns.mean())
        at = np.zeros(asked.layer.ndim)
        at[list(asked.plane.axes)] = point
        layer = Points(
            at[None],
            name=f"{asked.layer.name} {_MARK}",
            size=max(asked.plane.shape) / 40,
            symbol="cross",
            face_color="#00d45a",
            border_color="#ffffff",
            canvas_size_limits=(16, 30),
            metadata={METADATA_KEY: {"drawn": _MARK}},
            **asked.plane.placement(asked.layer),
        )
        self._mark = Ours(self._viewer, layer, selects=True)
        layer.mode = "select"
        layer.selected_data = {0}
        layer.events.data.connect(self._on_mark)
        self._viewer.layers.events.removed.connect(self._on_removed)
        self.measuring.set_options(fovea=point)

    def _on_mark(self, event: Any) -> None:
        layer, result = event.source, self.measuring.result
        if result is None or not len(layer.data):
            self.measuring.set_options(fovea=None)
            return
        row, column = layer.data[-1][list(result.asked.plane.axes)]
        self.measuring.set_options(fovea=(float(row), float(column)))

    def _on_removed(self, event: Any) -> None:
        mark = self._mark
        if mark is not None and mark.layer is None:
            self._forget_mark()
            self.measuring.set_options(fovea=None)

    def _forget_mark(self) -> None:
        mark, self._mark = self._mark, None
        if mark is not None:
            self._viewer.layers.events.removed.disconnect(self._on_removed)
            mark.remove()


def key_of(row: Row) -> Key:
    """Return what tells a row from all others of an image, whatever its unit."""
    return row.structure, row.piece, row.region, row.measure


def _values_of(result: Measured) -> list[int]:
    return [
        int(name.removeprefix("label "))
        for name in result.examined.subject.masks
        if name.startswith("label ")
    ]
