"""Image files → arrays, and the files that a user means by a list of paths."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Iterable, Sequence
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
    if path.is_dir() and path.suffix.lower() == ".zarr":
        from .large import open_large

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
    found: dict[Path, None] = {}
    for given in paths:
        found.update(dict.fromkeys(_expanded(Path(given))))
    if not found:
        raise FileError("No image was given.")
    return list(found)


def _expanded(path: Path) -> Sequence[Path]:
    if path.is_dir() and path.suffix.lower() != ".zarr":
        files = image_files(path)
        if not files:
            raise FileError(f"The folder {path} holds no image file.")
        return files
    if not path.exists() and glob.has_magic(str(path)):
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        if not matches:
            raise FileError(f"No file matches {path}.")
        return [m for m in matches if m.is_file() or m.suffix.lower() == ".zarr"]
    return [path]  # a missing file is reported when its turn comes


def image_files(folder: Path) -> list[Path]:
    """Return a folder's image files, sorted by name, hidden ones left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and (path.is_file() or path.suffix.lower() == ".zarr")
    )
