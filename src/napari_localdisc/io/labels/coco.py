"""COCO JSON: objects as polygons, or run lengths where polygons cannot hold them.

A category's id is its label.  Every connected region of a class is one annotation, so
that the regions of a class together are exactly its pixels.  Polygons run between
pixel centres, through the middle of the pixels' edges; a region with holes is a run
length encoding, which COCO's polygons cannot express.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from psutil import virtual_memory
from pydantic import BaseModel, Field, FiniteFloat, ValidationError, model_validator

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file
from napari_localdisc.core.image.files import LARGE_PIXELS
from napari_localdisc.core.validation import first_fault, read_json

from .label_map import (
    KEY,
    LabelMap,
    byte_colour,
    fields_of,
    in_maps,
    note_of,
    noted,
    whole_of,
)

NAME = "COCO"
ENDINGS = (".json",)
LARGEST = 2**31 - 1

Segmentation = Literal["auto", "polygon", "rle"]

_STRAIGHT = 1e-6


def check(labels: LabelMap) -> None:
    """Raise a FileError for what COCO cannot hold."""
    for each in labels.maps:
        each.plane(NAME)
        each.check_range(NAME, LARGEST)


def check_together(images: Sequence[LabelMap]) -> None:
    """Raise a FileError for what one COCO file cannot hold of several images."""
    for labels in images:
        check(labels)
    _categories(images)


def write(path: Path, labels: LabelMap, segmentation: str = "auto") -> list[Path]:
    """Write the labels of one image; see `write_coco`."""
    return write_coco(path, [labels], segmentation)


def write_coco(
    path: Path, images: Sequence[LabelMap], segmentation: str = "auto"
) -> list[Path]:
    """Write the labels of several images as one COCO file.

    Parameters
    ----------
    path : Path
        JSON file.
    images : sequence of LabelMap
        A label must have the same name in all of them.
    segmentation : {"auto", "polygon", "rle"}
        ``"auto"``: polygons, and run lengths for regions with holes.

    Returns
    -------
    list of Path
        The file.

    Raises
    ------
    FileError
        If labels are no 2-D pictures, names disagree, only polygons are wanted but a
        region has holes, pycocotools is missing, or the file cannot be written.
    """
    if segmentation not in get_args(Segmentation):
        raise FileError(f"COCO segmentations are auto, polygon or rle: {segmentation}?")
    check_together(images)
    categories = _categories(images)
    content: dict[str, Any] = {
        "info": {
            "description": "Labels made with napari-localdisc",
            KEY: {
                "images": [note_of(labels) for labels in images],
                "others": [[note_of(e) for e in labels.others] for labels in images],
            },
        },
        "licenses": [],
        "images": [],
        "annotations": [],
        "categories": categories,
    }
    for image_id, labels in enumerate(images, 1):
        picture = labels.plane(NAME)
        height, width = picture.shape
        content["images"].append(
            {
                "id": image_id,
                "file_name": labels.image or labels.name or path.stem,
                "height": height,
                "width": width,
            }
        )
        for each in labels.maps:
            for annotation in _annotations(each.plane(NAME), each, segmentation):
                number = len(content["annotations"]) + 1
                annotation |= {"id": number, "image_id": image_id, "iscrowd": 0}
                content["annotations"].append(annotation)
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    with new_file(path, is_ours) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return [path]


def is_ours(path: Path) -> bool:
    """Whether a file is COCO JSON with our note."""
    try:
        return KEY in read_json(path.read_bytes())["info"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _categories(images: Sequence[LabelMap]) -> list[dict[str, Any]]:
    categories: dict[int, dict[str, Any]] = {}
    for labels in images:
        for each, value in labels.each_class():
            name = each.class_name(value)
            known = categories.setdefault(
                value,
                {
                    "id": value,
                    "name": name,
                    "supercategory": "",
                    "color": list(byte_colour(each.colour(value))[:3]),
                },
            )
            if known["name"] != name:
                raise FileError(
                    f"Label {value} is called {known['name']!r} in one image and "
                    f"{name!r} in another, and labels are not renumbered: write the "
                    "images to different files, or give the class one name."
                )
    return [categories[value] for value in sorted(categories)]


def _annotations(
    picture: NDArray[Any], labels: LabelMap, segmentation: str
) -> Iterator[dict[str, Any]]:
    from scipy import ndimage

    for value in labels.values:
        if value == 0:
            continue
        regions, _ = ndimage.label(picture == value)
        for number, box in enumerate(ndimage.find_objects(regions), 1):
            region = regions[box] == number
            top, left = (int(part.start) for part in box)
            outlines = [] if segmentation == "rle" else _outlines(region, top, left)
            if segmentation == "polygon" and len(outlines) > 1:
                raise FileError(
                    f"A region of {labels.class_name(value)!r} has holes, which COCO's "
                    "polygons cannot hold: let such regions be run lengths ('auto')."
                )
            is_polygon = len(outlines) == 1
            yield {
                "category_id": value,
                "segmentation": outlines if is_polygon else _runs(regions == number),
                "area": int(region.sum()),
                "bbox": [left, top, region.shape[1], region.shape[0]],
            }


def _runs(whole: NDArray[np.bool_]) -> dict[str, Any]:
    encoded = _mask_library().encode(np.asfortranarray(whole, np.uint8))
    return {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}


def _outlines(region: NDArray[np.bool_], top: int, left: int) -> list[list[float]]:
    """Return the outline and the holes of a region as x, y, x, y, … in pixels."""
    from skimage.measure import approximate_polygon, find_contours

    outlines = []
    for contour in find_contours(np.pad(region, 1).astype(np.float32), 0.5):
        corners = approximate_polygon(contour, _STRAIGHT)[:-1]
        # Padding shifted by 1; COCO's origin is the corner of a pixel, not its centre
        points = corners[:, ::-1] + (left - 0.5, top - 0.5)
        outlines.append([float(number) for number in points.ravel()])
    return outlines


def _mask_library() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise FileError(
            "COCO's run lengths need pycocotools, which is not installed: "
            'pip install "napari-localdisc[coco]".'
        ) from error
    return mask


class _Category(BaseModel):
    id: Annotated[int, Field(ge=0, le=LARGEST)]
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    color: Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(max_length=4)] = (
        Field(default_factory=list)
    )


class _Picture(BaseModel):
    id: int | str
    file_name: str
    height: Annotated[int, Field(ge=1, le=1 << 17)]
    width: Annotated[int, Field(ge=1, le=1 << 17)]

    @model_validator(mode="after")
    def _fits_in_memory(self) -> Self:
        if self.height * self.width > LARGE_PIXELS:
            raise ValueError(f"an image of {self.width}×{self.height} is too large")
        return self


class _Runs(BaseModel):
    size: tuple[int, int]
    counts: (
        list[Annotated[int, Field(ge=0)]] | Annotated[str, Field(pattern="^[0-o]*$")]
    )


_Polygon = Annotated[list[FiniteFloat], Field(min_length=6)]


class _Annotation(BaseModel):
    image_id: int | str
    category_id: Annotated[int, Field(ge=0, le=LARGEST)]
    segmentation: list[_Polygon] | _Runs


class _Content(BaseModel):
    """Of a COCO file what is read, validated; the rest is ignored."""

    images: list[_Picture]
    annotations: list[_Annotation] = Field(default_factory=list)
    categories: list[_Category]
    info: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_image_is_one(self) -> Self:
        seen: set[int | str] = set()
        for picture in self.images:
            if picture.id in seen:
                raise ValueError(f"two images have the id {picture.id}")
            seen.add(picture.id)
        return self

    @model_validator(mode="after")
    def _fits_in_memory(self) -> Self:
        if sum(p.height * p.width for p in self.images) > virtual_memory().available:
            raise ValueError("its images' labels do not fit this machine's memory")
        return self


def read(path: Path) -> list[LabelMap]:
    """Read the labels of each image of a COCO file.

    Classes that overlap are in maps of their own.

    Raises
    ------
    FileError
        If it is no COCO file, or pycocotools is missing and needed.
    """
    try:
        content = _Content.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise FileError(
            f"{path} cannot be read as COCO: {first_fault(error)}."
        ) from error
    ours = content.info.get(KEY)
    notes, more = (_notes(ours, key) for key in ("images", "others"))
    names = {entry.id: entry.name for entry in content.categories}
    colours = {
        entry.id: (*(part / 255 for part in entry.color), 1.0)
        for entry in content.categories
        if len(entry.color) == 3
    }
    found = []
    for index, picture in enumerate(content.images):
        own = [a for a in content.annotations if a.image_id == picture.id]
        name = picture.file_name
        fields = {"names": names, "colours": colours}
        fields |= {"name": Path(name).stem, "image": name}
        first, rest = _at(notes, index), _at(more, index)
        rest = rest if isinstance(rest, list) else []
        others = [each for each in rest if isinstance(each, dict)]
        shape = picture.height, picture.width
        try:
            masks = _painted(own, shape)
        except ValueError as error:
            raise FileError(f"{path} holds an annotation that {error}.") from error
        held = {
            value: at
            for at, note in enumerate(others, 1)
            for value in fields_of(note)["names"]
            if value in masks
        }
        whole = whole_of(in_maps(masks, held, shape), fields)
        said = [first if isinstance(first, dict) else None, *others]
        parts = [
            noted(path, each.labels, note, {k: getattr(each, k) for k in _KEPT})
            for each, note in zip_longest(whole.maps, said[: len(whole.maps)])
        ]
        found.append(replace(parts[0], others=tuple(parts[1:])))
    return found


_KEPT = "names", "colours", "name", "image", "made_by"


def _notes(ours: Any, key: str) -> list[Any]:
    notes = ours.get(key) if isinstance(ours, dict) else None
    return notes if isinstance(notes, list) else []


def _at(notes: list[Any], index: int) -> Any:
    return notes[index] if index < len(notes) else None


def _painted(
    annotations: list[_Annotation], shape: tuple[int, int]
) -> dict[int, NDArray[np.bool_]]:
    """Return the mask of each label."""
    masks: dict[int, NDArray[np.bool_]] = {}
    for annotation in annotations:
        painted, value = annotation.segmentation, annotation.category_id
        if isinstance(painted, _Runs):
            mask = _from_runs(painted, shape)
        else:
            mask = _inside(painted, shape)
        masks[value] = masks[value] | mask if value in masks else mask
    return masks


def _inside(polygons: list[list[float]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Draw polygons; pycocotools takes any numbers, and memory for where they lead."""
    library = _mask_library()
    height, width = shape
    for polygon in polygons:
        corners = np.asarray(polygon[: len(polygon) // 2 * 2]).reshape(-1, 2)
        if (corners < -1).any() or (corners > (width + 1, height + 1)).any():
            raise ValueError("lies outside its image")
    encoded = library.merge(library.frPyObjects(polygons, height, width))
    return np.asarray(library.decode(encoded), dtype=bool)


def _from_runs(runs: _Runs, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Paint run lengths: of pixels that are not, are, are not, …, down the columns."""
    counts = runs.counts if isinstance(runs.counts, list) else _lengths(runs.counts)
    if runs.size != shape or sum(counts) != shape[0] * shape[1] or min(counts) < 0:
        raise ValueError("does not fit its image")
    is_in = np.arange(len(counts)) % 2 == 1
    return np.repeat(is_in, counts).reshape(shape[::-1]).T


def _lengths(text: str) -> list[int]:
    """Decode COCO's compressed run lengths: 5 bits a letter, differences from the 4th.

    As ``rleFrString`` in the COCO API's maskApi.c does, but for its trust.
    """
    counts: list[int] = []
    number = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    return counts
