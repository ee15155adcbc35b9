"""The Labels layer that holds an image's classes: found, made, written, reverted."""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.colormaps import standardize_color
from numpy.typing import NDArray

from napari_localdisc.annotation.by_hand import ByHand, Forgotten, HandedOn
from napari_localdisc.annotation.state import AnnotationClass
from napari_localdisc.core.colours import to_hex
from napari_localdisc.core.errors import PromptError

from .as_meant import as_stored_note
from .colours import PAINTED, LabelColours, same_colours
from .files import CLASSES, GROUP, our_metadata, source_of
from .ours import LABELS_OPACITY, add
from .plane import METADATA_KEY, Plane

MOST_CLASSES = 255
"""A layer with more values numbers objects, and holds no classes."""


def image_shape(layer: Image) -> tuple[int, ...]:
    """Return the shape that labels of a whole image layer have."""
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(side) for side in data.shape[: layer.ndim])


def why_no_target(labels: Labels, layer: Image) -> str:
    """Say why a Labels layer cannot hold an image's classes; empty if it can."""
    if labels.multiscale:
        return "it has several resolutions"
    shape = tuple(labels.data.shape)
    wanted = image_shape(layer)
    if shape != wanted:
        sizes = ["×".join(str(side) for side in sides) for sides in (shape, wanted)]
        return f"it has {sizes[0]} pixels and the image {sizes[1]}"
    corners = np.array([np.zeros(len(wanted)), np.array(wanted) - 1])
    mine, its = (
        np.array([one.data_to_world(corner) for corner in corners])
        for one in (labels, layer)
    )
    room = 0.5 * np.abs(its[1] - its[0]).max() / max(wanted)
    if not np.allclose(mine, its, atol=room):
        return "it does not lie on the image"
    return ""


def labels_candidates(viewer: ViewerModel, layer: Image) -> list[Labels]:
    """Labels layers that can hold an image's classes, topmost first; not our own."""
    return [
        labels
        for labels in reversed(viewer.layers)
        if isinstance(labels, Labels)
        and (
            METADATA_KEY not in labels.metadata
            or CLASSES in our_metadata({"metadata": labels.metadata})
        )
        and not why_no_target(labels, layer)
    ]


def new_labels(
    viewer: ViewerModel,
    layer: Image,
    classes: Iterable[AnnotationClass],
    group: int = 0,
    name: str = "",
) -> Labels:
    """Add an empty Labels layer of the image's own size and place.

    For a group of classes; one that is not the first is called after its class.
    """
    said = (
        f"{layer.name} labels {name or group + 1}" if group else f"{layer.name} labels"
    )
    ours = {"image": layer.name, CLASSES: {}, **as_stored_note(layer)}
    if group:
        ours[GROUP] = group
    classes = tuple(classes)
    most = max((entry.value for entry in classes), default=1)
    labels = Labels(
        np.zeros(image_shape(layer), np.uint8 if most < 256 else np.uint16),
        name=said,
        opacity=LABELS_OPACITY,
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine.affine_matrix,
        units=layer.units,
        axis_labels=layer.axis_labels,
        metadata={METADATA_KEY: ours, **source_of(layer)},
    )
    add(viewer, labels)
    return labels


def _class_table(classes: Iterable[AnnotationClass]) -> dict[int | None, Any]:
    table: dict[int | None, Any] = {None: PAINTED, 0: (0, 0, 0, 0)}
    for entry in classes:
        colour = np.array(standardize_color.transform_color(entry.colour)[0])
        colour[3] = float(entry.visible)
        table[entry.value] = colour
    return table


def class_colormap(classes: Iterable[AnnotationClass]) -> LabelColours:
    """Colour labels by their classes; hidden ones are clear, others are white."""
    return LabelColours(color_dict=_class_table(classes))


def class_colours(classes: Iterable[AnnotationClass], most: int) -> NDArray[np.float64]:
    """(most + 1, 4) RGBA of the same, from label 0 on."""
    table = _class_table(classes)
    return np.array([table.get(value, PAINTED) for value in range(most + 1)], float)


def dress_labels(labels: Labels, classes: Iterable[AnnotationClass]) -> None:
    """Give a layer the classes' colours, and their names for files."""
    classes = tuple(classes)
    colormap = class_colormap(classes)
    if not same_colours(labels.colormap, colormap):
        labels.colormap = colormap
    ours = dict(labels.metadata.get(METADATA_KEY, {}))
    ours[CLASSES] = {e.value: e.name for e in classes if not e.background}
    labels.metadata = {**labels.metadata, METADATA_KEY: ours}


def values_in(labels: Labels) -> list[int]:
    """Label values that occur in a layer, without 0.

    Raises
    ------
    PromptError
        If there are more than classes can be.
    """
    found = [int(value) for value in np.unique(np.asarray(labels.data)) if value > 0]
    if len(found) > MOST_CLASSES:
        raise PromptError(
            f"“{labels.name}” has {len(found)} different labels, too many for classes: "
            "choose another layer, or let a new one be made."
        )
    return found


def read_plane(labels: Labels, plane: Plane) -> NDArray[np.integer]:
    """Return the (H, W) labels that lie on a plane of the image."""
    return Plane(labels.data, plane.index).read()


class LabelsEdit:
    """Pixels of a plane that were written, and what they were before.

    Parameters
    ----------
    labels : Labels
        The layer.
    plane : Plane
        The plane of the image.
    before, after : ndarray
        (H, W) labels.
    hand : ByHand
        What a hand did on the plane, up to now.
    is_by_hand : bool
        Whether this is another thing that a hand did.
    """

    def __init__(
        self,
        labels: Labels,
        plane: Plane,
        before: NDArray[np.integer],
        after: NDArray[np.integer],
        hand: ByHand,
        is_by_hand: bool = False,
    ) -> None:
        self._labels = weakref.ref(labels)
        self._index = plane.index
        self._shape = before.shape
        self._at = np.flatnonzero(before != after).astype(np.uint32)
        self._old = before.ravel()[self._at]
        self._new = after.ravel()[self._at]
        self._hand = hand
        self._hand_old = hand.decided.ravel()[self._at]
        self._hand_new = (
            np.where(self._new != 0, self._new, self._old)
            if is_by_hand
            else hand.after(self._at, self._old, self._new)
        )

    @property
    def pixels(self) -> int:
        """How many pixels it changes."""
        return int(self._at.size)

    @property
    def gone(self) -> int:
        """How many pixels fewer, or with a minus more, have a class after it."""
        return int(np.count_nonzero(self._old)) - int(np.count_nonzero(self._new))

    def redo(self) -> None:
        """Write the pixels."""
        self._write(self._old, self._new, self._hand_new)

    def undo(self) -> None:
        """Put back those pixels that are still as they were written.

        What the user painted since stays.
        """
        self._write(self._new, self._old, self._hand_old)

    def _write(
        self, expected: NDArray[Any], values: NDArray[Any], decided: NDArray[Any]
    ) -> None:
        labels = self._labels()
        if labels is None or self._at.size == 0:
            return
        where = tuple(slice(None) if at is None else at for at in self._index)
        before = np.array(labels.data[where])
        if before.shape != self._shape:
            return  # the layer has other data now
        flat = before.flatten()
        ours = flat[self._at] == expected
        flat[self._at[ours]] = values[ours]
        try:
            # Not through napari's own history of painted strokes
            labels.data[where] = flat.reshape(before.shape)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise PromptError(
                f"“{labels.name}” cannot be written to: choose another labels layer, "
                "or let a new one be made."
            ) from error
        self._hand.wrote(before, self._at[ours], values[ours], decided[ours])
        labels.refresh()


def check_value(labels: Labels, value: int) -> None:
    """Raise a PromptError where a layer's dtype cannot hold a class."""
    if value > np.iinfo(labels.data.dtype).max:
        raise PromptError(
            f"“{labels.name}” holds labels of type {labels.data.dtype}, and class "
            f"{value} is too large for that: choose another labels layer."
        )


def taken_pixels(
    before: NDArray[np.integer], wanted: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Find the pixels that hold a class and are wanted for another one."""
    return np.asarray((wanted != 0) & (before != 0) & (before != wanted))


def overlap_by_class(
    before: NDArray[np.integer], taken: NDArray[np.bool_]
) -> dict[int, int]:
    """Count the pixels of `taken_pixels`, per class that holds them."""
    values, counts = np.unique(before[taken], return_counts=True)
    return {int(v): int(n) for v, n in zip(values, counts, strict=True)}


def erase_class(
    labels: Labels, value: int, hand_on: Callable[[Plane], ByHand]
) -> tuple[LabelsEdit | Forgotten, ...]:
    """Take a class's pixels away, on all planes; return what was done."""
    edits: list[LabelsEdit | Forgotten] = []
    for index in np.ndindex(*labels.data.shape[:-2]):
        plane = Plane(labels.data, (*index, None, None))
        before = np.array(read_plane(labels, plane))
        if (before == value).any():
            after = np.where(before == value, 0, before)
            edits.append(LabelsEdit(labels, plane, before, after, hand_on(plane)))
            edits[-1].redo()
            edits.append(Forgotten(hand_on(plane), value))
            edits[-1].redo()
    return tuple(edits)


def move_class(
    source: Labels,
    target: Labels,
    value: int,
    hand_on: Callable[[Labels, Plane], ByHand],
) -> tuple[LabelsEdit | HandedOn, ...]:
    """Move a class's pixels from one layer to another, on all planes.

    Where the other one holds a class already, that stays.  What is by hand goes along.
    """
    edits: list[LabelsEdit | HandedOn] = []
    for index in np.ndindex(*source.data.shape[:-2]):
        plane = Plane(source.data, (*index, None, None))
        before, there = (np.array(read_plane(each, plane)) for each in (source, target))
        own, hands = (
            before == value,
            [hand_on(each, plane) for each in (source, target)],
        )
        decided = HandedOn(hands[0], hands[1], value, there == 0)
        if not own.any() and not decided.pixels:
            continue
        after = np.where(own & (there == 0), value, there).astype(there.dtype)
        cleared = np.where(own, 0, before).astype(before.dtype)
        edits.append(LabelsEdit(source, plane, before, cleared, hands[0]))
        edits.append(LabelsEdit(target, plane, there, after, hands[1]))
        edits.append(decided)
        for edit in edits[-3:]:
            edit.redo()
    return tuple(edits)


def colour_of(labels: Labels, value: int) -> str:
    """Return the colour of a label as ``#rrggbb``."""
    return to_hex(np.asarray(labels.colormap.map(value)).ravel())
