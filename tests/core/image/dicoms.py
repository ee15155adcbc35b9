"""Small DICOM files, drawn for tests."""

import io

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

PATIENT = "Malade^Imaginaire"
CR = "1.2.840.10008.5.1.4.1.1.1"
MULTIFRAME = "1.2.840.10008.5.1.4.1.1.7.4"


def film(bits=12, shape=(64, 72)):
    """(64, 72) uint16: a bright corner, all of the bits."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    ramp = (rows * 2 + columns) / (2 * shape[0] + shape[1] - 3)
    return np.rint(ramp * ((1 << bits) - 1)).astype(np.uint16)


def dicom(path, pixels, kind="MONOCHROME2", bits=12, **tags):
    """Write a file with a patient's name; return its data set."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CR
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    whole.SOPClassUID, whole.SOPInstanceUID = CR, meta.MediaStorageSOPInstanceUID
    whole.PatientName, whole.PatientID = PATIENT, "MI-1673"
    whole.PatientBirthDate, whole.PatientSex = "16730217", "O"
    whole.StudyInstanceUID = generate_uid()
    whole.SeriesInstanceUID = generate_uid()
    whole.StudyID, whole.AccessionNumber = "1", "1"
    whole.StudyDate, whole.StudyTime = "20260101", "120000"
    whole.ReferringPhysicianName = "Diafoirus"
    whole.Modality, whole.SeriesNumber, whole.InstanceNumber = "CR", 1, 1
    whole.Manufacturer = "none"
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    if pixels.ndim - colour == 3:
        whole.NumberOfFrames = pixels.shape[0]
    whole.Rows, whole.Columns = pixels.shape[-2 - colour : pixels.ndim - colour]
    whole.SamplesPerPixel = 3 if colour else 1
    if colour:
        whole.PlanarConfiguration = 0
    whole.PhotometricInterpretation = kind
    whole.BitsAllocated = pixels.dtype.itemsize * 8
    whole.BitsStored, whole.HighBit = bits, bits - 1
    whole.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in tags.items():
        setattr(whole, keyword, value)
    whole.PixelData = pixels.tobytes()
    whole.save_as(path, enforce_file_format=True)
    return whole


def jpeg(path, picture, kind):
    """Write a compressed colour file."""
    whole = dicom(path, picture, kind, 8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=95, subsampling=0)
    whole.PixelData = encapsulate([buffer.getvalue()])
    whole["PixelData"].is_undefined_length = True
    whole.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    whole.save_as(path, enforce_file_format=True)


def read_back(path):
    return pydicom.dcmread(path)
