"""OME-Zarr label images: a pyramid with the classes' colours and names.

Written block by block: dask- and zarr-backed labels are never whole in memory.
"""

from pathlib import Path
from typing import Any

import numpy as np

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import check_replaceable, new_folder
from napari_localdisc.core.image.ome_zarr import (
    ImageLabel,
    Multiscale,
    open_array,
    read_ome,
)
from napari_localdisc.core.image.roles import note_in

from .label_map import KEY, LabelMap, byte_colour, note_of, noted, pixel_size

NAME = "OME-Zarr"
ENDINGS = (".ome.zarr", ".zarr")

_AXES = "tczyx"
_CHUNK = 1024
_SMALLEST_LEVEL = 256


def check(labels: LabelMap) -> None:
    """Raise a FileError for what OME-Zarr cannot hold."""
    if len(labels.shape) > len(_AXES):
        raise FileError(
            f"OME-Zarr holds at most 5 axes, but the labels have {len(labels.shape)}: "
            "save a slice."
        )


def write(path: Path, labels: LabelMap) -> list[Path]:
    """Write labels as an OME-Zarr label image, in place of one of ours at most."""
    check_replaceable(path, is_ours)
    writer = _writer()
    import zarr

    scale, units = pixel_size(labels.placement, len(labels.shape))
    axes = _AXES[len(_AXES) - len(labels.shape) :]
    with new_folder(path, is_ours) as folder:
        group = zarr.open_group(folder, mode="w", zarr_format=3)
        writer.write_multiscale(
            pyramid(labels.labels),
            group,
            axes=list(axes),
            name=labels.name or path.name,
            scale=dict(zip(axes, (abs(step) or 1.0 for step in scale), strict=True)),
            axes_units={
                axis: unit
                for axis, unit in zip(axes, units, strict=True)
                if unit != "pixel" and axis in "zyx"
            },
        )
        write_class_metadata(group, labels)
    return [path]


def pyramid(labels: Any) -> list[Any]:
    """Return dask arrays: the labels, and every second pixel, until they are small."""
    import dask.array

    shape = labels.shape
    chunks = (*(1 for _ in shape[:-2]), *(min(_CHUNK, side) for side in shape[-2:]))
    level = dask.array.asarray(labels)
    if level.dtype == np.bool_:
        level = level.astype(np.uint8)
    level = level.rechunk(chunks)
    levels = [level]
    while max(level.shape[-2:]) > 2 * _SMALLEST_LEVEL and min(level.shape[-2:]) > 1:
        level = level[..., ::2, ::2].rechunk(chunks)
        levels.append(level)
    return levels


def write_class_metadata(group: Any, labels: LabelMap) -> None:
    """Say in a group's metadata that it is a label image, and what its classes are."""
    ome = dict(group.attrs["ome"])
    values = sorted({*labels.values, *labels.names, *labels.colours})
    ome["image-label"] = {
        "version": ome.get("version", "0.5"),
        "colors": [
            {"label-value": value, "rgba": list(byte_colour(labels.colour(value)))}
            for value in values
        ],
        "properties": [
            {"label-value": value, "name": labels.names[value]}
            for value in sorted(labels.names)
        ],
        KEY: note_of(labels),
    }
    group.attrs["ome"] = ome


def read(path: Path) -> list[LabelMap]:
    """Open an OME-Zarr label image; its finest level stays on the disk."""
    ome = read_ome(path)
    if ome.multiscales is None or ome.label is None:
        raise FileError(f"{path} holds no labels.")
    array = read_levels(path)[0]
    note = ome.label.note if isinstance(ome.label.note, dict) else None
    fields = _native_fields(ome.label, ome.multiscales[0], array.ndim)
    return [noted(path, array, note, fields)]


def is_ours(path: Path) -> bool:
    """Whether a folder is a label image with our note, not merely some OME-Zarr."""
    return path.is_dir() and note_in(path) is not None


def read_levels(path: Path) -> list[Any]:
    """Open all levels of an OME-Zarr image, finest first."""
    multiscales = read_ome(path).multiscales
    if multiscales is None:
        raise FileError(f"{path} is no OME-Zarr image.")
    return [open_array(path / level.path) for level in multiscales[0].datasets]


def _native_fields(about: ImageLabel, picture: Multiscale, ndim: int) -> dict[str, Any]:
    """Names, colours and scale as other programs write them."""
    placement: dict[str, Any] = {}
    scale, translation, units = picture.scale, picture.translation, picture.units
    if scale is not None and len(scale) == ndim and min(scale) > 0:
        placement["scale"] = scale
    if translation is not None and len(translation) == ndim:
        placement["translate"] = translation
    if units is not None and len(units) == ndim:
        placement["units"] = units
    colours = {
        entry.value: tuple(part / 255 for part in entry.rgba)
        for entry in about.about
        if entry.rgba is not None
    }
    names = {
        entry.value: entry.name
        for entry in about.about
        if entry.name and entry.name.strip() and entry.name.isprintable()
    }
    return {
        "colours": colours,
        "names": names,
        "placement": placement,
        "name": picture.name if isinstance(picture.name, str) else "",
    }


def _writer() -> Any:
    try:
        from ome_zarr import writer
    except ImportError as error:
        raise FileError(
            "OME-Zarr labels need ome-zarr, which is not installed: "
            'pip install "napari-localdisc[ome-zarr]".'
        ) from error
    return writer
