"""Layers ↔ what a session file holds of them."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_localdisc.core.errors import LocalDiscError
from napari_localdisc.core.image.files import read_image
from napari_localdisc.io.labels.label_map import plain
from napari_localdisc.io.session import SavedImage, SavedLabels, Session
from napari_localdisc.layers.as_meant import show_as_meant, stored
from napari_localdisc.layers.colours import PAINTED, LabelColours
from napari_localdisc.layers.files import CLASSES, lasting_colours, placement_of
from napari_localdisc.layers.plane import METADATA_KEY

LARGEST_PIXELS = 1 << 28
"""Bytes of an image without a file that a session holds at most."""

_LOOKS = ("opacity", "visible", "blending")
_IMAGE_LOOKS = ("opacity", "blending", "contrast_limits", "gamma")


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
        looks={key: plain(getattr(layer, key)) for key in _IMAGE_LOOKS},
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


def make_labels(saved: SavedLabels, troubles: list[str]) -> Labels:
    """Make a labels layer again; details that it does not take are told."""
    layer = Labels(np.array(saved.data), name=saved.name)
    _set(layer, troubles, saved.placement)
    if saved.colours:
        _set(layer, troubles, {"colormap": saved.colours}, _colours)
    if saved.made_by:
        _set(layer, troubles, {"metadata": saved.made_by}, _made_by)
    _set(layer, troubles, {k: v for k, v in saved.looks.items() if k in _LOOKS})
    return layer


def _colours(saved: Mapping[str, Any]) -> LabelColours:
    table: dict[int | None, Any] = {None: PAINTED}
    for value, colour in saved.items():
        table[None if value == "null" else int(value)] = colour
    return LabelColours(color_dict=table)


def _made_by(saved: Mapping[str, Any]) -> dict[str, Any]:
    made_by = dict(saved)
    if isinstance(made_by.get(CLASSES), Mapping):
        made_by[CLASSES] = {int(key): name for key, name in made_by[CLASSES].items()}
    return {METADATA_KEY: made_by}


_BY_AXIS = ("scale", "translate", "units", "axis_labels")


def _set(
    layer: Layer,
    troubles: list[str],
    details: Mapping[str, Any],
    made: Callable[[Any], Any] = lambda value: value,
) -> None:
    """Give a layer each detail that it takes; a bad one costs nothing else."""
    for key, value in details.items():
        if key in _BY_AXIS and len(value) != layer.ndim:
            continue  # the image has other axes than it had
        try:
            setattr(layer, key, made(value))
        # napari's setters raise what they like
        except Exception as error:
            reason = str(error).partition("\n")[0]
            troubles.append(f"The {key} of “{layer.name}” is left out: {reason}.")


def show_as_it_was(layer: Image, saved: SavedImage, troubles: list[str]) -> None:
    """Give an image back its opacity and contrast; whether it is seen, others say."""
    _set(layer, troubles, {k: v for k, v in saved.looks.items() if k in _IMAGE_LOOKS})


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
    try:
        opened = _open_again(viewer, saved, folder)
    # A plugin that is no more, a reader, a file that has become something else
    except Exception as error:
        reason = str(error).rstrip(".").partition("\n")[0] or type(error).__name__
        return None, (
            f"The image “{saved.name}” cannot be opened ({reason}): its labels are "
            "restored without it."
        )
    if opened is None:
        place = saved.path or "in no file"
        return None, (
            f"The image “{saved.name}” is gone ({place}): its labels are restored "
            "without it."
        )
    images = [layer for layer in opened or [] if isinstance(layer, Image)]
    for layer in images:
        _show_as_saved(layer, saved)
    fitting = [layer for layer in images if fits(layer, saved)]
    layer = (fitting or images or [None])[0]
    if layer is None:
        return None, f"“{saved.name}” is no image any more: its labels are restored."
    layer.name = saved.name
    troubles = [_trouble(layer, saved)]
    _set(layer, troubles, saved.placement)
    return layer, " ".join(filter(None, troubles))


def _open_again(
    viewer: ViewerModel, saved: SavedImage, folder: Path
) -> list[Layer] | None:
    """Open an image where it came from; None where nothing is there any more."""
    if saved.sample is not None:
        return list(viewer.open_sample(*saved.sample))
    if saved.pixels is not None:
        return [viewer.add_image(saved.pixels, rgb=saved.rgb)]
    path = _find_file(saved, folder)
    return None if path is None else _open_file(viewer, path, saved.reader)


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
