"""napari layers ↔ files: what File > Save and File > Open call.

napari hands a layer over as (data, attributes, type), and takes it back as such.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from napari.layers import Layer
from napari.types import LayerDataTuple
from pydantic import Field, TypeAdapter, ValidationError

from napari_localdisc.core.image.dicom import is_dicom
from napari_localdisc.io.labels import LabelMap
from napari_localdisc.io.labels.label_map import GROUP as GROUP

from .colours import PAINTED, LabelColours
from .plane import METADATA_KEY

CLASSES = "classes"
"""Key in our metadata of a Labels layer: {value: name}."""

SOURCE_KEY = "napari-localdisc source"
"""Key in the metadata of labels of a DICOM image: its path, which no file says."""

IMAGE = "image"
"""Key in our metadata of a Labels layer: file name of its image."""

_PLACEMENT = ("scale", "translate", "rotate", "shear", "affine")


def label_map_of(data: Any, attributes: Mapping[str, Any]) -> LabelMap:
    """Gather what a file must hold of a Labels layer.

    Parameters
    ----------
    data : array_like
        The layer's data; of a multiscale layer the list of its levels.
    attributes : mapping
        As in the layer's `as_layer_data_tuple`.

    Raises
    ------
    FileError
        If the data are no labels, or a class has an impossible name.
    """
    data, ours = finest(data, attributes), our_metadata(attributes)
    given = LabelMap(data)
    colours, default = _colours(attributes.get("colormap"), given, bool(ours))
    made_by = {k: v for k, v in ours.items() if k not in (CLASSES, IMAGE)}
    return LabelMap(
        data,
        names=_names(ours, attributes.get("features")),
        colours=colours,
        default_colour=default,
        placement=placement_of(attributes),
        name=str(attributes.get("name") or ""),
        image=str(ours.get(IMAGE) or ""),
        made_by=made_by,
        source=str((attributes.get("metadata") or {}).get(SOURCE_KEY) or ""),
    )


def source_of(layer: Layer) -> dict[str, str]:
    """Return what labels' metadata says of an image from DICOM, as SEG needs it."""
    path = layer.source.path
    return {SOURCE_KEY: path} if path is not None and is_dicom(Path(path)) else {}


def finest(data: Any, attributes: Mapping[str, Any]) -> Any:
    """Return a layer's data; of a multiscale layer the finest level."""
    if isinstance(data, list | tuple) or attributes.get("multiscale"):
        return data[0]
    return data


def our_metadata(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what we say of a layer in its metadata.

    It may have come with a file from anywhere, or from another plugin.
    """
    ours = (attributes.get("metadata") or {}).get(METADATA_KEY)
    return dict(ours) if isinstance(ours, Mapping) else {}


def group_of(made_by: Mapping[str, Any]) -> int:
    """Return which group of classes labels hold, as a layer or file says; 0: no other.

    What is no group is none.
    """
    try:
        return _group().validate_python(made_by.get(GROUP, 0))
    except ValidationError:
        return 0


@cache
def _group() -> TypeAdapter[int]:
    return TypeAdapter(Annotated[int, Field(ge=0, le=255, strict=True)])


def said_classes(ours: Mapping[str, Any]) -> dict[int, str] | None:
    """Return the classes that our metadata names; None where it names none."""
    classes = ours.get(CLASSES)
    if not isinstance(classes, Mapping):
        return None
    named = {}
    for value, name in classes.items():
        with suppress(TypeError, ValueError, OverflowError):
            named[int(value)] = str(name)
    return named


def _names(ours: Mapping[str, Any], features: Any) -> dict[int, str]:
    """Class names: from our metadata, else from a features table with names."""
    classes = said_classes(ours)
    if classes is not None:
        return classes
    columns = getattr(features, "columns", ())
    if "index" in columns and "name" in columns:
        pairs = zip(features["index"], features["name"], strict=True)
        return {int(value): str(name) for value, name in pairs if str(name).strip()}
    return {}


def class_names(layer: Layer) -> dict[int, str]:
    """Return the names that a Labels layer's classes have, by their values."""
    return _names(our_metadata({"metadata": layer.metadata}), layer.features)


def lasting_colours(
    table: Mapping[int | None, Any], is_ours: bool
) -> dict[int | None, tuple[float, ...]]:
    """Return a colormap's colours as files hold them.

    Hiding a class of our layers makes its colour clear; in a file it has its colour.
    """
    colours = {value: _rgba(colour) for value, colour in table.items()}
    if is_ours:
        for value, (*rgb, alpha) in colours.items():
            if value and alpha == 0:
                colours[value] = (*rgb, 1.0)
    return colours


def _colours(
    colormap: Any, labels: LabelMap, is_ours: bool
) -> tuple[dict[int, Any], Any]:
    table = getattr(colormap, "color_dict", None)
    if table is not None:
        colours = lasting_colours(table, is_ours)
        default = colours.pop(None, None)
        named = {int(v): rgba for v, rgba in colours.items() if v is not None}
        return named, default
    if colormap is None or not hasattr(colormap, "map"):
        return {}, None
    # napari's cyclic colours: those of the labels there are
    return {value: _rgba(colormap.map(value)) for value in labels.values}, None


def _rgba(colour: Any) -> tuple[float, ...]:
    return tuple(float(part) for part in np.asarray(colour).ravel())


def placement_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a layer lies, as plain values."""
    placement: dict[str, Any] = {}
    for key in _PLACEMENT:
        value = attributes.get(key)
        if value is not None:
            matrix = getattr(value, "affine_matrix", value)
            placement[key] = np.asarray(matrix, dtype=float).tolist()
    for key in ("units", "axis_labels"):
        if attributes.get(key) is not None:
            placement[key] = [str(part) for part in attributes[key]]
    return placement


def layer_data_of(labels: LabelMap) -> LayerDataTuple:
    """Return a Labels layer as napari takes it from readers."""
    ours: dict[str, Any] = {**labels.made_by, CLASSES: dict(labels.names)}
    if labels.image:
        ours[IMAGE] = labels.image
    attributes: dict[str, Any] = {
        "name": labels.name or "labels",
        "metadata": {METADATA_KEY: ours},
    }
    known = (*_PLACEMENT, "units", "axis_labels")
    attributes |= {k: said for k, said in labels.placement.items() if k in known}
    if labels.colours:
        table: dict[int | None, Any] = {None: labels.default_colour or PAINTED}
        table[0] = (0.0, 0.0, 0.0, 0.0)
        table.update(labels.colours.items())
        attributes["colormap"] = LabelColours(color_dict=table)
    data = labels.labels
    if isinstance(data, np.ndarray) and data.dtype == np.bool_:
        data = data.astype(np.uint8)
    return data, attributes, "labels"
