"""What a network tells apart, as pictures; made by the process that trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .core.clustering import MOST, cluster_colours, dominant_cluster
from .core.colours import STRUCTURE_RGB
from .core.embedding import embed, map_clusters
from .core.errors import TrainingError
from .core.images import as_rgb
from .core.photographs import image_files
from .io.images import read_image

if TYPE_CHECKING:
    from .core.embedding import Embedding
    from .core.models import Model

CLUSTERS = "clusters"
"""Name of the view that shows clusters."""

_LONGER_SIDE = 1000
_COMPARED_CLUSTERS = 8
_STRUCTURE_OPACITY = 0.85
_CLUSTER_OPACITY = 0.6

Picture = NDArray[np.uint8]


def cluster_picture(
    model: Model, image: NDArray[Any]
) -> tuple[Picture, NDArray[np.float32]]:
    """Label each pixel with its cluster, numbered as in the network.

    Clusters that the model has more than colours for begin again with the first.

    Parameters
    ----------
    model : Model
        Its centres are not looked at, so that a label stays what it is while the
        network learns.
    image : ndarray
        (H, W[, C]), as for `embed`.

    Returns
    -------
    labels : ndarray
        (H, W) uint8, 0 outside the field of view.
    colours : ndarray
        (n + 1, 4) float32 RGBA in [0, 1], of each label from 0 on.

    Raises
    ------
    ImageError
        If the image cannot be used.
    """
    seen = map_clusters(image, model)
    labels = dominant_cluster(seen.probability, seen.grid, seen.field_of_view)
    number = min(MOST, model.card.clusters)
    again = (labels.astype(int) - 1) % number + 1
    labels = np.where(labels > 0, again, 0).astype(np.uint8)
    return labels, cluster_colours(model, number)


def comparison(
    old: Model, new: Model, image: NDArray[Any]
) -> dict[str, tuple[Picture, Picture]]:
    """Lay what two models see over an image.

    Parameters
    ----------
    old, new : Model
        New ones are adapted from old ones, so they know the same structures.
    image : ndarray
        (H, W[, C]), as for `embed`.

    Returns
    -------
    dict of str to (ndarray, ndarray)
        Structure, or ``"clusters"`` → what the old and the new model make of it, each
        (h, w, 3) uint8; at most 1000 pixels long.

    Raises
    ------
    ImageError
        If the image cannot be used.
    """
    before, after = embed(image, old), embed(image, new)
    photograph = _shrunk(np.round(as_rgb(image) * 255).astype(np.uint8))
    names = [name for name in old.card.structures if name in new.card.structures]
    views = {
        name: (
            _with_structure(photograph, before, name),
            _with_structure(photograph, after, name),
        )
        for name in names
    }
    views[CLUSTERS] = (
        _with_clusters(photograph, before, old),
        _with_clusters(photograph, after, new),
    )
    return views


def first_image(folder: str) -> NDArray[Any]:
    """Read a folder's first image.

    Raises
    ------
    TrainingError, FileError
        If there is none, or it cannot be read.
    """
    files = image_files(folder)
    if not files:
        raise TrainingError(f"There is no image in {folder}.")
    return read_image(files[0])


def _shrunk(array: Picture, smooth: bool = True) -> Picture:
    from PIL import Image

    longer = max(array.shape[:2])
    if longer <= _LONGER_SIDE:
        return array
    height, width = (
        max(1, round(side * _LONGER_SIDE / longer)) for side in array.shape[:2]
    )
    how = Image.Resampling.BOX if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(array).resize((width, height), how))


def _blend(photograph: Picture, rgb: Any, opacity: Any) -> Picture:
    colour = np.asarray(rgb, np.float32) * 255
    mixed = photograph + (colour - photograph) * np.asarray(opacity, np.float32)
    return np.round(mixed).clip(0, 255).astype(np.uint8)


def _with_structure(photograph: Picture, seen: Embedding, name: str) -> Picture:
    presence = _shrunk(np.round(seen.structure(name) * 255).astype(np.uint8))
    opacity = _STRUCTURE_OPACITY / 255 * presence[..., None].astype(np.float32)
    return _blend(photograph, STRUCTURE_RGB, opacity)


def _with_clusters(photograph: Picture, seen: Embedding, model: Model) -> Picture:
    number = min(_COMPARED_CLUSTERS, model.card.clusters)
    labels = _shrunk(seen.clusters(number), smooth=False)
    colours = cluster_colours(model, number)[:, :3]
    opacity = _CLUSTER_OPACITY * (labels > 0)[..., None]
    return _blend(photograph, colours[labels], opacity)
