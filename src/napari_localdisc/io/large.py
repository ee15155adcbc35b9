"""Images that stay on the disk: OME-Zarr, zarr and large TIFF files, block by block."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_localdisc.core.errors import FileError

from .export import ome_zarr_labels
from .export.label_map import Colour, LabelMap

LARGE_PIXELS = 1 << 26
"""Images with more pixels (8192 × 8192) are not read whole."""

_TIFF_SUFFIXES = (".tif", ".tiff")


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder of zarr."""
    return path.suffix.lower() == ".zarr" and path.is_dir()


def is_large(path: Path) -> bool:
    """Whether an image is to be read block by block: zarr, or a very large TIFF."""
    if is_zarr(path):
        return True
    if path.suffix.lower() not in _TIFF_SUFFIXES or not path.is_file():
        return False
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.series[0].keyframe
            return page.imagelength * page.imagewidth > LARGE_PIXELS
    except (OSError, ValueError, IndexError):
        return False  # reading it says what is wrong


def check_fits(path: Path) -> None:
    """Raise a FileError for an image that is not to be read whole."""
    if not is_large(path):
        return
    height, width = open_large(path)[0].shape[:2]
    if height * width > LARGE_PIXELS:
        raise FileError(
            f"{path} has {height}×{width} pixels and is not read whole: 'cluster' and "
            "'segment --structure' work on it block by block; for anything else open "
            "it in napari, where prompts work on a smaller copy, or save it smaller."
        )


def open_large(path: Path) -> tuple[Any, dict[str, Any]]:
    """Open an image without reading it.

    Parameters
    ----------
    path : Path
        An OME-Zarr image (its finest level counts), a zarr array, or a TIFF file.

    Returns
    -------
    array : array_like
        (H, W) or (H, W, C), lazy.
    placement : dict
        ``scale`` and ``units`` of rows and columns, where the file says them.

    Raises
    ------
    FileError
        If it is not such a file, or holds a stack.
    """
    try:
        return _open_zarr(path) if is_zarr(path) else (_open_tiff(path), {})
    except FileError:
        raise
    # zarr, tifffile and their codecs raise what they like
    except Exception as error:
        raise FileError(
            f"{path} is not an image that can be read: {error or type(error).__name__}"
        ) from error


def _open_zarr(path: Path) -> tuple[Any, dict[str, Any]]:
    import dask.array
    import zarr

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return dask.array.from_zarr(str(path)), {}
    attributes: Any = dict(node.attrs)
    ome = attributes.get("ome", attributes)
    if "image-label" in ome:
        raise FileError(f"{path} holds labels, not an image.")
    if "multiscales" not in ome:
        raise FileError(f"{path} is a group of zarr arrays, but no OME-Zarr image.")
    multiscale = ome["multiscales"][0]
    finest = multiscale["datasets"][0]
    array = dask.array.from_zarr(str(path / finest["path"]))
    axes = [axis["name"] for axis in multiscale["axes"]]
    units = [axis.get("unit", "pixel") for axis in multiscale["axes"]]
    scale = next(
        (t["scale"] for t in finest["coordinateTransformations"] if "scale" in t),
        [1.0] * len(axes),
    )
    at = [axes.index("y"), axes.index("x")]
    placement = {
        "scale": [float(scale[axis]) for axis in at],
        "units": [str(units[axis]) for axis in at],
    }
    return _flat(path, array, axes), placement


def _flat(path: Path, array: Any, axes: list[str]) -> Any:
    """Take away axes of length 1 and put channels last."""
    index: list[Any] = []
    kept = []
    for axis, side in zip(axes, array.shape, strict=True):
        if axis in ("y", "x") or (axis == "c" and side in (3, 4)):
            index.append(slice(None))
            kept.append(axis)
        elif side == 1:
            index.append(0)
        else:
            raise FileError(
                f"{path} has {side} steps along its axis {axis}: save the picture that "
                "is meant as an image of its own."
            )
    array = array[tuple(index)]
    return np.moveaxis(array, kept.index("c"), -1) if "c" in kept else array


def _open_tiff(path: Path) -> Any:
    import tifffile
    import zarr

    with tifffile.TiffFile(path) as file:
        axes = file.series[0].axes
    if axes not in ("YX", "YXS"):
        raise FileError(f"{path} is a stack ({axes}): save one picture of it.")
    store = tifffile.imread(path, aszarr=True, series=0, level=0)
    array = zarr.open_array(store, mode="r")
    # zarr leaves the file open
    weakref.finalize(array, store.close)
    return array


def label_file_steps(
    array: Any,
    label: Callable[[Any], Generator[tuple[int, int], None, None]],
    path: Path,
    *,
    names: Mapping[int, str] | None = None,
    colours: Mapping[int, Colour] | None = None,
    placement: Mapping[str, Any] | None = None,
    image: str = "",
    made_by: Mapping[str, Any] | None = None,
) -> Generator[tuple[int, int], None, None]:
    """Label a large image into an OME-Zarr label image, never whole in memory.

    Parameters
    ----------
    array : array_like
        From `open_large`, or any other lazy array.
    label : callable
        Gets an (H, W) uint8 target that can be written to by slices, and labels it
        step by step, as `cluster_large_steps` and `find_large_steps` do.
    path : Path
        Ends with ``.ome.zarr``; appears whole or not at all.
    names, colours, placement, image, made_by
        As of `LabelMap`.

    Yields
    ------
    done, total : int
        After each block.

    Raises
    ------
    FileError
        If it cannot be written.
    ImageError
        If the image cannot be used.
    """
    import zarr

    from napari_localdisc.core.large_images import CHUNK

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", dir=path.parent
    ) as folder:
        shape = int(array.shape[0]), int(array.shape[1])
        chunks = min(CHUNK, shape[0]), min(CHUNK, shape[1])
        target = zarr.create_array(
            f"{folder}/labels.zarr", shape=shape, chunks=chunks, dtype="uint8"
        )
        yield from label(target)
        ome_zarr_labels.write(
            path,
            LabelMap(
                target,
                names=dict(names or {}),
                colours=dict(colours or {}),
                placement=dict(placement or {}),
                name=path.name.removesuffix(".ome.zarr"),
                image=image,
                made_by=dict(made_by or {}),
            ),
        )
