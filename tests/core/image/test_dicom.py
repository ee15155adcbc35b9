"""DICOM: upright polarity, windows, colours, compression; and no patient anywhere."""

import logging
import sys
import warnings

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.image.files import (
    find_images,
    image_files,
    read_image,
    read_placement,
)
from napari_localdisc.core.image.working import as_rgb

pydicom = pytest.importorskip("pydicom")

from tests.core.image.dicoms import PATIENT, dicom, film, jpeg  # noqa: E402


@pytest.fixture
def picture():
    rows, columns = np.mgrid[:64, :72]
    parts = (rows * 3 + 20, columns * 3 + 10, 120 + rows - columns)
    return np.stack(parts, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_both_polarities_are_the_same_picture(tmp_path, bits):
    values = film(bits)
    if bits == 8:
        values = values.astype(np.uint8)
    dicom(tmp_path / "a.dcm", values, "MONOCHROME2", bits)
    full = values.dtype.type((1 << bits) - 1)
    dicom(tmp_path / "b.dcm", full - values, "MONOCHROME1", bits)
    first, second = read_image(tmp_path / "a.dcm"), read_image(tmp_path / "b.dcm")
    np.testing.assert_array_equal(first, values)
    np.testing.assert_array_equal(second, values)
    assert as_rgb(first).max() == 1


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("rescaled", [False, True])
def test_a_window_is_followed(tmp_path, kind, rescaled):
    values = film(12)
    tags = {"WindowCenter": 2000, "WindowWidth": 1000}
    if rescaled:
        tags = {"WindowCenter": -1024 + 4000, "WindowWidth": 2000}
        tags |= {"RescaleSlope": 2, "RescaleIntercept": -1024}
    dicom(tmp_path / "a.dcm", values, kind, 12, **tags)
    read = read_image(tmp_path / "a.dcm")
    assert read.dtype == np.float32
    expected = ((values - 1499.5) / 999).clip(0, 1)
    expected = expected if kind == "MONOCHROME2" else 1 - expected
    assert np.abs(read - expected).max() < 0.003


def test_several_windows_and_signed_values(tmp_path):
    values = film(12).astype(np.int16) - 2048
    tags = {"WindowCenter": [0, 500], "WindowWidth": [800, 100]}
    dicom(tmp_path / "a.dcm", values, "MONOCHROME2", 16, **tags)
    read = read_image(tmp_path / "a.dcm")
    assert np.abs(read - ((values + 399.5) / 799).clip(0, 1)).max() < 0.003
    dicom(tmp_path / "b.dcm", values, "MONOCHROME1", 16)
    other = read_image(tmp_path / "b.dcm")
    assert np.corrcoef(other.ravel(), values.ravel())[0, 1] < -0.999


def test_what_lies_beside_the_picture_is_black(tmp_path):
    values = film(12)
    values[:, :20] = 4000
    dicom(tmp_path / "a.dcm", values, "MONOCHROME1", 12, PixelPaddingValue=4000)
    read = read_image(tmp_path / "a.dcm")
    assert (read[:, :20] == read.min()).all()


def test_colours(tmp_path, picture):
    dicom(tmp_path / "a.dcm", picture, "RGB", 8)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm"), picture)
    parts = np.asarray(Image.fromarray(picture).convert("YCbCr"))
    dicom(tmp_path / "b.dcm", parts, "YBR_FULL", 8)
    assert np.abs(read_image(tmp_path / "b.dcm").astype(int) - picture).max() < 4
    jpeg(tmp_path / "c.dcm", picture, "YBR_FULL_422")
    assert np.abs(read_image(tmp_path / "c.dcm").astype(int) - picture).mean() < 3


ENCODERS = {
    "JPEG2000Lossless": lambda x: imagecodecs.jpeg2k_encode(x, level=0, codecformat=0),
    "JPEGLSLossless": imagecodecs.jpegls_encode,
    "JPEGLosslessSV1": imagecodecs.ljpeg_encode,
}


@pytest.mark.parametrize(
    ("syntax", "kind"),
    [
        *((syntax, "grey") for syntax in (*ENCODERS, "RLELossless")),
        *((s, "colour") for s in ("JPEG2000Lossless", "JPEGLSLossless", "RLELossless")),
    ],
)
def test_compressed_files(tmp_path, picture, syntax, kind):
    path = tmp_path / "a.dcm"
    values = film(12) if kind == "grey" else picture
    photometric, bits = ("MONOCHROME1", 12) if kind == "grey" else ("RGB", 8)
    whole = dicom(path, values, photometric, bits)
    if syntax in ENCODERS:
        encoded = ENCODERS[syntax](np.ascontiguousarray(values))
        whole.PixelData = pydicom.encaps.encapsulate([bytes(encoded)])
        whole["PixelData"].is_undefined_length = True
        whole.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    else:
        whole.compress(pydicom.uid.RLELossless)
    whole.save_as(path, enforce_file_format=True)
    read = read_image(path)
    expected = 4095 - values if kind == "grey" else values
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("syntax", [*ENCODERS, "RLELossless"])
def test_a_compressed_picture_of_too_few_bytes_is_refused(tmp_path, syntax):
    """Decoders take the memory of what a few bytes say they are."""
    path = tmp_path / "a.dcm"
    whole = dicom(path, film(12), "MONOCHROME2", 12)
    if syntax in ENCODERS:
        encoded = ENCODERS[syntax](np.ascontiguousarray(film(12)))
        whole.PixelData = pydicom.encaps.encapsulate([bytes(encoded)])
        whole["PixelData"].is_undefined_length = True
        whole.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    else:
        whole.compress(pydicom.uid.RLELossless)
    whole.Rows = whole.Columns = 60_000
    whole.save_as(path, enforce_file_format=True)
    with pytest.raises(FileError, match="60000×60000 pixels, but holds"):
        read_image(path)


def test_frames_are_refused_in_a_sentence(tmp_path):
    frames = np.stack([film(12), film(12) // 2])
    dicom(tmp_path / "a.dcm", frames)
    with pytest.raises(FileError, match=r"2 pictures \(frames\).*page=…"):
        read_image(tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm", page=1), frames[1])


def test_the_size_of_pixels(tmp_path):
    dicom(tmp_path / "a.dcm", film(12), PixelSpacing=[0.2, 0.1])
    expected = {"scale": [0.2, 0.1], "units": ["millimeter"] * 2}
    assert read_placement(tmp_path / "a.dcm") == expected
    dicom(tmp_path / "b.dcm", film(12), ImagerPixelSpacing=[0.3, 0.3])
    assert read_placement(tmp_path / "b.dcm")["scale"] == [0.3, 0.3]
    dicom(tmp_path / "c.dcm", film(12))
    assert read_placement(tmp_path / "c.dcm") == {}


def test_files_without_an_ending_are_found(tmp_path, picture):
    dicom(tmp_path / "IM0001", film(12))
    dicom(tmp_path / "b.DCM", film(12))
    (tmp_path / "README").write_text("no picture")
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    assert [path.name for path in image_files(tmp_path)] == ["IM0001", "b.DCM"]
    assert read_image(tmp_path / "IM0001").shape == (64, 72)


def test_without_the_extra_each_file_is_named(tmp_path, monkeypatch):
    dicom(tmp_path / "a.dcm", film(12))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (found,) = find_images([tmp_path])
    assert found.name == "a.dcm"
    with pytest.raises(FileError, match=r"a\.dcm.*pip install.*\[dicom\]"):
        read_image(found)


@pytest.mark.parametrize("how", ["cut", "text", "no pixels", "wrong tag"])
def test_what_cannot_be_read_names_the_file_and_nobody(tmp_path, how, caplog, recwarn):
    path = tmp_path / "a.dcm"
    whole = dicom(path, film(12))
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-4000])
    elif how == "text":
        path.write_text(f"PatientName {PATIENT}")
    elif how == "no pixels":
        del whole.PixelData
        whole.save_as(path)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole.PhotometricInterpretation = PATIENT.upper()
        whole.BitsAllocated = 7
        whole.save_as(path)
    recwarn.clear()
    caplog.clear()
    with caplog.at_level(logging.DEBUG), pytest.raises(FileError) as caught:
        read_image(path)
    said = str(caught.value) + caplog.text + " ".join(str(w.message) for w in recwarn)
    assert "a.dcm" in said
    assert "malade" not in said.lower()
