"""What the commands write of images: TIFF files that say how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .export.label_map import Colour, LabelMap
from .export.maps import SUFFIXES, write_map
from .export.reading import read_note
from .export.tiff import write

__all__ = ["SUFFIXES", "read_made_by", "write_tiff"]


def write_tiff(
    path: Path,
    array: NDArray[Any],
    made_by: Mapping[str, object] | None = None,
    *,
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, Colour] | None = None,
    image: str = "",
) -> None:
    """Write labels, a mask or a map losslessly compressed, values as they are.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    array : ndarray
        (H, W) of floats, or of integers or bool, which becomes 0 and 1 in 8 bits.
    made_by : mapping, optional
        What made the file, kept as JSON in its metadata.
    names, colours : mapping, optional
        Of the labels, for `read_labels`.
    image : str
        File name of the image.

    Raises
    ------
    FileError
        If the file cannot be written there.
    """
    if np.dtype(array.dtype).kind == "f":
        write_map(path, array, made_by=made_by)
        return
    labels = LabelMap(
        array,
        names=dict(names or {}),
        colours=dict(colours or {}),
        name=path.stem,
        image=image,
        made_by=dict(made_by or {}),
    )
    write(path, labels)


def read_made_by(path: Path) -> dict[str, Any] | None:
    """Return what `write_tiff` was told of a file's making; None if it is not ours."""
    note = read_note(path)
    made_by = None if note is None else note.get("made_by")
    return made_by if isinstance(made_by, dict) else None
