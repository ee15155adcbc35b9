"""TIFF with the metadata that ImageJ, or every reader of OME-TIFF, understands."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError

from .atomic import new_file
from .label_map import LabelMap, byte_colour
from .notes import note_text
from .units import symbol_of

NAME = "TIFF"
NAMESPACE = "napari-localdisc"
OME_ENDINGS = (".ome.tif", ".ome.tiff")
LARGEST = 2**32 - 1

_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_IMAGEJ_BYTES = 2**31
_OME_TYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32")
_AXES = "TZCYX"


def check(labels: LabelMap) -> None:
    """Raise a FileError for what a TIFF file cannot hold."""
    check_axes(labels.shape)
    labels.check_range(NAME, LARGEST, -(2**31))
    if labels.smallest < 0 and labels.largest >= 2**31:
        raise FileError(
            f"{NAME} holds values below 0 or above {2**31 - 1}, not both: choose "
            "OME-Zarr."
        )


def check_axes(shape: Sequence[int]) -> None:
    """Raise a FileError for more axes than the metadata can name."""
    if len(shape) > len(_AXES):
        raise FileError(
            f"{NAME} metadata names at most 5 axes, but the array has {len(shape)}: "
            "save a slice."
        )


def write(path: Path, labels: LabelMap) -> list[Path]:
    """Write labels as a losslessly compressed TIFF file.

    ImageJ metadata where ImageJ can hold the type of the values, else (and for names
    that end with ``.ome.tif``) OME metadata: pixel size and unit, class names, and for
    ImageJ a lookup table of the classes' colours.

    Raises
    ------
    FileError
        If the labels do not fit, or the file cannot be written.
    """
    check(labels)
    array = labels.array
    names = {str(value): labels.class_name(value) for value in labels.classes}
    lookup = None
    if labels.smallest >= 0 and labels.largest <= 255:
        lookup = [byte_colour(labels.colour(value))[:3] for value in range(256)]
    write_array(path, array, labels.pixel_size(), note_text(labels), names, lookup)
    return [path]


def write_array(
    path: Path,
    array: NDArray[Any],
    pixel_size: tuple[Sequence[float], Sequence[str]],
    note: str,
    names: Mapping[str, str],
    lookup: Sequence[tuple[int, ...]] | None = None,
) -> None:
    """Write an array, values and type as they are, with its pixel size.

    Parameters
    ----------
    path : Path
        Ends with ``.tif`` or ``.tiff``.
    array : ndarray
        (…, H, W), at most five axes.
    pixel_size : tuple
        Scale and unit of each axis.
    note : str
        ASCII; kept where it disturbs no other program.
    names : mapping of str to str
        Class names by value.
    lookup : sequence of tuple, optional
        256 RGB colours for ImageJ.
    """
    is_ome = path.name.lower().endswith(OME_ENDINGS)
    fits_imagej = array.dtype.name in _IMAGEJ_TYPES and array.nbytes < _IMAGEJ_BYTES
    if is_ome or not fits_imagej:
        options = _ome(array, pixel_size, note, names, path)
    else:
        options = _imagej(array, pixel_size, note, lookup)
    with new_file(path) as temporary, warnings.catch_warnings():
        # ImageJ itself reads what tifffile warns that ImageJ may not
        warnings.simplefilter("ignore", UserWarning)
        # No predictor: ImageJ would not read it
        tifffile.imwrite(
            temporary, array, photometric="minisblack", compression="zlib", **options
        )


def _axes(array: NDArray[Any]) -> str:
    return {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TZCYX"}[array.ndim]


def _imagej(
    array: NDArray[Any],
    pixel_size: tuple[Sequence[float], Sequence[str]],
    note: str,
    lookup: Sequence[tuple[int, ...]] | None,
) -> dict[str, Any]:
    scale, units = pixel_size
    metadata: dict[str, Any] = {"axes": _axes(array), "Info": note}
    symbol = symbol_of(units[-1])
    metadata["unit"] = symbol.replace("µm", "um").encode("ascii", "ignore").decode()
    if array.ndim > 2:
        metadata["spacing"] = scale[-3]
    if lookup is not None:
        metadata["LUTs"] = [np.asarray(lookup, np.uint8).T]
        metadata["mode"] = "grayscale"
    options: dict[str, Any] = {"imagej": True, "metadata": metadata}
    if all(1e-9 < abs(step) < 1e9 for step in scale[-2:]):
        options["resolution"] = (1 / abs(scale[-1]), 1 / abs(scale[-2]))
    return options


def _ome(
    array: NDArray[Any],
    pixel_size: tuple[Sequence[float], Sequence[str]],
    note: str,
    names: Mapping[str, str],
    path: Path,
) -> dict[str, Any]:
    if array.dtype.name not in _OME_TYPES:
        raise FileError(
            f"OME-TIFF holds no values of type {array.dtype}: choose OME-Zarr."
        )
    axes = _axes(array)
    metadata: dict[str, Any] = {
        "axes": axes,
        "Name": path.name,
        "CommentAnnotation": {"Namespace": NAMESPACE, "Value": note},
    }
    if names:
        metadata["MapAnnotation"] = {
            "Namespace": f"{NAMESPACE}/classes",
            "Value": dict(names),
        }
    scale, units = pixel_size
    for axis, step, unit in zip(axes, scale, units, strict=True):
        if axis in "ZYX" and step > 0:
            metadata[f"PhysicalSize{axis}"] = float(step)
            metadata[f"PhysicalSize{axis}Unit"] = symbol_of(unit)
    return {"ome": True, "metadata": metadata}
