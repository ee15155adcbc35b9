"""Pictures that Pillow reads: PNG, JPEG, WebP, GIF, BMP and others."""

import io
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .pages import chosen_page
from .upright import UPRIGHT, Stored, turned

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 274
_COLOUR_PNG_BITS, _COLOUR_PNG_KINDS = 16, (2, 4, 6)  # RGB, grey + alpha, RGBA
_HUGE = 1 << 24
"""Pixels from which memory counts more than time."""
_PREVIEWS = ("MPO",)  # further pictures are previews, depth or gain maps of the first


def read_picture(path: Path, page: int | None = None) -> NDArray[Any]:
    """Read a picture upright, in the colours that are meant.

    Parameters
    ----------
    path : Path
        The file.
    page : int, optional
        Which frame of an animation.

    Returns
    -------
    ndarray
        (H, W), (H, W, 3) or (H, W, 4); 16 bits stay 16 bits, also those of colours.

    Raises
    ------
    FileError
        If it is an animation and no frame is asked for.
    """
    from PIL import Image

    with warnings.catch_warnings(), Image.open(path) as file:
        # Of large pictures, and of details in files that are readable all the same
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        frames = 1 if file.format in _PREVIEWS else getattr(file, "n_frames", 1)
        at = chosen_page(path, frames, page, "frames" if frames > 1 else "")
        if frames > 1:
            file.seek(at)
        deep = _deep_netpbm(path, file)
        if deep is not None:
            return deep
        file.load()
        orientation = _orientation(file)
        by_png = frames == 1 and (_has_deep_colour(path, file) or _is_huge_png(file))
        array = None if by_png else _array(file)
        shape, is_clear = (file.height, file.width), "transparency" in file.info
    if array is None:
        del file  # its memory is free then; Pillow 10 cannot close it twice
        array = _png(path, shape, is_clear)
    return np.asarray(turned(array, orientation))


def picture_stored(path: Path) -> Stored:
    """Return how the file's pixels differ from the picture that is meant."""
    from PIL import Image

    with warnings.catch_warnings(), Image.open(path) as file:
        warnings.simplefilter("ignore", UserWarning)
        return Stored(_orientation(file))


def _orientation(image: "Image.Image") -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, UPRIGHT))
    except (SyntaxError, OSError, KeyError, TypeError, ValueError, struct.error):
        return UPRIGHT  # damaged notes do not make a picture unreadable


def _plain(image: "Image.Image") -> "Image.Image":
    """Turn colour tables and colour spaces into RGB, and transparency into alpha."""
    from PIL import Image

    mode = image.mode
    if mode in ("PA", "LA", "La", "RGBa"):
        return image.convert("RGBA")
    if mode in ("P", "L", "RGB") and "transparency" in image.info:
        return image.convert("RGBA")
    if mode in ("P", "YCbCr", "HSV", "RGBX"):
        return image.convert("RGB")
    if mode in ("CMYK", "LAB"):
        return _by_profile(image) or image.convert("RGB")
    if mode == "I" and image.format == "PNG":  # 16 bits, in Pillow's own way
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    return image


def _by_profile(image: "Image.Image") -> "Image.Image | None":
    """Convert inks to sRGB by the profile that the file has, if it is usable."""
    from PIL import ImageCms

    if image.mode == "LAB":
        source: Any = ImageCms.createProfile("LAB")
    elif "icc_profile" in image.info:
        source = io.BytesIO(image.info["icc_profile"])
    else:
        return None
    try:
        target: Any = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except ImageCms.PyCMSError:
        return None  # a damaged profile; the inks are taken as they are


def _has_deep_colour(path: Path, image: "Image.Image") -> bool:
    """Whether it is a PNG whose colours have 16 bits, which Pillow cuts to 8."""
    if image.format != "PNG":
        return False
    with path.open("rb") as stream:
        head = stream.read(26)
    return head[24] == _COLOUR_PNG_BITS and head[25] in _COLOUR_PNG_KINDS


def _deep_netpbm(path: Path, image: "Image.Image") -> NDArray[Any] | None:
    """Read a binary PGM or PPM of more than 8 bits, which Pillow scales or cuts."""
    tiles: Any = getattr(image, "tile", None)
    if image.format != "PPM" or not tiles:
        return None
    decoder, _, start, how = tiles[0]
    how = how if isinstance(how, tuple) else (how,)
    is_deep = (
        how[0] == "I;16B" if decoder == "raw" else decoder == "ppm" and how[1] > 255
    )
    if not is_deep:
        return None
    shape = (*image.size[::-1], len(image.getbands()))
    count = shape[0] * shape[1] * shape[2]
    if path.stat().st_size - start < 2 * count:  # cut off, which Pillow says
        return None
    stored = np.fromfile(path, ">u2", count, offset=start).astype(np.uint16)
    return stored.reshape(shape if shape[2] > 1 else shape[:2])


def _array(image: "Image.Image") -> NDArray[Any]:
    """Return the plain pixels of an image; of a large one strip by strip.

    In one go Pillow makes three copies of them.
    """
    width, height = image.size
    if width * height <= _HUGE:
        return np.asarray(_plain(image))
    step = max(1, _HUGE // (16 * width))
    whole: NDArray[Any] | None = None
    for top in range(0, height, step):
        below = min(top + step, height)
        part = image.crop((0, top, width, below))
        part.format = image.format
        strip = np.asarray(_plain(part))
        if whole is None:
            whole = np.empty((height, *strip.shape[1:]), strip.dtype)
        whole[top:below] = strip
    assert whole is not None
    return whole


def _is_huge_png(image: "Image.Image") -> bool:
    """Whether it is a PNG that takes Pillow more memory than its pixels are worth."""
    return (
        image.format == "PNG"
        and image.width * image.height > _HUGE
        and image.mode in ("L", "LA", "RGB", "RGBA")
        and "transparency" not in image.info
    )


def _png(path: Path, shape: tuple[int, int], is_clear: bool) -> NDArray[Any]:
    """Let libpng read what Pillow cuts, or takes more memory for.

    ``is_clear`` says whether a colour stands for transparency.
    """
    import imagecodecs

    content = path.read_bytes()
    samples = _SAMPLES[content[25]] + is_clear
    dtype = np.uint16 if content[24] == _COLOUR_PNG_BITS else np.uint8
    array = np.empty(shape if samples == 1 else (*shape, samples), dtype)
    try:
        imagecodecs.png_decode(content, out=array)
    except BaseException:
        # Where libpng gives up, imagecodecs (2026.3.6) keeps a reference for ever
        array.resize(0, refcheck=False)
        raise
    return array[:, :, (0, 0, 0, 1)] if samples == 2 else array


_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}
"""Numbers of a pixel, by a PNG's kind of colour."""
