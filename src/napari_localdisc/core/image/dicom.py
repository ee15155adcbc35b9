"""DICOM: the picture as a radiologist sees it, and the size of its pixels.

Nothing of what a file says about a person is read beyond this module, nor said in an
error.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError

from .pages import chosen_page

SUFFIXES = frozenset((".dcm", ".dicom"))

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of labels."""

_NEEDED = (
    "DICOM files need pydicom, which is not installed: "
    'pip install "napari-localdisc[dicom]".'
)
_MEASURES = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_PER_FRAME = {
    "PixelMeasuresSequence": ("PixelSpacing",),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
}
"""Where files of several frames say what others say at their top."""

_MOST_BY_RUNS, _MOST_EXPANDED = 64, 1 << 14
"""Bytes of pixels that a byte of a file may become: by run lengths, by other ways."""
_SMALL = 1 << 24
"""Bytes of a picture that is read in any case."""


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, by its name or its first bytes."""
    if not path.is_file():
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom(path: Path, page: int | None = None) -> NDArray[Any]:
    """Read a picture: upright in polarity, windowed as the file asks, colours as RGB.

    Parameters
    ----------
    path : Path
        The file.
    page : int, optional
        Which frame.

    Returns
    -------
    ndarray
        (H, W) or (H, W, 3).  Grey values of a window are float32 in [0, 1], others
        those of the file, with its rescaling.

    Raises
    ------
    FileError
        If pydicom is missing, the file holds no picture or several and ``page`` does
        not say which, or it cannot be read.
    """
    with _reading(path):
        whole = open_dicom(path)
        if whole.get("SOPClassUID") in SEGMENTATIONS:
            raise FileError(f"{path} is a DICOM segmentation: labels, and no image.")
        if not any(tag in whole for tag in ("PixelData", "FloatPixelData")):
            raise FileError(f"{path} is a DICOM file without a picture.")
        count = int(whole.get("NumberOfFrames") or 1)
        at = chosen_page(path, count, page, "frames" if count > 1 else "")
        check_size(path, whole)
        return _picture(whole, at)


def check_size(path: Path, whole: Any, frames: int = 1) -> None:
    """Refuse compressed pixels that are too few bytes for so many frames as they say.

    Decoders take the memory first.

    Raises
    ------
    FileError
        Naming the size.
    """
    data = whole.get("PixelData")
    syntax = whole.file_meta.TransferSyntaxUID
    if not isinstance(data, bytes) or not syntax.is_encapsulated:
        return
    rows, columns = int(whole.Rows), int(whole.Columns)
    samples, bits = int(whole.get("SamplesPerPixel") or 1), int(whole.BitsAllocated)
    size = frames * rows * columns * samples * -(-bits // 8)
    most = _MOST_BY_RUNS if syntax.name == "RLE Lossless" else _MOST_EXPANDED
    if size > max(_SMALL, most * len(data)):
        raise FileError(
            f"{path} says that it is a picture of {columns}×{rows} pixels, but holds "
            f"{len(data):,} bytes of it."
        )


def dicom_placement(path: Path) -> dict[str, Any]:
    """Return ``scale`` and ``units`` of rows and columns; empty where it is not said.

    Raises
    ------
    FileError
        If pydicom is missing, or the file cannot be read.
    """
    with _reading(path):
        whole = open_dicom(path, pixels=False)
        _lift(whole, 0)
        for keyword in _MEASURES:
            spacing = whole.get(keyword)
            if spacing and len(spacing) == 2 and all(float(s) > 0 for s in spacing):
                scale = [float(spacing[0]), float(spacing[1])]
                return {"scale": scale, "units": ["millimeter"] * 2}
        return {}


def is_segmentation(path: Path) -> bool:
    """Whether a file is DICOM and holds labels, as far as that can be found out."""
    return segmented_by(path) is not None


def segmented_by(path: Path) -> str | None:
    """Return whose program wrote DICOM labels; None if the file holds none."""
    try:
        with _reading(path):
            if not is_dicom(path):
                return None
            whole = open_dicom(path, pixels=False)
            is_one = whole.get("SOPClassUID") in SEGMENTATIONS
            return str(whole.get("Manufacturer") or "") if is_one else None
    except FileError:
        return None


def open_dicom(path: Path, *, pixels: bool = True) -> Any:
    """Return a file's data set.

    Raises
    ------
    FileError
        If pydicom is missing.
    """
    try:
        import pydicom
    except ImportError as error:
        raise FileError(f"{path}: {_NEEDED}") from error
    return pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Keep what pydicom says, which may quote a patient's name, from everybody."""
    logger = logging.getLogger("pydicom")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (FileError, MemoryError):
        raise
    # pydicom and its decoders raise what they like for bytes they did not expect
    except Exception as error:
        raise FileError(
            f"{path} is not a DICOM image that can be read ({type(error).__name__}); a "
            "compressed one may need a decoder that is not installed."
        ) from None
    finally:
        logger.setLevel(before)


def _lift(whole: Any, at: int) -> None:
    """Say at the top what a file of several frames says of one of them."""
    shared = whole.get("SharedFunctionalGroupsSequence") or ()
    frames = whole.get("PerFrameFunctionalGroupsSequence") or ()
    groups = [*shared[:1], *frames[at : at + 1]]
    for group in groups:
        for name, keywords in _PER_FRAME.items():
            for item in (group.get(name) or ())[:1]:
                for keyword in keywords:
                    if keyword in item:
                        setattr(whole, keyword, item[keyword].value)


def _picture(whole: Any, at: int) -> NDArray[Any]:
    from pydicom.pixels import apply_color_lut, pixel_array

    _lift(whole, at)
    kind = str(whole.PhotometricInterpretation).strip()
    values = np.asarray(pixel_array(whole, index=at))
    if kind == "PALETTE COLOR":
        return np.asarray(apply_color_lut(values, whole))
    if values.ndim == 3:
        return values
    return _grey(whole, values, kind == "MONOCHROME1")


def _grey(whole: Any, stored: NDArray[Any], inverted: bool) -> NDArray[Any]:
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    bits = int(whole.get("BitsStored") or stored.dtype.itemsize * 8)
    values = np.asarray(apply_modality_lut(stored, whole))
    has_window = bool(whole.get("VOILUTSequence")) or (
        whole.get("WindowCenter") is not None and whole.get("WindowWidth") is not None
    )
    padding = _padding(whole, stored)
    if has_window:
        low, high = _range_of_window(whole, bits)
        shown = np.asarray(apply_voi_lut(values, whole), np.float64)
        picture = ((shown - low) / (high - low)).clip(0, 1).astype(np.float32)
        if inverted:
            picture = 1 - picture
        if padding is not None:
            picture[padding] = 0
        return picture
    if np.array_equal(values, stored):
        values = stored
    elif (values == np.rint(values)).all() and np.abs(values).max() < 2**31:
        values = values.astype(np.int32)
    if inverted and values is stored and stored.dtype.kind == "u":
        values = (np.array((1 << bits) - 1, stored.dtype) - stored).astype(stored.dtype)
    elif inverted:
        kept = values if padding is None else values[~padding]
        values = (kept.max() + kept.min() - values).astype(values.dtype)
    if padding is not None and not padding.all():
        values = values.copy()
        values[padding] = values[~padding].min()
    return values


def _padding(whole: Any, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return the pixels beside the picture, where the file says which they are."""
    value = whole.get("PixelPaddingValue")
    if value is None:
        return None
    end = whole.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(end)))
    beside: NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return beside if beside.any() else None


def _range_of_window(whole: Any, bits: int) -> tuple[float, float]:
    """Return what a window's black and white become."""
    tables = whole.get("VOILUTSequence")
    if tables:
        return 0.0, float((1 << int(tables[0].LUTDescriptor[2])) - 1)
    is_rescaled = (
        float(whole.get("RescaleSlope", 1)) != 1
        or float(whole.get("RescaleIntercept", 0)) != 0
    )
    is_signed = bool(whole.get("PixelRepresentation"))
    if is_signed:
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    else:
        low, high = 0, (1 << bits) - 1
    if "ModalityLUTSequence" in whole:
        depth = int(whole.ModalityLUTSequence[0].LUTDescriptor[2])
        return 0.0, float((1 << depth) - 1)
    if is_rescaled:
        slope = float(whole.get("RescaleSlope", 1))
        offset = float(whole.get("RescaleIntercept", 0))
        return low * slope + offset, high * slope + offset
    return float(low), float(high)
