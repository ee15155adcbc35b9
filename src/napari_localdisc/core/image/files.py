"""Image files → arrays, and the files that a user means by a list of paths."""

import glob
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import given_path

from .dicom import SUFFIXES as DICOM_SUFFIXES
from .dicom import dicom_placement, is_dicom, read_dicom
from .pages import chosen_page
from .roles import Roles, sort_roles
from .upright import Stored

IMAGE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm"),
        *(".webp", ".zarr", *DICOM_SUFFIXES),
    )
)
"""Files of a folder that are taken for images."""

_TIFF_SUFFIXES = frozenset((".tif", ".tiff"))


def read_image(path: str | Path, page: int | None = None) -> NDArray[Any]:
    """Read a 2-D image file as it is meant to be seen.

    Upright, as EXIF or TIFF say; bright where it is bright, also where a file counts
    darkness; inks, indices and other spaces of colour as RGB; of the file's pictures
    the largest that is no thumbnail and no mask.

    Parameters
    ----------
    path : str or Path
        Anything that Pillow or tifffile can read, an OME-Zarr image, or DICOM (with
        the extra ``[dicom]``).
    page : int, optional
        Which picture of a stack, an animation or a file of several pages, from 0.

    Returns
    -------
    ndarray
        (H, W), (H, W, 3) or (H, W, 4) of the file's own dtype; opacity is last.

    Raises
    ------
    FileError
        If there is no such file, it is not an image that can be read, or it holds
        several pictures and ``page`` does not say which.
    """
    path = given_path(path)
    if not path.exists():
        raise FileError(f"There is no file {path}.")
    if is_zarr(path):
        return _whole(path, open_large(path, page)[0])
    if not path.is_file():
        raise FileError(f"{path} is a folder, not an image file.")
    try:
        return np.ascontiguousarray(_read(path, page))
    except FileError:
        raise
    except MemoryError as error:
        raise FileError(f"{path} is too large for this machine's memory.") from error
    # Codecs raise what they like for bytes they did not expect
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        reason = said.replace(f" {str(path)!r}", "")  # which Pillow repeats
        raise FileError(f"{path} is not an image that can be read: {reason}") from error


def _whole(path: Path, array: Any) -> NDArray[Any]:
    """Read a lazy image into memory."""
    size = math.prod(array.shape) * array.dtype.itemsize
    if size > psutil.virtual_memory().available:
        raise FileError(f"{path} is too large for this machine's memory.")
    with _reading(path):
        return np.asarray(array)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be read."""
    try:
        yield
    except FileError:
        raise
    # zarr, tifffile and their codecs raise what they like
    except Exception as error:
        raise FileError(
            f"{path} is not an image that can be read: {error or type(error).__name__}"
        ) from error


def _read(path: Path, page: int | None) -> NDArray[Any]:
    from .pillow import read_picture
    from .tiff import is_tiff, read_tiff

    if path.suffix.lower() in _TIFF_SUFFIXES or is_tiff(path):
        return read_tiff(path, page)
    if is_dicom(path):
        return read_dicom(path, page)
    return read_picture(path, page)


def how_stored(path: str | Path) -> Stored:
    """Return how a file's numbers differ from the picture that `read_image` makes.

    Its pixels are not read; of what is no readable image nothing is said.
    """
    from .pillow import picture_stored
    from .tiff import is_tiff, tiff_stored

    path = given_path(path)
    try:
        return tiff_stored(path) if is_tiff(path) else picture_stored(path)
    # Readers raise what they like for what is no picture; opening it says what is wrong
    except Exception:
        return Stored()


def read_placement(path: str | Path) -> dict[str, Any]:
    """Return ``scale`` and ``units`` of rows and columns, where an image says them.

    Raises
    ------
    FileError
        If the file cannot be read.
    """
    path = given_path(path)
    if is_zarr(path):
        return open_large(path)[1]
    return dicom_placement(path) if is_dicom(path) else {}


def find_images(
    paths: Iterable[str | Path], remark_on: Callable[[str], None] | None = None
) -> list[Path]:
    """Return the image files that files, folders and patterns stand for.

    Parameters
    ----------
    paths : iterable of str or Path
        Files (kept whatever their suffix; a folder that ends with ``.zarr`` is an
        image), folders (their image files, by suffix, without hidden ones) and
        patterns such as ``"scans/*.tif"`` or ``"**/*.png"``.  Of folders and patterns
        masks of other images there, and what this package made, are left out.
    remark_on : callable, optional
        Gets sentences about what was left out or could be understood otherwise.

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
        path = given_path(given)
        files = expanded(path, image_files, "image file")
        if files is None:
            found[path] = None
            continue
        roles = roles_of(files)
        masks = sum(len(own) for own in roles.masks.values())
        if masks:
            noun = "mask of another image" if masks == 1 else "masks of other images"
            roles.remarks.append(f"{masks} {noun} in {given} left out.")
        if remark_on is not None:
            for remark in roles.remarks:
                remark_on(remark)
        if not roles.images:
            raise FileError(f"{given} holds no image, only what was made of some.")
        found.update(dict.fromkeys(roles.images))
    if not found:
        raise FileError("No image was given.")
    return list(found)


def expanded(
    path: Path, files_in: Callable[[Path], list[Path]], what: str
) -> list[Path] | None:
    """Return the files that a folder or a pattern stands for; None for a file."""
    if path.is_dir() and path.suffix.lower() != ".zarr":
        files = files_in(path)
        if not files:
            raise FileError(f"The folder {path} holds no {what}.")
        return files
    if not path.exists() and glob.has_magic(str(path)):
        matches = sorted(matching(path))
        if not matches:
            raise FileError(f"No file matches {path}.")
        return [m for m in matches if m.is_file() or m.suffix.lower() == ".zarr"]
    return None  # a missing file is reported when its turn comes


def roles_of(files: Iterable[Path]) -> Roles:
    """Tell images from masks and from what we made; see `sort_roles`."""
    return sort_roles(files, _some_pixels)


_LOOKED_AT = 1024
"""Pixels along a side of what is looked at of a large image."""


def _some_pixels(path: Path) -> NDArray[Any]:
    if not is_large(path):
        return read_image(path)
    array = open_large(path)[0]
    top, left = (max(0, (side - _LOOKED_AT) // 2) for side in array.shape[:2])
    return np.asarray(array[top : top + _LOOKED_AT, left : left + _LOOKED_AT])


def matching(pattern: Path) -> list[Path]:
    """Return what a pattern stands for; folders with brackets in their names are meant.

    The beginning of the pattern that is there as it is written is no pattern.
    """
    parts = pattern.parts
    there = next(
        count for count in range(len(parts), -1, -1) if Path(*parts[:count]).exists()
    )
    literal = glob.escape(str(Path(*parts[:there]))) if there else ""
    whole = Path(literal, *parts[there:])
    return [Path(match) for match in glob.glob(str(whole), recursive=True)]


def image_files(folder: Path) -> list[Path]:
    """Return a folder's image files, sorted by name, hidden ones left out.

    DICOM files often have no ending: they are known by their first bytes.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".")
        and (
            (path.suffix.lower() in IMAGE_SUFFIXES or _is_nameless_dicom(path))
            and (path.is_file() or path.suffix.lower() == ".zarr")
        )
    )


def _is_nameless_dicom(path: Path) -> bool:
    is_index = path.name.upper() == "DICOMDIR"
    try:
        return not path.suffix and not is_index and is_dicom(path)
    except OSError:
        return False


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
    from .tiff import picture_pixels

    try:
        return picture_pixels(path) > LARGE_PIXELS
    # tifffile raises what it likes for bytes it did not expect
    except Exception:
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


def open_large(path: Path, page: int | None = None) -> tuple[Any, dict[str, Any]]:
    """Open an image without reading it.

    Parameters
    ----------
    path : Path
        An OME-Zarr image (its finest level counts), a zarr array, or a TIFF file.
    page : int, optional
        Which picture of a stack.

    Returns
    -------
    array : array_like
        (H, W) or (H, W, C), lazy.
    placement : dict
        ``scale`` and ``units`` of rows and columns, where the file says them.

    Raises
    ------
    FileError
        If it is not such a file, or holds a stack and ``page`` does not say which
        picture of it.
    """
    with _reading(path):
        if is_zarr(path):
            return _open_zarr(path, page)
        from .tiff import open_tiff

        return open_tiff(path, page), {}


def _open_zarr(path: Path, page: int | None) -> tuple[Any, dict[str, Any]]:
    import zarr

    from .ome_zarr import open_array, read_ome

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        plain = open_array(path)
        names = ["t"] * (plain.ndim - 2) + ["y", "x"]
        if plain.ndim > 2 and plain.shape[-1] in (3, 4):
            names = ["t"] * (plain.ndim - 3) + ["y", "x", "c"]
        return _flat(path, plain, names, page), {}
    ome = read_ome(path)
    if ome.label is not None:
        raise FileError(f"{path} holds labels, not an image.")
    if ome.multiscales is None:
        raise FileError(f"{path} is a group of zarr arrays, but no OME-Zarr image.")
    picture = ome.multiscales[0]
    array = open_array(path / picture.datasets[0].path)
    axes = [axis.name for axis in picture.axes or ()]
    if len(axes) != array.ndim or not {"y", "x"} <= set(axes):
        raise FileError(f"{path} does not say which axes are rows and columns.")
    scale = picture.scale or [1.0] * len(axes)
    units = picture.units or ["pixel"] * len(axes)
    at = [axes.index("y"), axes.index("x")]
    placement: dict[str, Any] = {}
    if len(scale) == len(axes) and all(scale[axis] > 0 for axis in at):
        placement["scale"] = [scale[axis] for axis in at]
        placement["units"] = [units[axis] for axis in at]
    return _flat(path, array, axes, page), placement


def _flat(path: Path, array: Any, axes: list[str], page: int | None) -> Any:
    """Choose one picture and put its channels last."""
    inside = [a for a, name in enumerate(axes) if name in ("y", "x")]
    channels = [
        a for a, name in enumerate(axes) if name == "c" and array.shape[a] in (3, 4)
    ]
    steps = [a for a in range(len(axes)) if a not in (*inside, *channels)]
    sides = [int(array.shape[a]) for a in steps]
    what = "×".join(map(str, array.shape)) + f", axes {''.join(axes)}"
    at = chosen_page(path, int(np.prod(sides)), page, f"a stack of {what}")
    index: list[Any] = [slice(None)] * len(axes)
    places = np.unravel_index(at, sides) if steps else ()
    for axis, place in zip(steps, places, strict=True):
        index[axis] = int(place)
    array = array[tuple(index)]
    left = [a for a in range(len(axes)) if a not in steps]
    order = [axes.index("y"), axes.index("x"), *channels]
    return array.transpose([left.index(axis) for axis in order])
