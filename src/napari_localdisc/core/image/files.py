"""Image files → arrays, and the files that a user means by a list of paths."""

import glob
import warnings
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError

IMAGE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"),
        *(".webp", ".zarr"),
    )
)
"""Files of a folder that are taken for images."""

_TIFF_SUFFIXES = frozenset((".tif", ".tiff"))


def read_image(path: str | Path) -> NDArray[Any]:
    """Read a 2-D image file.

    Parameters
    ----------
    path : str or Path
        Anything that Pillow or tifffile can read, or an OME-Zarr image.

    Returns
    -------
    ndarray
        (H, W), (H, W, 3) or (H, W, 4) of the file's own dtype, colour tables applied;
        a stack of pages keeps its further axes.

    Raises
    ------
    FileError
        If there is no such file, or it is not an image that can be read.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"There is no file {path}.")
    if is_zarr(path):
        return np.asarray(open_large(path)[0])
    if not path.is_file():
        raise FileError(f"{path} is a folder, not an image file.")
    is_tiff = path.suffix.lower() in _TIFF_SUFFIXES
    try:
        return _read_tiff(path) if is_tiff else _read_with_pillow(path)
    except MemoryError as error:
        raise FileError(f"{path} is too large for this machine's memory.") from error
    # Codecs raise what they like for bytes they did not expect
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        reason = said.replace(f" {str(path)!r}", "")  # which Pillow repeats
        raise FileError(f"{path} is not an image that can be read: {reason}") from error


def _read_with_pillow(path: Path) -> NDArray[Any]:
    from PIL import Image

    with warnings.catch_warnings(), Image.open(path) as file:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image: Image.Image = file
        if image.mode in ("P", "PA", "LA", "La", "RGBa"):
            has_alpha = image.mode != "P" or "transparency" in image.info
            image = image.convert("RGBA" if has_alpha else "RGB")
        elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
            image = image.convert("RGB")
        return np.asarray(image)


def _read_tiff(path: Path) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        page = series.keyframe
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
            return _read_with_pillow(path)
        array = series.asarray()
        axes = series.axes
    if "S" in axes:  # samples of a pixel last, also where planes are stored apart
        array = np.moveaxis(array, axes.index("S"), -1)
    # Some writers put an axis of length 1 before the image
    shape = [side for side in array.shape[:-2] if side > 1]
    if "S" in axes and array.ndim > 3:
        shape = [side for side in array.shape[:-3] if side > 1] + [array.shape[-3]]
    array = array.reshape(*shape, *array.shape[-2:])
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and array.dtype.kind == "u":
        array = np.iinfo(array.dtype).max - array
    return np.asarray(array)


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """Return the image files that files, folders and patterns stand for.

    Parameters
    ----------
    paths : iterable of str or Path
        Files (kept whatever their suffix; a folder that ends with ``.zarr`` is an
        image), folders (their image files, by suffix,
        without hidden ones) and patterns such as ``"scans/*.tif"`` or ``"**/*.png"``.

    Returns
    -------
    list of Path
        Each file once, in the order given; folders and patterns sorted by name.

    Raises
    ------
    FileError
        If a folder or a pattern holds no image, or nothing was given.
    """
    found = expanded(paths, image_files, "image file")
    if not found:
        raise FileError("No image was given.")
    return found


def expanded(
    paths: Iterable[str | Path], files_in: Callable[[Path], list[Path]], what: str
) -> list[Path]:
    """Return what files, folders and patterns stand for; see `find_images`."""
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        files = [path]  # a missing file is reported when its turn comes
        if path.is_dir() and path.suffix.lower() != ".zarr":
            files = files_in(path)
            if not files:
                raise FileError(f"The folder {path} holds no {what}.")
        elif not path.exists() and glob.has_magic(str(path)):
            matches = sorted(map(Path, glob.glob(str(path), recursive=True)))
            if not matches:
                raise FileError(f"No file matches {path}.")
            files = [m for m in matches if m.is_file() or m.suffix.lower() == ".zarr"]
        found.update(dict.fromkeys(files))
    return list(found)


def image_files(folder: Path) -> list[Path]:
    """Return a folder's image files, sorted by name, hidden ones left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and (path.is_file() or path.suffix.lower() == ".zarr")
    )


LARGE_PIXELS = 1 << 26
"""Images with more pixels (8192 × 8192) are not read whole."""


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
