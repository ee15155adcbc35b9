"""Any 2-D image → RGB, its field of view and its working grid, and back.

The network knows one scale: the field of view's diameter (the longer side of an image
without a dark frame) has ``working_diameter`` pixels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from napari_localdisc.core.errors import ImageError
from napari_localdisc.core.names import Modality

from .field_of_view import find_field_of_view
from .grid import FloatImage, Mask, WorkingGrid, as_tensor, resize
from .rgb import RangeSearch, check_layout, missing

_FEW_TONES = 0.3
"""Share of the range of tones; an image that uses less is spread over all of it."""


class Seen(NamedTuple):
    """An image as the network's input is made of it.

    Attributes
    ----------
    colour : ndarray
        (h, w, 3) float32 in [0, 1] on the working grid, 0 outside the field of view.
    inside : ndarray
        (h, w) bool: the field of view there.
    field_of_view : ndarray
        (H, W) bool, on the image's grid.
    grid : WorkingGrid
        Between the two.
    """

    colour: FloatImage
    inside: Mask
    field_of_view: Mask
    grid: WorkingGrid


class Picture(NamedTuple):
    """An image whose field of view is found: it can be seen at any size.

    Attributes
    ----------
    rgb : ndarray
        (H, W, 3) float32 in [0, 1].
    field_of_view : ndarray
        (H, W) bool.
    modality : {"fundus", "frame"}
        As for `find_field_of_view`; tones of a frame are spread, see `few_tones`.
    """

    rgb: FloatImage
    field_of_view: Mask
    modality: Modality

    @classmethod
    def of(cls, image: ArrayLike, modality: Modality) -> "Picture":
        """Find an image's field of view; parameters and errors are as of `look`."""
        rgb = as_rgb(image)
        field_of_view = find_field_of_view(rgb, modality)
        gone = missing(np.asarray(image))
        if gone is not None:
            field_of_view &= ~gone
        return cls(rgb, field_of_view, modality)

    def seen(self, working_diameter: int) -> Seen:
        """Bring it to the working grid of that many pixels; see `look`."""
        grid = WorkingGrid.around(self.field_of_view, working_diameter)
        colour, inside = working_image(self.rgb, self.field_of_view, grid)
        if self.modality == "frame":
            colour = stretch_tones(colour, inside, few_tones(colour, inside))
        return Seen(colour, inside, self.field_of_view, grid)


def look(image: ArrayLike, modality: Modality, working_diameter: int) -> Seen:
    """Find an image's field of view and bring it to the working grid.

    Parameters
    ----------
    image : array_like
        As for `as_rgb`.
    modality : {"fundus", "frame"}
        As for `find_field_of_view`; tones of a frame are spread, see `few_tones`.
    working_diameter : int
        Pixels of the grid along the longer side of the field of view.

    Raises
    ------
    ImageError
        If the image cannot be used; the message says why.
    """
    return Picture.of(image, modality).seen(working_diameter)


def as_rgb(image: ArrayLike) -> FloatImage:
    """Turn any 2-D image into RGB between 0 and 1.

    Parameters
    ----------
    image : array_like
        (H, W) or (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGBA, of any real dtype.
        Integers are divided by the largest value of their bit depth: 8 bits for
        ``uint8``, else the fewest of 8, 10, 12, 14, 16, … bits that hold the image's
        maximum.  Floats within [0, 1] stay; other floats, and integers with negative
        values, are stretched from their minimum to their maximum.  Transparent pixels
        are laid over black, and NaN is black where it surrounds the picture.

    Returns
    -------
    ndarray
        (H, W, 3) float32 in [0, 1].

    Raises
    ------
    ImageError
        If it is no such image, is smaller than 16×16, or holds infinity, or NaN that
        does not adjoin the border.
    """
    try:
        array = np.asarray(image)
    except ValueError as error:
        raise ImageError(
            "An image must hold real numbers in rows of equal length."
        ) from error
    check_layout(array.shape, array.dtype)
    missing(array)
    search = RangeSearch(array.dtype)
    search.see(array)
    return search.scale().rgb(array)


def working_image(
    rgb: FloatImage, field_of_view: Mask, grid: WorkingGrid
) -> tuple[FloatImage, Mask]:
    """Resample an image and its field of view; pixels outside play no part.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3) float32 in [0, 1].
    field_of_view : ndarray
        (H, W) bool.
    grid : WorkingGrid
        From the same field of view.

    Returns
    -------
    rgb : ndarray
        (h, w, 3) float32: means over pixels of the field of view only; 0 outside.
    inside : ndarray
        (h, w) bool.
    """
    visible = as_tensor(field_of_view[grid.box])
    share = resize(visible[None, None].float(), grid.shape)[0, 0]
    inside = share >= 0.5
    colour = np.empty((*grid.shape, 3), np.float32)
    for channel in range(3):
        # One channel at a time: large images would not fit in memory twice
        seen = as_tensor(rgb[(*grid.box, channel)]) * visible
        mean = resize(seen[None, None], grid.shape)[0, 0] / share.clamp_min(0.5)
        colour[..., channel] = (mean * inside).numpy()
    return colour, inside.numpy()


def few_tones(rgb: FloatImage, inside: Mask) -> tuple[float, float] | None:
    """Find the tones of an image that uses few, like an unwindowed radiograph.

    These are its 1st and 99th percentile within the field of view; None where they
    are at least 0.3 apart.
    """
    low, high = np.percentile(rgb[inside], (1, 99))
    return (float(low), float(high)) if 0 < high - low < _FEW_TONES else None


def stretch_tones(
    rgb: FloatImage, inside: Mask, tones: tuple[float, float] | None
) -> FloatImage:
    """Bring `few_tones` of an image to 0 and 1, in it or in a part of it."""
    if tones is None:
        return rgb
    low, high = tones
    spread: FloatImage = ((rgb - low) / (high - low)).clip(0, 1).astype(np.float32)
    return spread * inside[..., None]
