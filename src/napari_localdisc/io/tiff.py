"""Labels, masks and maps → TIFF files that appear whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.models import atomic_path

SUFFIXES = (".tif", ".tiff")


def write_tiff(
    path: Path, array: NDArray[Any], made_by: Mapping[str, object] | None = None
) -> None:
    """Write an image losslessly compressed, values and dtype as they are.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    array : ndarray
        (H, W) of integers or floats, or bool, which becomes 0 and 1 in 8 bits.
    made_by : mapping, optional
        What made the file, kept as JSON in its description.

    Raises
    ------
    FileError
        If the file cannot be written there.
    """
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    text = None if made_by is None else json.dumps({"localdisc": dict(made_by)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            # No predictor: ImageJ would not read it
            tifffile.imwrite(
                temporary,
                array,
                photometric="minisblack",
                compression="zlib",
                description=text,
                metadata=None,
            )
    except OSError as error:
        reason = error.strerror or error
        raise FileError(f"{path} cannot be written: {reason}.") from error


def read_made_by(path: Path) -> dict[str, Any] | None:
    """Return what `write_tiff` was told of a file's making; None if it is not ours."""
    try:
        with tifffile.TiffFile(path) as file:
            made_by = json.loads(file.pages.first.description)["localdisc"]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return made_by if isinstance(made_by, dict) else None
