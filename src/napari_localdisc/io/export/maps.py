"""Similarity, probability and other maps of floats: values exactly as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError

from .notes import KEY
from .tiff import check_axes, write_array

SUFFIXES = (".tif", ".tiff")


def write_map(
    path: str | Path,
    values: NDArray[Any],
    placement: Mapping[str, Any] | None = None,
    made_by: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a map as a 32-bit float TIFF file.

    Parameters
    ----------
    path : str or Path
        Ends with ``.tif`` or ``.tiff``; ``.ome.tif`` for OME metadata.
    values : ndarray
        (…, H, W) floats that 32 bits hold exactly.
    placement : mapping, optional
        As of `LabelMap`.
    made_by : mapping, optional
        How the map was made; JSON.

    Returns
    -------
    list of Path
        The file.

    Raises
    ------
    FileError
        If the values would change, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise FileError(f"{path} must end with .tif: it holds numbers, no picture.")
    array = np.asarray(values)
    if array.dtype.kind not in "fbui":
        raise FileError(f"A map holds real numbers, not {array.dtype}.")
    exact = array.astype(np.float32)
    if array.dtype.itemsize > 2 and array.dtype != np.float32:
        same = (exact == array) | (array != array)
        if not same.all():
            raise FileError(
                "32-bit floats would change these values: convert them to 32 bits "
                "yourself if the difference does not matter."
            )
    check_axes(array.shape)
    note = {"placement": dict(placement or {}), "made_by": dict(made_by or {})}
    scale = (placement or {}).get("scale") or [1.0] * array.ndim
    units = (placement or {}).get("units") or ["pixel"] * array.ndim
    pixel_size = [float(step) for step in scale], [str(unit) for unit in units]
    write_array(path, exact, pixel_size, json.dumps({KEY: note}), {})
    return [path]
