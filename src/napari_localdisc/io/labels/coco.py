"""COCO JSON: objects as polygons, or run lengths where polygons cannot hold them.

A category's id is its label.  Every connected region of a class is one annotation, so
that the regions of a class together are exactly its pixels.  Polygons run between
pixel centres, through the middle of the pixels' edges; a region with holes is a run
length encoding, which COCO's polygons cannot express.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_localdisc.core.errors import FileError
from napari_localdisc.core.files import new_file

from .label_map import KEY, LabelMap, byte_colour, note_of, noted

NAME = "COCO"
ENDINGS = (".json",)
LARGEST = 2**31 - 1

Segmentation = Literal["auto", "polygon", "rle"]

_STRAIGHT = 1e-6


def check(labels: LabelMap) -> None:
    """Raise a FileError for what COCO cannot hold."""
    labels.plane(NAME)
    labels.check_range(NAME, LARGEST)


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
            KEY: {"images": [note_of(labels) for labels in images]},
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
        for annotation in _annotations(picture, labels, segmentation):
            number = len(content["annotations"]) + 1
            annotation |= {"id": number, "image_id": image_id, "iscrowd": 0}
            content["annotations"].append(annotation)
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    with new_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return [path]


def _categories(images: Sequence[LabelMap]) -> list[dict[str, Any]]:
    categories: dict[int, dict[str, Any]] = {}
    for labels in images:
        for value in labels.classes:
            name = labels.class_name(value)
            known = categories.setdefault(
                value,
                {
                    "id": value,
                    "name": name,
                    "supercategory": "",
                    "color": list(byte_colour(labels.colour(value))[:3]),
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
            rows, columns = box
            top, left = int(rows.start), int(columns.start)
            yield {
                "category_id": value,
                "segmentation": _segmentation(
                    region, (top, left), picture.shape, segmentation, labels, value
                ),
                "area": int(region.sum()),
                "bbox": [left, top, region.shape[1], region.shape[0]],
            }


def _segmentation(
    region: NDArray[np.bool_],
    corner: tuple[int, int],
    shape: tuple[int, ...],
    segmentation: str,
    labels: LabelMap,
    value: int,
) -> Any:
    if segmentation != "rle":
        outlines = _outlines(region, corner)
        if len(outlines) == 1:
            return outlines
        if segmentation == "polygon":
            raise FileError(
                f"A region of {labels.class_name(value)!r} has holes, which COCO's "
                "polygons cannot hold: let such regions be run lengths ('auto')."
            )
    whole = np.zeros(shape, np.uint8, order="F")
    top, left = corner
    whole[top : top + region.shape[0], left : left + region.shape[1]] = region
    encoded = _mask_library().encode(whole)
    return {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}


def _outlines(region: NDArray[np.bool_], corner: tuple[int, int]) -> list[list[float]]:
    """Return the outline and the holes of a region as x, y, x, y, … in pixels."""
    from skimage.measure import approximate_polygon, find_contours

    top, left = corner
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


def read(path: Path) -> list[LabelMap]:
    """Read the labels of each image of a COCO file.

    Where annotations overlap the later one wins.

    Raises
    ------
    FileError
        If pycocotools is missing and needed.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    notes = content.get("info", {}).get(KEY, {}).get("images", [])
    names = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
    colours = {
        int(entry["id"]): (*(part / 255 for part in entry["color"]), 1.0)
        for entry in content["categories"]
        if len(entry.get("color", ())) == 3
    }
    found = []
    for index, image in enumerate(content["images"]):
        own = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        name = str(image["file_name"])
        fields = {"names": names, "colours": colours}
        fields |= {"name": Path(name).stem, "image": name}
        note = notes[index] if index < len(notes) else None
        found.append(noted(path, _painted(own, image), note, fields))
    return found


def _painted(annotations: list[dict[str, Any]], image: dict[str, Any]) -> NDArray[Any]:
    shape = int(image["height"]), int(image["width"])
    values = [int(annotation["category_id"]) for annotation in annotations]
    array = np.zeros(shape, np.min_scalar_type(max(values, default=0)))
    for annotation, value in zip(annotations, values, strict=True):
        array[_mask(annotation["segmentation"], shape)] = value
    return array


def _mask(segmentation: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    library = _mask_library()
    if isinstance(segmentation, list):
        encoded = library.merge(library.frPyObjects(segmentation, *shape))
    elif isinstance(segmentation["counts"], list):
        encoded = library.frPyObjects(segmentation, *shape)
    else:
        encoded = segmentation
    return np.asarray(library.decode(encoded), dtype=bool)
