"""Images that do not fit in memory: labelled block by block, or made smaller.

The labels are an OME-Zarr label image in a folder of its own; the layer shows its
pyramid, so that only what is seen is read.  Prompts, strokes and concepts work on a
smaller copy of the image, a layer like any other.
"""

import atexit
import math
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.image.files import LARGE_PIXELS
from napari_localdisc.core.model.card import ModelFile
from napari_localdisc.core.work import Steps, T
from napari_localdisc.layers.files import CLASSES
from napari_localdisc.layers.plane import METADATA_KEY, Plane

from .shown import Place
from .work import Slot


class LargeImages:
    """Labels large planes and makes smaller copies of them.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers go.
    work : Slot
        Where it is done.
    """

    progressed = Signal(int, int)
    """Blocks done, and in all (0: not known yet)."""
    shown = Signal(object)
    """The Labels layer that was added."""

    def __init__(self, viewer: ViewerModel, work: Slot) -> None:
        self._viewer = viewer
        self._work = work
        self._copies: dict[Any, weakref.ref[Image]] = {}

    def label(self, place: Place, file: ModelFile, wanted: int | str) -> None:
        """Label a plane with that many clusters, or with a structure of that name."""

        def added(place: Place, made: tuple[Path, dict[str, Any], Any]) -> None:
            name = wanted if isinstance(wanted, str) else "structures"
            self.shown.emit(show(self._viewer, place, name, *made))

        self._run(place, lambda: label_plane(place.plane, file, wanted), added)

    def reduce(self, place: Place, then: Callable[[Image], None]) -> None:
        """Call ``then`` with a smaller copy of a plane, which is made if need be."""
        key = id(place.layer), place.plane.index
        known = self._copies.get(key, lambda: None)()
        if known is not None and known in self._viewer.layers:
            then(known)
            return

        def added(place: Place, pixels: Any) -> None:
            copy = add_copy(self._viewer, place, pixels)
            self._copies[key] = weakref.ref(copy)
            then(copy)

        self._run(place, lambda: read_smaller(place.layer, place.plane), added)

    def _run(
        self,
        place: Place,
        work: Callable[[], Steps[T]],
        then: Callable[[Place, T], None],
    ) -> None:
        def shown(made: T) -> None:
            if place.layer in self._viewer.layers:
                then(place, made)

        self._work.run(work, shown, progressed=self.progressed.emit)


def show(
    viewer: ViewerModel,
    place: Place,
    name: str,
    path: Path,
    metadata: dict[str, Any],
    colours: Any,
) -> Labels:
    """Add the pyramid of an OME-Zarr label image, placed on the plane."""
    from napari_localdisc.io.labels.ome_zarr import read_levels
    from napari_localdisc.layers.colours import label_colours
    from napari_localdisc.layers.ours import LABELS_OPACITY

    levels = [
        level[tuple(slice(None) if at is None else None for at in place.plane.index)]
        for level in read_levels(path)
    ]
    labels = Labels(
        levels if len(levels) > 1 else levels[0],
        multiscale=len(levels) > 1,
        name=place.name(name),
        opacity=LABELS_OPACITY,
        colormap=label_colours(colours),
        metadata={METADATA_KEY: {**metadata, "path": str(path)}},
        **place.placement,
    )
    viewer.add_layer(labels)
    return labels


def label_plane(
    plane: Plane, file: ModelFile, wanted: int | str
) -> Steps[tuple[Path, dict[str, Any], Any]]:
    """Label a plane block by block, a step each, with clusters or with a structure.

    Returns
    -------
    path : Path
        The OME-Zarr label image, removed when Python ends.
    metadata : dict
        How it was made.
    colours : ndarray
        Of its labels, from 0 on.
    """
    yield 0, 0
    from napari_localdisc.batch.recipes import ClusterRecipe, StructureRecipe
    from napari_localdisc.batch.tasks import label_file_steps
    from napari_localdisc.core.model.model import load_model

    if len(plane.data.shape) > len(plane.index) + 1:
        raise ImageError("This layer has more axes than an image.")
    where = tuple(slice(None) if at is None else at for at in plane.index)
    array = plane.data if len(where) == 2 else plane.data[where]
    model = load_model(file.path)
    yield 0, 0
    folder = Path(tempfile.mkdtemp(prefix="localdisc-labels-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    metadata: dict[str, Any] = {"model": model.card.name, "model_hash": model.hash}
    recipe: ClusterRecipe | StructureRecipe
    if isinstance(wanted, str):
        recipe = StructureRecipe(wanted)
        metadata |= {"structure": wanted, "threshold": recipe.threshold}
    else:
        recipe = ClusterRecipe(wanted)
        metadata |= {"structures": wanted}
    looks = recipe.looks(model)
    names, colours = looks["names"], looks["colours"]
    path = folder / "labels.ome.zarr"
    try:
        yield from label_file_steps(array, recipe, model, path, made_by=metadata)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if names:
        metadata[CLASSES] = names
    rows = np.zeros((max(colours) + 1, 4), np.float32)
    rows[list(colours)] = list(colours.values())
    return path, metadata, rows


COPY_PIXELS = 1 << 25
"""Smaller copies have at most so many pixels: work on them stays quick."""

_BLOCK_PIXELS = 1 << 22


def is_large(plane: Plane) -> bool:
    """Whether a plane must not be read whole: it is lazy, and large."""
    is_in_memory = isinstance(plane.data, np.ndarray)
    return not is_in_memory and math.prod(plane.shape) > LARGE_PIXELS


def read_smaller(layer: Image, plane: Plane) -> Steps[NDArray[Any]]:
    """Read a plane so small that it fits: a level of its pyramid, or block means.

    Yields
    ------
    done, total : int
        Rows of the result.

    Returns
    -------
    ndarray
        (h, w) or (h, w, C) of the layer's dtype, as large as `COPY_PIXELS` allows.

    Raises
    ------
    ImageError
        If the layer is no image.
    """
    yield 0, 0
    level = _finest_that_fits(layer, plane)
    if len(level.data.shape) > len(level.index) + 1:
        raise ImageError("This layer has more axes than an image.")
    height, width = level.shape
    factor = max(1, math.ceil(math.sqrt(height * width / COPY_PIXELS)))
    rows, columns = height // factor, width // factor
    step = max(1, _BLOCK_PIXELS // width // factor)
    parts = []
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        across = slice(0, columns * factor)
        inside = iter((slice(start * factor, stop * factor), across))
        where = tuple(next(inside) if at is None else at for at in level.index)
        parts.append(_block_mean(np.asarray(level.data[where]), factor))
        yield stop, rows
    return np.concatenate(parts)


def _finest_that_fits(layer: Image, plane: Plane) -> Plane:
    levels = list(layer.data) if layer.multiscale else [plane.data]
    planes = [Plane(data, plane.index) for data in levels]
    small = [level for level in planes if math.prod(level.shape) <= COPY_PIXELS]
    return small[0] if small else planes[-1]


def _block_mean(block: NDArray[Any], factor: int) -> NDArray[Any]:
    if factor == 1:
        return block
    height, width = block.shape[0] // factor, block.shape[1] // factor
    shape = height, factor, width, factor, *block.shape[2:]
    mean = block.reshape(shape).mean(axis=(1, 3), dtype=np.float64)
    if block.dtype.kind in "ui":
        mean = np.rint(mean)
    return np.asarray(mean >= 0.5 if block.dtype.kind == "b" else mean, block.dtype)


def add_copy(viewer: ViewerModel, place: Place, pixels: NDArray[Any]) -> Image:
    """Add a plane's smaller copy where the plane lies."""
    layer, plane = place.layer, place.plane
    step = np.array(plane.shape) / pixels.shape[:2]
    # Whole blocks: what is left over at the end is less than one of them
    step = np.floor(step) if (step >= 2).all() and not layer.multiscale else step
    copy = Image(
        plane.expand(pixels),
        name=f"{layer.name}{plane.caption}, 1/{step.mean():.3g}",
        rgb=layer.rgb,
        contrast_limits=None if layer.rgb else layer.contrast_limits,
        colormap=None if layer.rgb else layer.colormap,
        **plane.placement(layer, (step - 1) / 2, step),
    )
    viewer.add_layer(copy)
    return copy
