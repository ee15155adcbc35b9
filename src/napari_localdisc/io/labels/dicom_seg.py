"""DICOM SEG: the classes as segments of the image that they were drawn on.

Only of an image that came from DICOM, whose patient and study it carries.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file
from napari_localdisc.core.image.dicom import (
    check_size,
    dicom_placement,
    is_dicom,
    open_dicom,
    segmented_by,
)
from napari_localdisc.core.names import plain_name

from .label_map import LabelMap, byte_colour, in_maps, whole_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "DICOM SEG"
ENDINGS = (".seg.dcm",)

_MAKER, _SCHEME = "napari-localdisc", "99LOCALDISC"
_LONGEST_NAME, _LONGEST_CODE = 64, 16
_VALUE = "label "


def check(labels: LabelMap) -> None:
    """Raise a FileError for what DICOM SEG cannot hold."""
    for each in labels.maps:
        each.plane(NAME)
    if not labels.source or not is_dicom(Path(labels.source)):
        of = f" for those of {labels.image}" if labels.image else ""
        raise FileError(
            "Only labels of an image that came from DICOM can be DICOM SEG, which "
            "carries its patient and study: choose another "
            f"format{of}."
        )
    classes = [*labels.each_class()]
    if not classes:
        raise FileError("The labels are empty: there is no class to make a segment of.")
    for each, value in classes:
        if value < 0:
            raise FileError(f"{NAME} has no segments below 1, but there is {value}.")
        if len(each.class_name(value)) > _LONGEST_NAME:
            raise FileError(
                f"{NAME} holds names of at most {_LONGEST_NAME} letters: "
                f"{each.class_name(value)!r} is longer."
            )


def write(path: Path, labels: LabelMap) -> list[Path]:
    """Write each class as a segment, whose tracking identifier keeps its label."""
    library = _library()
    picture = labels.plane(NAME)
    source = open_dicom(Path(labels.source))
    shape = int(source.Rows), int(source.Columns)
    if picture.shape != shape:
        sizes = ["×".join(map(str, size)) for size in (picture.shape, shape)]
        raise FileError(
            f"The labels have {sizes[0]} pixels, but {labels.source} has {sizes[1]}."
        )
    classes = [*labels.each_class()]
    masks = [each.plane(NAME) == value for each, value in classes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which may quote the source's patient
        try:
            made = library.seg.Segmentation(
                source_images=[source],
                pixel_array=np.stack(masks, axis=-1)[None],
                segmentation_type=library.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=[
                    _segment(library, number, value, each)
                    for number, (each, value) in enumerate(classes, 1)
                ],
                series_instance_uid=library.UID(),
                series_number=int(source.get("SeriesNumber") or 0) + 1000,
                sop_instance_uid=library.UID(),
                instance_number=1,
                manufacturer=_MAKER,
                manufacturer_model_name=_MAKER,
                software_versions=_version(),
                device_serial_number="0",
                omit_empty_frames=False,
                pixel_measures=_measures(library, Path(labels.source)),
            )
        # highdicom and pydicom raise what they like for incomplete sources
        except Exception as error:
            raise FileError(
                f"{labels.source} does not say enough for a DICOM SEG of it "
                f"({type(error).__name__})."
            ) from None
        with new_file(path, is_ours) as temporary:
            made.save_as(temporary)
    return [path]


def is_ours(path: Path) -> bool:
    """Whether a file is a DICOM segmentation that this package wrote."""
    return segmented_by(path) == _MAKER


def _measures(library: Any, source: Path) -> Any:
    spacing = dicom_placement(source).get("scale")
    return None if spacing is None else library.PixelMeasuresSequence(spacing, None)


def _segment(library: Any, number: int, value: int, labels: LabelMap) -> Any:
    name = labels.class_name(value)
    code = plain_name(name).upper().encode("ascii", "ignore").decode()[:_LONGEST_CODE]
    concept = library.sr.CodedConcept
    red, green, blue, _ = byte_colour(labels.colour(value))
    return library.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=concept("91723000", "SCT", "Anatomical Structure"),
        segmented_property_type=concept(code or f"L{value}", _SCHEME, name),
        algorithm_type=library.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=library.AlgorithmIdentificationSequence(
            name=_MAKER,
            version=_version(),
            family=concept("123110", "DCM", "Artificial Intelligence"),
        ),
        tracking_uid=library.UID(),
        tracking_id=f"{_VALUE}{value}",
        display_color=library.color.CIELabColor.from_rgb(red, green, blue),
    )


def read(path: Path) -> list[LabelMap]:
    """Read the segments of a file; those that overlap are in maps of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = open_dicom(path)
        if "SegmentSequence" not in whole:
            raise FileError(f"{path} is a DICOM file without segments.")
        check_size(path, whole, int(whole.get("NumberOfFrames") or 1))
        frames: NDArray[Any] = np.asarray(whole.pixel_array).astype(bool)
    frames = frames.reshape(-1, *frames.shape[-2:])
    names: dict[int, str] = {}
    numbers: dict[int, int] = {}
    for segment in whole.SegmentSequence:
        said = str(segment.get("TrackingID") or "")
        value = number = int(segment.SegmentNumber)
        if said.startswith(_VALUE) and said.removeprefix(_VALUE).isdigit():
            value = int(said.removeprefix(_VALUE))
        numbers[number] = value
        names[value] = str(segment.SegmentLabel)
    masks: dict[int, NDArray[np.bool_]] = {}
    groups = whole.PerFrameFunctionalGroupsSequence
    # What all frames have in common is said once
    shared = whole.SharedFunctionalGroupsSequence[0]
    for frame, group in zip(frames, groups, strict=True):
        said_in = group if "SegmentIdentificationSequence" in group else shared
        identified = said_in.SegmentIdentificationSequence[0]
        value = numbers[int(identified.ReferencedSegmentNumber)]
        masks[value] = masks[value] | frame if value in masks else frame
    fields = {"placement": dicom_placement(path), "name": path.stem}
    rows, columns = frames.shape[1:]
    return [whole_of(in_maps(masks, {}, (rows, columns)), {"names": names, **fields})]


def _version() -> str:
    from importlib.metadata import version

    return version("napari-localdisc")


def _library() -> Any:
    try:
        import highdicom
    except ImportError as error:
        raise FileError(
            "DICOM SEG needs highdicom, which is not installed: "
            'pip install "napari-localdisc[dicom]".'
        ) from error
    return highdicom
