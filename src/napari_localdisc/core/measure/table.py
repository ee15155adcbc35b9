"""A tidy table: one value a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, overload

from pydantic import TypeAdapter

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Row:
    """One value, and all that is needed to read it.

    Attributes
    ----------
    image : str
        Name of the image.
    structure : str
        What was measured: the name of a class.
    piece : int or None
        Number of a piece of it (a lesion, a segment of a vessel); None: all of it.
    region : str
        Where.
    measure : str
        What is told of it.
    value : float or None
        None: missing.
    unit : str
        Of the value.
    share_in_view : float
        How much of the region can be seen, in [0, 1].
    method : str
        How it was measured.
    reason : str
        Why the value is missing.
    version : str
        Of this package.
    """

    image: str
    structure: str
    piece: int | None
    region: str
    measure: str
    value: float | None
    unit: str
    share_in_view: float
    method: str
    reason: str
    version: str


COLUMNS = tuple(field.name for field in fields(Row))


def checked_rows(rows: Iterable[Any]) -> list[Row]:
    """Return rows that were kept as lists of their values.

    Raises
    ------
    ValueError
        If they are none.
    """
    # JSON knows no tuples, and lists are none where pydantic is strict
    values = [tuple(row) if isinstance(row, list) else row for row in rows]
    return [Row(*row) for row in _rows().validate_python(values, strict=True)]


_Values = tuple[str, str, int | None, str, str, float | None, str, float, str, str, str]
"""Of a row, in the order of its columns."""


@cache
def _rows() -> TypeAdapter[list[_Values]]:
    return TypeAdapter(list[_Values])


class Table(Sequence[Row]):
    """Rows, as they come from `measure`.

    Parameters
    ----------
    rows : iterable of Row
        In their order.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Table: ...
    def __getitem__(self, index: int | slice) -> Row | Table:
        """Return a row, or a table of some."""
        if isinstance(index, slice):
            return Table(self._rows[index])
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Table) -> Table:
        return Table((*self._rows, *other._rows))

    def __repr__(self) -> str:
        images = len({row.image for row in self._rows})
        return f"<Table of {len(self)} values of {images} image(s)>"

    def where(self, **wanted: Any) -> Table:
        """Return the rows whose columns have given values.

        Examples
        --------
        >>> table.where(structure="vessel", measure="density")  # doctest: +SKIP
        """
        return Table(
            row
            for row in self._rows
            if all(getattr(row, column) == value for column, value in wanted.items())
        )

    def value(self, **wanted: Any) -> float | None:
        """Return the value of the one row that fits, of all pieces unless one is named.

        Raises
        ------
        KeyError
            If there is none, or more than one.
        """
        found = self.where(**{"piece": None, **wanted})
        if len(found) != 1:
            said = ", ".join(f"{column} {value!r}" for column, value in wanted.items())
            raise KeyError(f"{len(found)} rows, not one, are of {said}.")
        return found[0].value

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the table as CSV, and write it into a file if one is given.

        Values have as many digits as tell them apart; what is missing is empty.  A file
        appears whole or not at all, in UTF-8.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        text = io.StringIO()
        write_rows(text, self._rows)
        if path is not None:
            with new_file(Path(path)) as temporary:
                temporary.write_text(text.getvalue(), "utf-8", newline="")
        return text.getvalue()

    def to_parquet(self, path: str | Path) -> None:
        """Write the table as Parquet, by pandas and pyarrow.

        A file appears whole or not at all.

        Raises
        ------
        FileError
            If one of them, which are not required, is not installed, or the file
            cannot be written.
        """
        frame = self.to_dataframe()
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise FileError(
                "Parquet needs pyarrow, which is not installed: pip install pyarrow, "
                "or save as CSV."
            ) from error
        with new_file(Path(path)) as temporary:
            frame.to_parquet(temporary, engine="pyarrow", index=False)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict a row, ready for JSON."""
        return [dict(zip(COLUMNS, astuple(row), strict=True)) for row in self._rows]

    def to_dataframe(self) -> pd.DataFrame:
        """Return a pandas DataFrame; `Row`'s attributes are its columns.

        Raises
        ------
        FileError
            If pandas, which is not required, is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise FileError(
                "A DataFrame needs pandas, which is not installed: pip install "
                "pandas, or use to_csv."
            ) from error
        frame = pd.DataFrame(self.to_dicts(), columns=list(COLUMNS))
        frame["value"] = frame["value"].astype("float64")
        frame["piece"] = frame["piece"].astype("Int64")
        return frame


def write_rows(file: TextIO, rows: Iterable[Row], *, heading: bool = True) -> None:
    """Write rows as CSV, with the columns' names first."""
    writer = csv.writer(file, lineterminator="\n")
    if heading:
        writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([cell(value) for value in astuple(row)])


def cell(value: Any) -> str:
    """Return a value as tables have it: ten digits, nothing where it is missing."""
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def value_text(value: float | None) -> str:
    """Return a value as it is read: four digits, as many as are before the point."""
    if value is None:
        return "–"
    if value != 0 and (abs(value) >= 1e6 or abs(value) < 1e-4):
        return f"{value:.3e}"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.4g}"
