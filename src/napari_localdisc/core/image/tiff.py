"""TIFF files: which picture is meant, and what its numbers mean.

A file may hold thumbnails, masks, levels of a pyramid and stacks beside the picture;
its numbers may be inks, indices, darkness or differences of colour; it may lie on its
side.  All of that is decided here, for files read whole and block by block alike.
"""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC

from napari_localdisc.core.errors import FileError

from .pages import chosen_page
from .upright import UPRIGHT, Stored, is_turned, turned

SUFFIXES = frozenset((".tif", ".tiff"))

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ASSOCIATED, _UNASSOCIATED = 1, 2
_COLOURS = 3
_LIGHTNESS_A_B = (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB, PHOTOMETRIC.ITULAB)
_PRIMARIES = np.eye(3, dtype=bool)

# XYZ under D50, which print and TIFF's CIELAB mean, to XYZ under D65 (Bradford)
_D50_TO_D65 = np.array(
    (
        (0.9555766, -0.0230393, 0.0631636),
        (-0.0282895, 1.0099416, 0.0210077),
        (0.0122982, -0.0204830, 1.3299098),
    )
)


def is_tiff(path: Path) -> bool:
    """Whether a file is a TIFF, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(4) in _MAGIC


def read_tiff(path: Path, page: int | None = None) -> NDArray[Any]:
    """Read the picture that is meant, upright, in the colours that are meant.

    Parameters
    ----------
    path : Path
        The file.
    page : int, optional
        Which of the pictures in the file, as they lie in it; by default the largest
        that is neither a thumbnail nor a mask.

    Returns
    -------
    ndarray
        (H, W), (H, W, 3) or (H, W, 4) of the file's own dtype.

    Raises
    ------
    FileError
        If several pictures are as large, or there is no such page.
    """
    with tifffile.TiffFile(path) as file:
        stack, at = _chosen(path, file, page)
        array = stack.picture(at)
        return np.asarray(stack.meaning().applied(array))


def open_tiff(path: Path, page: int | None = None) -> Any:
    """Open the picture that is meant without reading it; else as `read_tiff`.

    Returns
    -------
    array_like
        (H, W) or (H, W, C), lazy.
    """
    import dask.array
    import zarr

    file = tifffile.TiffFile(path)
    try:
        stack, at = _chosen(path, file, page)
        meaning, order = stack.meaning(), stack.order
        if stack.is_differences:  # nothing reads them in blocks
            picture = meaning.applied(stack.picture(at))
            file.close()
            return picture
        store = stack.store()
        array = zarr.open_array(store, mode="r")
    except BaseException:
        file.close()
        raise
    # zarr leaves the file open
    weakref.finalize(array, store.close)
    weakref.finalize(array, file.close)
    if meaning.is_plain and stack.axes in ("YX", "YXS"):
        return array
    lazy = dask.array.from_zarr(array)[stack.index(at)].transpose(order)
    return meaning.applied(lazy)


def picture_pixels(path: Path) -> int:
    """Return how many pixels the picture has that is meant."""
    with tifffile.TiffFile(path) as file:
        return max((stack.area for stack in _meant(_stacks(file))), default=0)


def tiff_stored(path: Path) -> Stored:
    """Return how the file's numbers differ from the picture that is meant."""
    with tifffile.TiffFile(path) as file:
        page = _meant(_stacks(file))[0].page
        is_inverted = page.photometric == PHOTOMETRIC.MINISWHITE
        return Stored(_orientation(page), bool(is_inverted))


def tiff_kind(path: Path) -> str:
    """Return whether the picture that is meant is “bits”, “grey” or “colour”."""
    with tifffile.TiffFile(path) as file:
        stack = _meant(_stacks(file))[0]
        _, is_colour, is_deep = stack.rank
    return "colour" if is_colour else "grey" if is_deep else "bits"


# Which picture


@dataclass(frozen=True, eq=False)
class _Stack:
    """Pictures of one size that belong together; most often it is one.

    Attributes
    ----------
    series : TiffPageSeries or TiffPage
        Where they are.
    page : TiffPage
        What they are like.
    axes, shape
        Of the series.
    """

    series: Any
    page: Any
    axes: str
    shape: tuple[int, ...]

    @property
    def colour_axis(self) -> int | None:
        """The axis along which a pixel's colours lie."""
        if "S" in self.axes:
            return self.axes.index("S")
        at = self.axes.find("C")
        is_grey = self.page.photometric in (
            PHOTOMETRIC.MINISBLACK,
            PHOTOMETRIC.MINISWHITE,
            PHOTOMETRIC.RGB,
        )
        return at if at >= 0 and self.shape[at] == _COLOURS and is_grey else None

    @property
    def samples(self) -> int:
        """Numbers a pixel."""
        axis = self.colour_axis
        return 1 if axis is None else self.shape[axis]

    @property
    def area(self) -> int:
        """Pixels of one picture."""
        return self.shape[self.axes.index("Y")] * self.shape[self.axes.index("X")]

    @property
    def _steps(self) -> tuple[tuple[int, int], ...]:
        """(axis, length) of the axes that are not in a picture."""
        inside = (self.axes.index("Y"), self.axes.index("X"), self.colour_axis)
        return tuple(
            (axis, side) for axis, side in enumerate(self.shape) if axis not in inside
        )

    @property
    def count(self) -> int:
        """How many pictures they are."""
        return math.prod(side for _, side in self._steps)

    @property
    def is_aside(self) -> bool:
        """Whether it is a thumbnail or a mask of another picture."""
        return (
            self.page.is_reduced
            or self.page.is_mask
            or int(self.page.photometric or 0) == PHOTOMETRIC.MASK
        )

    @property
    def rank(self) -> tuple[int, bool, bool]:
        """What a picture is told from its masks by, where nothing is said."""
        deep = int(np.max(self.page.bitspersample)) > 1
        return self.area, self.samples >= _COLOURS or self.has_table, deep

    @property
    def has_table(self) -> bool:
        """Whether its numbers are indices into a table of colours."""
        return bool(self.page.photometric == PHOTOMETRIC.PALETTE)

    def index(self, at: int) -> tuple[int | slice, ...]:
        """Return what picks one of them from the series."""
        steps = self._steps
        places = np.unravel_index(at, [side for _, side in steps]) if steps else ()
        index: list[int | slice] = [slice(None)] * len(self.shape)
        for (axis, _), place in zip(steps, places, strict=True):
            index[axis] = int(place)
        return tuple(index)

    @property
    def order(self) -> tuple[int, ...]:
        """Axes of what `index` leaves, as rows, columns and colours."""
        left = [a for a, part in enumerate(self.index(0)) if isinstance(part, slice)]
        wanted = [self.axes.index("Y"), self.axes.index("X")]
        if self.colour_axis is not None:
            wanted.append(self.colour_axis)
        return tuple(left.index(axis) for axis in wanted)

    def store(self) -> Any:
        """Return what zarr reads them by, of a pyramid the finest level."""
        is_page = isinstance(self.series, tifffile.TiffPage)
        return self.series.aszarr(**({} if is_page else {"level": 0}))

    def picture(self, at: int) -> NDArray[Any]:
        """Read one of them: (H, W) or (H, W, C)."""
        if self.is_differences:
            return _libtiff(self.page)
        if self.count == 1:
            array = self.series.asarray()
        else:  # not the whole stack
            import zarr

            with self.store() as store:
                whole: Any = zarr.open_array(store, mode="r")
                array = np.asarray(whole[self.index(at)])
            return array.transpose(self.order)
        array = array.reshape(self.shape)[self.index(at)]
        return np.asarray(array.transpose(self.order))

    @property
    def is_differences(self) -> bool:
        """Whether it holds brightness and differences of colour, not as JPEG."""
        return (
            self.page.photometric == PHOTOMETRIC.YCBCR
            and self.page.compression not in _JPEG
        )

    def meaning(self) -> _Meaning:
        """Return what its numbers mean."""
        page = self.page
        samples = self.samples
        steps: list[Callable[[Any], Any]] = []
        extra = tuple(int(kind) for kind in page.extrasamples)
        colours = samples
        if "S" in self.axes:
            if self.is_differences:
                extra, colours = (), _COLOURS
            else:
                colours = _colours_of(page, samples, len(extra))
        alpha = next(
            (
                colours + number
                for number, kind in enumerate(extra)
                if kind in (_ASSOCIATED, _UNASSOCIATED) and colours + number < samples
            ),
            None,
        )
        order = _order_of_channels(self, colours)
        if page.photometric == PHOTOMETRIC.MINISWHITE:
            steps.append(lambda x: _inverted(x, int(np.max(page.bitspersample))))
        elif self.has_table:
            table = _table(page)
            steps.append(lambda x: table[x.view(np.uint8) if x.dtype == bool else x])
        elif page.photometric == PHOTOMETRIC.SEPARATED and colours == 4:
            steps.append(_from_inks)
        elif page.photometric in _LIGHTNESS_A_B and colours == _COLOURS:
            kind = page.photometric
            steps.append(lambda x: _from_lab(x, kind))
        dtype = np.dtype(np.uint8) if self.has_table else np.dtype(page.dtype)
        is_associated = alpha is not None and extra[alpha - colours] == _ASSOCIATED
        return _Meaning(
            colours=None if samples == 1 else colours,
            alpha=alpha,
            is_associated=is_associated,
            order=order,
            convert=steps[0] if steps else None,
            dtype=dtype,
            orientation=_orientation(page),
            needs_range=page.photometric == PHOTOMETRIC.MINISWHITE
            and dtype.kind not in "bu",
            is_complete=samples == colours + (alpha is not None) and colours != 1,
        )


_JPEG = (6, 7, 33007, 34892)
"""Compressions whose decoder gives RGB."""


def _stacks(file: tifffile.TiffFile) -> list[_Stack]:
    """Return the pictures of a file as they lie in it, levels of pyramids apart."""
    found = []
    for series in file.series:
        if series.kind in ("uniform", "generic") and len(series.pages) > 1:
            # Masks and thumbnails may be as large and deep as the picture
            for page in series.pages:
                if page is not None:
                    own = page.aspage()
                    found.append(_Stack(own, own, own.axes, own.shape))
            continue
        found.append(_Stack(series, series.keyframe, series.axes, series.shape))
    return [s for s in found if "Y" in s.axes and "X" in s.axes]


def _meant(stacks: Sequence[_Stack]) -> list[_Stack]:
    """Return the largest ones that are no thumbnails and no masks."""
    shown = [stack for stack in stacks if not stack.is_aside] or list(stacks)
    best = max((stack.rank for stack in shown), default=None)
    return [stack for stack in shown if stack.rank == best]


def _chosen(
    path: Path, file: tifffile.TiffFile, page: int | None
) -> tuple[_Stack, int]:
    stacks = _stacks(file)
    if page is None:
        stacks = _meant(stacks)
    if not stacks:
        raise ValueError("it holds no picture")
    count = sum(stack.count for stack in stacks)
    what = ""
    if len(stacks) == 1:
        sizes = "×".join(str(side) for side in stacks[0].shape)
        what = f"a stack of {sizes}, axes {stacks[0].axes}"
    at = chosen_page(path, count, page, what)
    for stack in stacks:
        if at < stack.count:
            check_parts(path, stack.page)
            return stack, at
        at -= stack.count
    raise AssertionError("a page was checked and is not there")


def check_parts(path: Path, page: Any) -> None:
    """Raise a FileError if a page has fewer strips or tiles than its size asks for.

    tifffile fills what is not there: a file of 2 KB would become 400 MB of nothing.
    """
    there, needed = len(page.dataoffsets), math.prod(page.chunked)
    if not page.is_contiguous and there < needed:
        raise FileError(
            f"{path} is damaged: it holds {there:,} of the {needed:,} parts of its "
            "picture."
        )


def _orientation(page: Any) -> int:
    tag = page.tags.get("Orientation")
    return UPRIGHT if tag is None else int(tag.value)


def _colours_of(page: Any, samples: int, extra: int) -> int:
    """Return how many of a pixel's numbers are colours, and no extra ones."""
    if page.photometric in (
        PHOTOMETRIC.RGB,
        PHOTOMETRIC.YCBCR,
        *_LIGHTNESS_A_B,
    ):
        return min(_COLOURS, samples)
    if page.photometric == PHOTOMETRIC.SEPARATED:
        return min(4, samples)
    # Three greys are meant as colours
    return _COLOURS if samples == _COLOURS else max(1, samples - extra)


def _order_of_channels(stack: _Stack, colours: int) -> tuple[int, ...] | None:
    """Return which channels are red, green and blue, where they are named."""
    if "S" in stack.axes or colours != _COLOURS:
        return None
    parent = stack.page.parent
    if not parent.is_imagej:
        return None
    tables = (parent.imagej_metadata or {}).get("LUTs") or ()
    if len(tables) < _COLOURS:
        return None
    lit = np.array([np.asarray(table)[:, -1] > 127 for table in tables[:_COLOURS]])
    is_primary = lit.shape == (3, 3) and (lit.sum(0) == 1).all()
    if not is_primary or not (lit.sum(1) == 1).all():
        return None
    order = tuple(int(place) for place in lit.argmax(0))
    return order if order != (0, 1, 2) else None


# What the numbers mean


@dataclass(frozen=True, eq=False)
class _Meaning:
    """How a picture's numbers become grey, RGB or RGBA.

    Attributes
    ----------
    colours : int or None
        Numbers of a pixel that are colours; None: (H, W).
    alpha : int or None
        Which number is the opacity.
    is_associated : bool
        Whether the colours are multiplied by it.
    order : tuple of int or None
        Channels that are red, green, blue.
    convert : callable or None
        Colours → grey or RGB.
    dtype : dtype
        Of the result.
    orientation : int
        See `turned`.
    needs_range : bool
        Whether ``convert`` must see all values.
    is_complete : bool
        Whether all numbers are used as they are.
    """

    colours: int | None
    alpha: int | None
    is_associated: bool
    order: tuple[int, ...] | None
    convert: Callable[[Any], Any] | None
    dtype: np.dtype[Any]
    orientation: int
    needs_range: bool
    is_complete: bool

    @property
    def is_plain(self) -> bool:
        """Whether the file's numbers are the picture."""
        return (
            self.convert is None
            and self.order is None
            and not self.is_associated
            and not is_turned(self.orientation)
            and (self.colours is None or self.is_complete)
        )

    def applied(self, array: Any) -> Any:
        """Return a picture: of (H, W[, C]) numbers, NumPy's or dask's."""
        return turned(self._coloured(array), self.orientation)

    def _coloured(self, array: Any) -> Any:
        if not isinstance(array, np.ndarray):
            return self._lazily(array)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if self.colours is None:
            return array if self.convert is None else self.convert(array)
        colour = array[:, :, : self.colours]
        if self.order is not None:
            colour = colour[:, :, self.order]
        if self.is_associated:
            colour = _unmultiplied(colour, array[:, :, self.alpha])
        if self.colours == 1:
            colour = colour[:, :, 0]
        if self.convert is not None:
            colour = self.convert(colour)
        if self.alpha is None:
            return colour
        if colour.ndim == 2:
            colour = np.repeat(colour[:, :, None], _COLOURS, axis=2)
        return np.concatenate((colour, array[:, :, self.alpha, None]), axis=2)

    def _lazily(self, array: Any) -> Any:
        if self.needs_range:
            low, high = array.min(), array.max()
            return (low + high - array).astype(array.dtype)
        if array.ndim == 3:
            array = array.rechunk({2: -1})
        tried = self._coloured(np.zeros((2,) * 2 + array.shape[2:], array.dtype))
        drop = [] if tried.ndim == array.ndim or array.ndim < 3 else [2]
        options: dict[str, Any] = {"dtype": tried.dtype, "meta": tried[:0, :0]}
        if tried.ndim == 3:
            options["chunks"] = (*array.chunks[:2], (tried.shape[2],))
        if tried.ndim > array.ndim:
            options["new_axis"] = [2]
        return array.map_blocks(self._coloured, drop_axis=drop, **options)


def _inverted(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Turn darkness into brightness."""
    if values.dtype.kind == "b":
        return ~values
    if values.dtype.kind == "u":
        largest = (1 << bits) - 1
        return np.asarray(values.dtype.type(largest) - values)
    if values.dtype.kind == "i":
        low, high = int(values.min()), int(values.max())
        return (low + high - values.astype(np.int64)).astype(values.dtype)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return values
    low, high = finite.min(), finite.max()
    if low >= 0 and high <= 1:
        low, high = values.dtype.type(0), values.dtype.type(1)
    return np.asarray(low + high - values)


def _table(page: Any) -> NDArray[np.uint8]:
    """Return the (n, 3) colours of a page's indices."""
    table = np.asarray(page.colormap)
    if table.max() > 255:
        table = table >> 8
    return np.ascontiguousarray(table.T).astype(np.uint8)


def _from_inks(inks: NDArray[Any]) -> NDArray[Any]:
    """Turn (H, W, 4) cyan, magenta, yellow and black into RGB."""
    if inks.dtype.kind == "f":
        return np.asarray((1 - inks[..., :3]) * (1 - inks[..., 3:]))
    full = np.iinfo(inks.dtype).max
    light = full - inks.astype(np.float64)
    return np.rint(light[..., :3] * light[..., 3:] / full).astype(inks.dtype)


def _from_lab(values: NDArray[Any], kind: int) -> NDArray[Any]:
    """Turn (H, W, 3) CIELAB of 8 or 16 bits into RGB of as many."""
    from skimage.color import lab2xyz, xyz2rgb

    unsigned = f"u{values.dtype.itemsize}"
    full = np.iinfo(unsigned).max
    step = (full + 1) // 256  # of a* and b*
    lab = values.view(unsigned).astype(np.float64)
    lightest = full if kind == PHOTOMETRIC.CIELAB else 255 * step
    if kind == PHOTOMETRIC.CIELAB:
        signed = np.ascontiguousarray(values[..., 1:]).view(f"i{unsigned[1:]}")
        lab[..., 1:] = signed / step
    else:
        lab[..., 1:] = lab[..., 1:] / step - 128
    lab[..., 0] *= 100 / lightest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # colours that no light has
        xyz = lab2xyz(lab, illuminant="D50")
    rgb = xyz2rgb(xyz @ _D50_TO_D65.T).clip(0, 1)
    return np.asarray(np.rint(rgb * full).astype(unsigned))


def _unmultiplied(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Return colours as they were before they were multiplied by the opacity."""
    is_float = colour.dtype.kind == "f"
    full = 1.0 if is_float else float(np.iinfo(colour.dtype).max)
    share = np.where(alpha > 0, alpha / full, 1)[:, :, None]
    exact = colour / share
    if is_float:
        return exact.astype(colour.dtype)
    return np.rint(exact).clip(0, full).astype(colour.dtype)


def _libtiff(page: Any) -> NDArray[np.uint8]:
    """Let libtiff turn differences of colour, also coarser ones, into RGB."""
    import imagecodecs

    handle = page.parent.filehandle
    handle.seek(0)
    index = page.index if isinstance(page.index, int) else page.index[0]
    rgba = imagecodecs.tiff_decode(handle.read(), index=index, asrgb=True)
    orientation = _orientation(page)
    # It mirrors as the orientation asks for, which is done again, and rightly, later
    if orientation in (2, 3, 6, 7):
        rgba = rgba[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgba = rgba[::-1]
    return np.asarray(rgba[:, :, :_COLOURS])
