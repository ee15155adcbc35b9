"""Labels from files: as we wrote them, or as other programs did."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError

from . import coco, ome_zarr_labels, tiff
from .label_map import LabelMap
from .notes import KEY, fields_of, parse_note, shape_of
from .units import name_of

Fields = dict[str, Any]


def read_labels(path: str | Path) -> list[LabelMap]:
    """Read labels with names, colours and placement.

    Parameters
    ----------
    path : str or Path
        PNG (palette or grey), TIFF, an OME-Zarr label image, or COCO JSON.

    Returns
    -------
    list of LabelMap
        One; of a COCO file one per image.

    Raises
    ------
    FileError
        If there is no such file, it cannot be read, or it holds no labels.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"There is no file {path}.")
    suffix = path.suffix.lower()
    if path.is_dir():
        return [ome_zarr_labels.read(path)]
    if suffix == ".json":
        return coco.read(path)
    reader = {".png": _read_png, ".tif": _read_tiff, ".tiff": _read_tiff}.get(suffix)
    if reader is None:
        raise FileError(
            f"{path} is no file of labels: PNG, TIFF, OME-Zarr and COCO JSON are read."
        )
    try:
        array, fields = reader(path)
    except FileError:
        raise
    # Codecs raise what they like for bytes they did not expect
    except Exception as error:
        raise FileError(f"{path} cannot be read: {error}.") from error
    fields.setdefault("name", path.stem)
    return [LabelMap(array, **fields)]


def find_labels(paths: Iterable[str | Path]) -> list[Path]:
    """Return the files of labels that files, folders and patterns stand for.

    Parameters
    ----------
    paths : iterable of str or Path
        As for `find_images`; folders that end with ``.zarr`` are files here.

    Returns
    -------
    list of Path
        Each once, in the order given.

    Raises
    ------
    FileError
        If a folder or a pattern holds nothing that can be read.
    """
    found: dict[Path, None] = {}
    for given in map(Path, paths):
        if given.is_dir() and given.suffix != ".zarr":
            inside = sorted(path for path in given.iterdir() if _may_be_labels(path))
            if not inside:
                raise FileError(f"The folder {given} holds no file of labels.")
            found.update(dict.fromkeys(inside))
        elif given.exists() or not glob.has_magic(str(given)):
            found[given] = None
        else:
            matches = sorted(Path(m) for m in glob.glob(str(given), recursive=True))
            if not matches:
                raise FileError(f"No file matches {given}.")
            found.update(dict.fromkeys(matches))
    return list(found)


def _may_be_labels(path: Path) -> bool:
    suffixes = (".png", ".tif", ".tiff", ".zarr")
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def _read_png(path: Path) -> tuple[NDArray[Any], Fields]:
    from PIL import Image

    with Image.open(path) as file:
        file.load()
        note = parse_note(getattr(file, "text", {}).get(KEY))
        if file.mode not in ("P", "L", "1", "I", "I;16"):
            raise FileError(
                f"{path} is a picture, not labels: each of its pixels is a colour."
            )
        array = np.asarray(file)
        fields: Fields = {}
        if note is None and file.mode == "P":
            palette = np.asarray(file.getpalette("RGBA"), dtype=float) / 255
            present = [int(v) for v in np.unique(array) if v < len(palette) // 4]
            colours = palette.reshape(-1, 4)
            fields["colours"] = {v: tuple(colours[v].tolist()) for v in present}
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    elif array.dtype == np.int32:
        array = array.astype(np.uint16)
    return _noted(array, fields, note)


def _read_tiff(path: Path) -> tuple[NDArray[Any], Fields]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        if file.pages.first.photometric == tifffile.PHOTOMETRIC.RGB:
            raise FileError(
                f"{path} is a picture, not labels: each of its pixels is a colour."
            )
        array = file.series[0].asarray()
        note, fields = _tiff_note(file, array.ndim)
    if array.dtype.kind not in "bui":
        raise FileError(f"{path} holds {array.dtype} values, which are no labels.")
    return _noted(array, fields, note)


def _tiff_note(file: Any, ndim: int) -> tuple[dict[str, Any] | None, Fields]:
    """Return our note, else what ImageJ's or OME's fields say."""
    if file.is_imagej:
        said = file.imagej_metadata or {}
        note = parse_note(said.get("Info"))
        if note is None:
            return None, {"placement": _imagej_placement(file, said, ndim)}
        return note, {}
    if file.is_ome:
        return _ome_note(file.ome_metadata, ndim)
    return parse_note(file.pages.first.description), {}


def read_note(path: Path) -> dict[str, Any] | None:
    """Return what we wrote beside the pixels of a TIFF file; None if it is not ours."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return _tiff_note(file, 2)[0]
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


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


def _ome_note(xml: str, ndim: int) -> tuple[dict[str, Any] | None, Fields]:
    from xml.etree import ElementTree

    placement: dict[str, Any] = {}
    for element in ElementTree.fromstring(xml).iter():
        kind = element.tag.rsplit("}", 1)[-1]
        if kind == "CommentAnnotation" and element.get("Namespace") == tiff.NAMESPACE:
            text = "".join(element.itertext()).strip()
            return parse_note(text), {}
        if kind == "Pixels":
            axes = "TCZYX"[-ndim:]
            sizes = [element.get(f"PhysicalSize{axis}", "1") for axis in axes]
            units = [element.get(f"PhysicalSize{axis}Unit") for axis in axes]
            placement["scale"] = [float(size) for size in sizes]
            placement["units"] = [name_of(unit or "pixel") for unit in units]
    return None, {"placement": placement}


def _noted(
    array: NDArray[Any], fields: Fields, note: dict[str, Any] | None
) -> tuple[NDArray[Any], Fields]:
    if note is None:
        return array, fields
    if isinstance(note.get("mask_of"), int):
        value = note["mask_of"]
        array = np.where(array > 0, value, 0).astype(np.min_scalar_type(value))
    shape = shape_of(note, array.size)
    fields = fields_of(note)
    return (array.reshape(shape) if shape is not None else array), fields
