"""PNG: the values of the labels as indices into a palette of their colours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file
from napari_localdisc.core.image.pillow import picture_stored
from napari_localdisc.core.image.upright import turned

from .label_map import (
    KEY,
    LabelMap,
    byte_colour,
    counted,
    metres,
    note_of,
    note_text,
    noted,
    parse_note,
    pixel_size,
)

if TYPE_CHECKING:
    from PIL import PngImagePlugin

NAME = "PNG"
ENDINGS = (".png",)
LARGEST = 65535
_LARGEST_INDEX = 255


def check(labels: LabelMap) -> None:
    """Raise a FileError for what a PNG file cannot hold."""
    labels.plane(NAME)
    labels.check_range(NAME, LARGEST)


def write(path: Path, labels: LabelMap) -> list[Path]:
    """Write labels as a PNG file.

    Up to 255 they are indices of a palette of 8 bits, so that every program shows the
    classes' colours; above, a PNG palette ends, and they are 16-bit values.  Pixel
    size and class names are in its text, resolution in its pHYs chunk.
    """
    from PIL import Image

    values = labels.plane(NAME)
    options: dict[str, Any] = {"pnginfo": png_text(note_of(labels))}
    dots = _dots_per_inch(labels)
    if dots is not None:
        options["dpi"] = dots
    if labels.largest <= _LARGEST_INDEX:
        picture = Image.fromarray(values.astype(np.uint8))
        colours = [byte_colour(labels.colour(index)) for index in range(256)]
        picture.putpalette([part for colour in colours for part in colour[:3]])
        options |= {"bits": 8, "transparency": bytes(colour[3] for colour in colours)}
    else:
        picture = Image.fromarray(values.astype(np.uint16))
    with new_file(path, is_ours) as temporary:
        picture.save(temporary, "PNG", **options)
    return [path]


def is_ours(path: Path) -> bool:
    """Whether a file is a PNG with our note."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as file:
            file.load()
            return KEY in getattr(file, "text", {})
    # Damaged files raise what they like
    except (OSError, ValueError, SyntaxError):
        return False


def png_text(note: Mapping[str, Any]) -> PngImagePlugin.PngInfo:
    """Return the text chunk that holds a note."""
    from PIL import PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text(KEY, note_text(note), zip=True)
    return text


def _dots_per_inch(labels: LabelMap) -> tuple[float, float] | None:
    """Pixels per inch along columns and rows, where the unit is one of length."""
    scale, units = pixel_size(labels.placement, len(labels.shape))
    sizes = [
        step * metres(unit) for step, unit in zip(scale[-2:], units[-2:], strict=True)
    ]
    if not all(size > 0.0254 / 2**31 for size in sizes):
        return None
    rows, columns = (0.0254 / size for size in sizes)
    if max(rows, columns) / 0.0254 >= 2**31:
        return None
    return columns, rows


def read(path: Path) -> list[LabelMap]:
    """Read labels from a PNG file with a palette, grey, or black and white."""
    from PIL import Image

    fields: dict[str, Any] = {}
    with Image.open(path) as file:
        file.load()
        note = parse_note(getattr(file, "text", {}).get(KEY))
        if file.mode not in ("P", "L", "1", "I", "I;16"):
            raise FileError(
                f"{path} is a picture, not labels: each of its pixels is a colour."
            )
        array = np.asarray(file)
        if note is None and file.mode == "P":
            palette = np.asarray(file.getpalette("RGBA"), dtype=float) / 255
            colours = dict(enumerate(map(tuple, palette.reshape(-1, 4).tolist())))
            fields["colours"] = {v: colours[v] for v in counted(array) if v in colours}
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    elif array.dtype == np.int32:
        array = array.astype(np.uint16)
    if note is None:  # another program's, as it is meant
        array = np.asarray(turned(array, picture_stored(path).orientation))
    return [noted(path, array, note, fields)]
