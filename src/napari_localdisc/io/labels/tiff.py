"""TIFF with the metadata that ImageJ, or every reader of OME-TIFF, understands."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import given_path, new_file
from napari_localdisc.core.image.roles import note_in
from napari_localdisc.core.image.tiff import check_parts, tiff_stored
from napari_localdisc.core.image.upright import turned
from napari_localdisc.core.names import NOTE_NAMESPACE

from .label_map import (
    LabelMap,
    byte_colour,
    name_of,
    note_of,
    note_text,
    noted,
    parse_note,
    pixel_size,
    plain,
    symbol_of,
)

NAME = "TIFF"
NAMESPACE = NOTE_NAMESPACE
ENDINGS = (".tif", ".tiff")
OME_ENDINGS = (".ome.tif", ".ome.tiff")
LARGEST = 2**32 - 1

_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_IMAGEJ_BYTES = 2**31
_OME_TYPES = ("int8", "int16", "int32", "uint8", "uint16", "uint32", "float32")
_AXES = "TZCYX"


def check(labels: LabelMap) -> None:
    """Raise a FileError for what a TIFF file cannot hold."""
    _check_axes(labels.shape)
    labels.check_range(NAME, LARGEST, -(2**31))
    if labels.smallest < 0 and labels.largest >= 2**31:
        raise FileError(
            f"{NAME} holds values below 0 or above {2**31 - 1}, not both: choose "
            "OME-Zarr."
        )


def _check_axes(shape: Sequence[int]) -> None:
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
    """
    names = {str(value): labels.class_name(value) for value in labels.classes}
    lookup = None
    if labels.smallest >= 0 and labels.largest <= 255:
        lookup = [byte_colour(labels.colour(value))[:3] for value in range(256)]
    note = note_of(labels)
    return _write(path, labels.array, labels.placement, note, names, lookup)


def _write(
    path: Path,
    array: NDArray[Any],
    placement: Mapping[str, Any],
    note: Mapping[str, Any],
    names: Mapping[str, str],
    lookup: Sequence[tuple[int, ...]] | None = None,
) -> list[Path]:
    size, text = pixel_size(placement, array.ndim), note_text(note)
    is_ome = path.name.lower().endswith(OME_ENDINGS)
    fits_imagej = array.dtype.name in _IMAGEJ_TYPES and array.nbytes < _IMAGEJ_BYTES
    if is_ome or not fits_imagej:
        options = _ome(array, *size, text, names, path.name)
    else:
        options = _imagej(array, *size, text, lookup)
    with new_file(path, is_ours) as temporary, warnings.catch_warnings():
        # ImageJ itself reads what tifffile warns that ImageJ may not
        warnings.simplefilter("ignore", UserWarning)
        # No predictor: ImageJ would not read it
        tifffile.imwrite(
            temporary, array, photometric="minisblack", compression="zlib", **options
        )
    return [path]


def _axes(array: NDArray[Any]) -> str:
    return {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TZCYX"}[array.ndim]


def _imagej(
    array: NDArray[Any],
    scale: Sequence[float],
    units: Sequence[str],
    note: str,
    lookup: Sequence[tuple[int, ...]] | None,
) -> dict[str, Any]:
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
    scale: Sequence[float],
    units: Sequence[str],
    note: str,
    names: Mapping[str, str],
    title: str,
) -> dict[str, Any]:
    if array.dtype.name not in _OME_TYPES:
        raise FileError(
            f"OME-TIFF holds no values of type {array.dtype}: choose OME-Zarr."
        )
    axes = _axes(array)
    metadata: dict[str, Any] = {
        "axes": axes,
        "Name": title,
        "CommentAnnotation": {"Namespace": NAMESPACE, "Value": note},
    }
    if names:
        metadata["MapAnnotation"] = {
            "Namespace": f"{NAMESPACE}/classes",
            "Value": dict(names),
        }
    for axis, step, unit in zip(axes, scale, units, strict=True):
        if axis in "ZYX" and step > 0:
            metadata[f"PhysicalSize{axis}"] = float(step)
            metadata[f"PhysicalSize{axis}Unit"] = symbol_of(unit)
    return {"ome": True, "metadata": metadata}


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
    path = given_path(path)
    if path.suffix.lower() not in ENDINGS:
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
    _check_axes(array.shape)
    note = {"placement": dict(placement or {}), "made_by": plain(made_by or {})}
    return _write(path, exact, placement or {}, note, {})


def write_tiff(
    path: Path,
    array: NDArray[Any],
    made_by: Mapping[str, object] | None = None,
    **about: Any,
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
    **about
        ``names``, ``colours`` and ``image`` of `LabelMap`, where there are labels, and
        ``placement``.

    Raises
    ------
    FileError
        If the file cannot be written there.
    """
    if np.dtype(array.dtype).kind == "f":
        write_map(path, array, about.get("placement"), made_by)
        return
    labels = LabelMap(array, name=path.stem, made_by=dict(made_by or {}), **about)
    check(labels)
    write(path, labels)


def read(path: Path) -> list[LabelMap]:
    """Read labels with our note, else with what ImageJ's or OME's fields say."""
    with tifffile.TiffFile(path) as file:
        if file.pages.first.photometric == tifffile.PHOTOMETRIC.RGB:
            raise FileError(
                f"{path} is a picture, not labels: each of its pixels is a colour."
            )
        check_parts(path, file.series[0].keyframe)
        array = file.series[0].asarray()
        note, placement = _said(file, array.ndim)
    if array.dtype.kind not in "bui":
        raise FileError(f"{path} holds {array.dtype} values, which are no labels.")
    if note is None and array.ndim == 2:  # another program's, as it is meant
        how = tiff_stored(path)
        array = np.asarray(turned(array, how.orientation))
        if how.is_inverted and array.dtype == np.bool_:
            array = ~array
    return [noted(path, array, note, {"placement": placement})]


def is_ours(path: Path) -> bool:
    """Whether a file is a TIFF with our note."""
    return path.is_file() and note_in(path) is not None


def _said(file: Any, ndim: int) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return our note and, where there is none, the placement by ImageJ or OME."""
    if file.is_imagej:
        said = file.imagej_metadata or {}
        note = parse_note(said.get("Info"))
        return note, {} if note else _imagej_placement(file, said, ndim)
    if file.is_ome:
        return _ome_note(file.ome_metadata, ndim)
    return parse_note(file.pages.first.description), {}


def _imagej_placement(file: Any, said: dict[str, Any], ndim: int) -> dict[str, Any]:
    tags = file.pages.first.tags
    scale = [1.0] * ndim
    for axis, tag in ((-2, "YResolution"), (-1, "XResolution")):
        value = tags[tag].value if tag in tags else (1, 1)
        scale[axis] = value[1] / value[0] if value[0] else 1.0
    if ndim > 2:
        scale[-3] = float(said.get("spacing", 1.0))
    unit = name_of(str(said.get("unit", "pixel")))
    return {"scale": scale, "units": ["pixel"] * (ndim - 2) + [unit] * 2}


def _ome_note(xml: str, ndim: int) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    from xml.etree import ElementTree

    placement: dict[str, Any] = {}
    for element in ElementTree.fromstring(xml).iter():
        kind = element.tag.rsplit("}", 1)[-1]
        if kind == "CommentAnnotation" and element.get("Namespace") == NAMESPACE:
            return parse_note("".join(element.itertext()).strip()), {}
        if kind == "Pixels":
            sizes = [f"PhysicalSize{axis}" for axis in "TCZYX"[-ndim:]]
            placement["scale"] = [float(element.get(size, "1")) for size in sizes]
            units = [element.get(f"{size}Unit") or "pixel" for size in sizes]
            placement["units"] = [name_of(unit) for unit in units]
    return None, placement
