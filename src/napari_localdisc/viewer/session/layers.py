"""Layers ↔ what a session file holds of them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.image.files import read_image
from napari_localdisc.io.session import SavedImage, SavedLabels, Session
from napari_localdisc.layers.as_meant import show_as_meant, stored
from napari_localdisc.layers.colours import PAINTED, LabelColours
from napari_localdisc.layers.files import CLASSES, lasting_colours, placement_of
from napari_localdisc.layers.plane import METADATA_KEY

LARGEST_PIXELS = 1 << 28
"""Bytes of an image without a file that a session holds at most."""

_LOOKS = ("opacity", "visible", "blending")


def _data(layer: Layer) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def _placement(layer: Layer) -> dict[str, Any]:
    return placement_of(layer.as_layer_data_tuple()[1])


def describe_labels(layer: Labels) -> SavedLabels:
    """Describe a labels layer as it is now; later strokes are not in it."""
    table = getattr(layer.colormap, "color_dict", None) or {}
    colours = lasting_colours(table, METADATA_KEY in layer.metadata)
    data = _data(layer)
    return SavedLabels(
        name=layer.name,
        # What is not in memory is read by the worker
        data=np.array(data) if isinstance(data, np.ndarray) else data,
        placement=_placement(layer),
        colours={
            "null" if value is None else str(value): list(colour)
            for value, colour in colours.items()
        },
        looks={key: getattr(layer, key) for key in _LOOKS},
        made_by=dict(layer.metadata.get(METADATA_KEY, {})),
    )


def describe_image(layer: Image) -> SavedImage:
    """Describe an image layer with its pixels, which `finished` hashes and drops."""
    data, source = _data(layer), layer.source
    sample = None if source.sample is None else list(source.sample)
    path = None if source.path is None else str(source.path)
    return SavedImage(
        name=layer.name,
        path=path,
        reader=source.reader_plugin,
        sample=sample,
        content_hash=None,
        shape=[int(side) for side in data.shape],
        dtype=str(data.dtype),
        rgb=bool(layer.rgb),
        pixels=data,
        placement=_placement(layer),
    )


def finished(draft: Session) -> Session:
    """Read what takes time off the pixels of a session: for a worker."""
    return replace(
        draft,
        images=tuple(map(_finished, draft.images)),
        labels=tuple(
            replace(labels, data=np.asarray(labels.data)) for labels in draft.labels
        ),
    )


def _finished(saved: SavedImage) -> SavedImage:
    data: Any = saved.pixels
    if not isinstance(data, np.ndarray):
        return replace(saved, pixels=None)
    from napari_localdisc.io.cache import content_hash

    has_origin = saved.path is not None or saved.sample is not None
    keep = not has_origin and data.nbytes <= LARGEST_PIXELS
    return replace(
        saved, content_hash=content_hash(data), pixels=np.array(data) if keep else None
    )


def make_labels(saved: SavedLabels) -> Labels:
    """Make a labels layer again."""
    options: dict[str, Any] = _fitting(saved.placement, saved.data.ndim)
    if saved.colours:
        table: dict[int | None, Any] = {None: PAINTED}
        for value, colour in saved.colours.items():
            table[None if value == "null" else int(value)] = colour
        options["colormap"] = LabelColours(color_dict=table)
    made_by = dict(saved.made_by)
    if isinstance(made_by.get(CLASSES), Mapping):
        made_by[CLASSES] = {int(key): name for key, name in made_by[CLASSES].items()}
    if made_by:
        options["metadata"] = {METADATA_KEY: made_by}
    looks = {key: saved.looks[key] for key in _LOOKS if key in saved.looks}
    return Labels(np.array(saved.data), name=saved.name, **options, **looks)


def _fitting(placement: Mapping[str, Any], ndim: int) -> dict[str, Any]:
    """Keep of a placement what a layer of so many dimensions takes."""
    return {
        key: value
        for key, value in placement.items()
        if key in ("shear", "rotate", "affine") or len(value) == ndim
    }


def fits(layer: Image, saved: SavedImage) -> bool:
    """Whether a layer has the size that was saved."""
    return list(_data(layer).shape) == saved.shape


def is_same(layer: Image, saved: SavedImage) -> bool:
    """Whether a layer holds the pixels that were saved, as far as that is known."""
    data = _data(layer)
    if not fits(layer, saved) or bool(layer.rgb) != saved.rgb:
        return False
    if not isinstance(data, np.ndarray) or saved.content_hash is None:
        return saved.path is not None and str(layer.source.path) == saved.path
    from napari_localdisc.io.cache import content_hash

    return content_hash(data) == saved.content_hash


def open_image(
    viewer: ViewerModel, saved: SavedImage, folder: Path
) -> tuple[Image | None, str]:
    """Return the layer of an image, opened again if it is not open.

    Parameters
    ----------
    viewer : ViewerModel
        Where.
    saved : SavedImage
        What a session says of it.
    folder : Path
        Of the session: the image is looked for there, too, if it was moved with it.

    Returns
    -------
    layer : Image or None
        The layer; None if the image is gone.
    trouble : str
        What is not as it was, in a sentence; empty if nothing.
    """
    for layer in viewer.layers:
        is_image = isinstance(layer, Image) and METADATA_KEY not in layer.metadata
        if is_image and is_same(layer, saved):
            return layer, ""
    if saved.sample is not None:
        opened = viewer.open_sample(*saved.sample)
    elif saved.pixels is not None:
        opened = [viewer.add_image(saved.pixels, rgb=saved.rgb)]
    else:
        path = _find_file(saved, folder)
        if path is None:
            place = saved.path or "in no file"
            return None, (
                f"The image “{saved.name}” is gone ({place}): its labels are restored "
                "without it."
            )
        try:
            opened = _open_file(viewer, path, saved.reader)
        except LocalDiscError as error:
            return None, f"{error} The labels of “{saved.name}” are restored alone."
    images = [layer for layer in opened or [] if isinstance(layer, Image)]
    for layer in images:
        _show_as_saved(layer, saved)
    fitting = [layer for layer in images if fits(layer, saved)]
    layer = (fitting or images or [None])[0]
    if layer is None:
        return None, f"“{saved.name}” is no image any more: its labels are restored."
    for key, value in _fitting(saved.placement, layer.ndim).items():
        setattr(layer, key, value)
    layer.name = saved.name
    return layer, _trouble(layer, saved)


def _show_as_saved(layer: Image, saved: SavedImage) -> None:
    """Show a file as it is meant where it was shown so when it was saved."""
    path = layer.source.path
    if path is None or saved.content_hash is None or is_same(layer, saved):
        return
    from napari_localdisc.io.cache import content_hash

    with suppress(LocalDiscError):  # it stays as it was opened
        if stored(layer):
            picture = read_image(path)
            if content_hash(picture) == saved.content_hash:
                show_as_meant(layer, picture)


def _trouble(layer: Image, saved: SavedImage) -> str:
    if not fits(layer, saved):
        return (
            f"“{saved.name}” has another size than when the session was saved: its "
            "labels are restored as a layer of their own, without prompts."
        )
    if isinstance(_data(layer), np.ndarray) and not is_same(layer, saved):
        return (
            f"“{saved.name}” was changed since the session was saved: its labels are "
            "as they were, but what prompts show may differ."
        )
    return ""


def _find_file(saved: SavedImage, folder: Path) -> Path | None:
    if saved.path is None:
        return None
    places = (Path(saved.path), folder / Path(saved.path).name)
    return next((place for place in places if place.exists()), None)


def _open_file(viewer: ViewerModel, path: Path, reader: str | None) -> list[Layer]:
    """Open a file by the plugin that read it, else by ourselves."""
    from npe2 import PluginManager

    manager = PluginManager.instance()
    if reader is not None and reader not in manager:
        manager.discover()  # a script has not done that yet
    if reader is not None and reader in manager:
        before = list(viewer.layers)
        try:
            return list(viewer.open(path, plugin=reader))
        # Another plugin's reader raises what it likes for a file that has become
        # something else; it is read below then, which says what is wrong with it
        except Exception:
            for layer in [each for each in viewer.layers if each not in before]:
                viewer.layers.remove(layer)
    pixels = read_image(path)
    is_rgb = pixels.ndim > 2 and pixels.shape[-1] in (3, 4)
    return [viewer.add_image(pixels, rgb=is_rgb, name=path.stem)]
