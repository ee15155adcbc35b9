"""One Labels layer a structure: structures may lie over each other."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_localdisc.core.colours import from_hex, structure_colours
from napari_localdisc.core.names import find_name

from .colours import PAINTED, LabelColours
from .files import CLASSES, our_metadata, said_classes
from .labels import image_shape
from .ours import LABELS_OPACITY
from .outline import draw_outlines
from .plane import METADATA_KEY

Mask = NDArray[np.bool_]


def structure_values(structures: Sequence[str]) -> dict[str, int]:
    """Return the value of each structure in labels: its own, whatever layer it is in.

    Brushes may paint another structure's value in a layer, and a table of classes can
    hold them all.
    """
    return {name: value for value, name in enumerate(structures, 1)}


def structure_layers(
    image: Image, labels: Mapping[str, NDArray[np.uint8]], values: Mapping[str, int]
) -> dict[str, Labels]:
    """Make layers of an image's structures; they are not in a viewer yet.

    Parameters
    ----------
    image : Image
        Where they lie.
    labels : mapping of str to ndarray
        (H, W) by structure: its value where it is, else 0.
    values : mapping of str to int
        From `structure_values`.
    """
    table: dict[int | None, Any] = {None: PAINTED, 0: (0.0, 0.0, 0.0, 0.0)}
    colours = structure_colours(values)
    for name, value in values.items():
        table[value] = (*from_hex(colours[name]), 1.0)
    made = {}
    for name, data in labels.items():
        layer = Labels(
            data,
            name=name,
            opacity=LABELS_OPACITY,
            colormap=LabelColours(color_dict=dict(table)),
            scale=image.scale,
            translate=image.translate,
            rotate=image.rotate,
            shear=image.shear,
            affine=image.affine.affine_matrix,
            units=image.units,
            axis_labels=image.axis_labels,
            metadata={
                METADATA_KEY: {"image": image.name, CLASSES: {values[name]: name}}
            },
        )
        draw_outlines(layer)
        layer.selected_label = values[name]
        made[name] = layer
    return made


def show_instead(
    image: Image,
    layers: Mapping[str, Labels],
    picture: NDArray[Any],
    labels: Mapping[str, NDArray[np.uint8]],
    placement: Mapping[str, Any],
) -> None:
    """Show another picture and its structures in layers that are there.

    A fifth of the time of new layers, and what was hidden stays so.  There is nothing
    left to undo.

    Parameters
    ----------
    image, layers
        As of `structure_layers`.
    picture : ndarray
        Of the same kind: colours or none.
    labels : mapping of str to ndarray
        As of `structure_layers`, of the same structures.
    placement : mapping
        Of the new picture, as `read_placement` gives it.
    """
    image.data = picture
    if not image.rgb:
        image.reset_contrast_limits()
    plain = {"scale": (1.0, 1.0), "translate": (0.0, 0.0), "units": ("pixel", "pixel")}
    for key, value in {**plain, **placement}.items():
        for layer in (image, *layers.values()):
            # Each would draw the layer anew
            if [*map(str, getattr(layer, key))] != [*map(str, value)]:
                setattr(layer, key, value)
    for name, layer in layers.items():
        layer.data = labels[name]
        mode = layer.mode
        layer.editable = False  # what was done before belongs to another image
        layer.editable = True
        layer.mode = mode


def structures_in(
    layers: Iterable[Labels],
    own: Mapping[str, Labels],
    values: Mapping[str, int],
    image: Image,
) -> dict[str, Mask]:
    """Return where each structure is.

    Parameters
    ----------
    layers : iterable of Labels
        Of a viewer: what others of them call by a structure's name counts too.
    own : mapping of str to Labels
        From `structure_layers`.
    values : mapping of str to int
        From `structure_values`.
    image : Image
        Layers of another size are not of it.

    Returns
    -------
    dict
        (H, W) bool by structure.
    """
    shape = image_shape(image)
    names = {value: name for name, value in values.items()}
    found = {name: np.zeros(shape, bool) for name in values}
    mine = set(map(id, own.values()))
    for layer in layers:
        data = np.asarray(layer.data)
        if data.shape != shape:
            continue
        if id(layer) in mine:
            called = names
        else:
            said = said_classes(our_metadata({"metadata": layer.metadata})) or {}
            matched = {value: find_name(values, name) for value, name in said.items()}
            called = {value: name for value, name in matched.items() if name}
        there = np.unique(data) if called else ()
        for value in there:
            name = called.get(int(value))
            if name is not None:
                found[name] |= data == value
    return found
